"""The daemons that speak to a stream: python3 reclog/stream ROLE --folder DIR [--ready-fd N] [--again]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if not __package__:  # run as a folder: it is the package beside us that is meant, not one that is installed
    _root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(0, _root)
    import reclog.stream  # noqa: F401

    sys.path.remove(_root)  # it may be a checkout: nothing else is to be found there

from reclog.engine.errors import EngineError

if TYPE_CHECKING:
    from reclog.engine.daemons.daemon import Daemon


def _publisher(daemon: Daemon) -> Any:
    from reclog.stream.asked import PublisherConfig
    from reclog.stream.publisher import Publisher

    return Publisher(daemon, daemon.told(PublisherConfig))


def _subscriber(daemon: Daemon) -> Any:
    from reclog.stream.subscriber import Subscriber, SubscriberConfig

    return Subscriber(daemon, daemon.told(SubscriberConfig))


#: What each role is.
ROLES: dict[str, Callable[[Daemon], Any]] = {"publisher": _publisher, "subscriber": _subscriber}


def main() -> int:
    """Be the daemon that the command line names until it ends; the exit status."""
    parser = argparse.ArgumentParser(prog="reclog-stream", description="The daemons that speak to a stream.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--folder", required=True, help="the daemon's folder, with its config.json")
    parser.add_argument("--ready-fd", type=int, default=-1, help="where to say that it is ready")
    parser.add_argument("--again", action="store_true", help="nobody waits: be patient with a stream")
    words = parser.parse_args()
    os.umask(0o077)
    from reclog.engine.daemons.daemon import Daemon

    daemon = Daemon(os.path.abspath(words.folder), words.ready_fd, words.again)
    try:
        daemon.lock()
        ROLES[words.role](daemon).run()
    except EngineError as error:
        daemon.failed(error.cause, str(error))
        return 1
    daemon.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
