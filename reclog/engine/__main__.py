"""The engine's own command line.

python3 reclog/engine recorder|relay|collector --folder DIR [--ready-fd N]   be that daemon
python3 reclog/engine start ROLE --folder DIR [--again]     start it in the background, say how it went
python3 reclog/engine ask --folder DIR     ask it what standard input says (a JSON object), print its answer
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Callable

if not __package__:  # run as a folder: it is the engine beside us that is meant, not one that is installed
    _root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(0, _root)
    import reclog.engine  # noqa: F401

    sys.path.remove(_root)  # it may be a checkout: nothing else is to be found there

from reclog.engine import __version__
from reclog.engine.errors import EngineError
from reclog.engine.records.names import MARK, OUTPUT

if TYPE_CHECKING:
    from reclog.engine.daemons.daemon import Daemon

    #: Makes what a daemon is to be of it.
    Role = Callable[[Daemon], Any]


def main(roles: dict[str, Role] | None = None) -> int:
    """Do what the command line says, as one of `roles` (those of the engine); the exit status."""
    roles = ROLES if roles is None else roles
    parser = argparse.ArgumentParser(prog="reclog-engine", description="The daemons of reclog.")
    parser.add_argument("verb", choices=[*roles, "start", "ask"])
    parser.add_argument("role", nargs="?", choices=roles, help="with start: which daemon")
    parser.add_argument("--folder", required=True, help="the daemon's folder, with its config.json")
    parser.add_argument("--ready-fd", type=int, default=-1, help="where to say that it is ready")
    parser.add_argument("--again", action="store_true", help="nobody waits: be patient, and be as before")
    parser.add_argument("--version", action="version", version=__version__)
    words = parser.parse_args()
    os.umask(0o077)
    folder = os.path.abspath(words.folder)
    if words.verb == "start":
        return start(words.role, folder, words.again)
    if words.verb == "ask":
        return ask(folder)
    from reclog.engine.daemons.daemon import Daemon

    return run(roles[words.verb], Daemon(folder, words.ready_fd, words.again, words.verb))


def start(role: str, folder: str, again: bool) -> int:
    """Start a daemon in the background and print its answer."""
    from reclog.engine.system.detach import detached, this_program

    command = [*this_program(), role, "--folder", folder, *(["--again"] if again else [])]
    _, answer = detached(command, folder, {**os.environ, MARK: folder}, os.path.join(folder, OUTPUT))
    print(json.dumps(answer))
    return 0 if answer.get("ready") else 1


def ask(folder: str) -> int:
    """Pass what standard input asks on to the daemon of a folder, and print its answer."""
    from reclog.engine.daemons.asking import request
    from reclog.engine.daemons.control import LONGEST
    from reclog.engine.records.jsonfile import parse_json

    try:
        answer = request(folder, parse_json(sys.stdin.read(LONGEST)))
    except ValueError as error:
        answer = {"error": f"That is no request: {error}."}
    print(json.dumps(answer))
    return 1 if "error" in answer else 0


def _recorder(daemon: Daemon) -> Any:
    from reclog.engine.daemons.config import RecorderConfig

    config = daemon.told(RecorderConfig)
    if config.raw:
        from reclog.engine.daemons.raw import RawRecorder

        return RawRecorder(daemon, config)
    from reclog.engine.daemons.recorder import Recorder

    return Recorder(daemon, config)


def _relay(daemon: Daemon) -> Any:
    from reclog.engine.daemons.config import RelayConfig
    from reclog.engine.daemons.relay import Relay

    return Relay(daemon, daemon.told(RelayConfig))


def _collector(daemon: Daemon) -> Any:
    from reclog.engine.daemons.collector import Collector
    from reclog.engine.daemons.config import CollectorConfig

    return Collector(daemon, daemon.told(CollectorConfig))


#: What each role is. Whoever runs imports what it needs alone: from a zip all of it is compiled each time.
ROLES: dict[str, Role] = {"recorder": _recorder, "relay": _relay, "collector": _collector}


def run(role: Role, daemon: Daemon) -> int:
    """Be the daemon until it ends; 2 where starting it again is of no use."""
    try:
        daemon.lock()
        role(daemon).run()
    except EngineError as error:
        daemon.failed(error.cause, str(error))
        return 2 if error.is_final else 1
    daemon.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
