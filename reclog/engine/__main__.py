"""Start a daemon: `python3 reclog/engine recorder --folder DIR [--ready-fd N]`."""

from __future__ import annotations

import argparse
import os
import sys

if not __package__:  # run as a folder or a zipapp: our own package is found beside us, after all others
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from reclog.engine import __version__
from reclog.engine.daemon import Daemon
from reclog.engine.errors import EngineError


def main() -> int:
    """Run the daemon that the command line names; the exit status."""
    parser = argparse.ArgumentParser(prog="reclog-engine", description="A daemon of reclog.")
    parser.add_argument("role", choices=["recorder"])
    parser.add_argument("--folder", required=True, help="the daemon's folder, with its config.json")
    parser.add_argument("--ready-fd", type=int, default=-1, help="where to say that it is ready")
    parser.add_argument("--version", action="version", version=__version__)
    words = parser.parse_args()
    os.umask(0o077)
    daemon = Daemon(os.path.abspath(words.folder), words.ready_fd)
    try:
        daemon.lock()
        if daemon.config.get("raw"):
            from reclog.engine.raw import RawRecorder

            RawRecorder(daemon).run()
        else:
            from reclog.engine.recorder import Recorder

            Recorder(daemon).run()
    except EngineError as error:
        daemon.failed(error.cause, str(error))
        return 1
    daemon.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
