"""`inv dev.plan`: what so many devices take; with `--run`, measured with a small fleet that is real."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TESTS = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "faults")]
# Not this folder itself: its modules are `benchmarks.planning.…`.
sys.path[:] = [str(ROOT), *TESTS, *(one for one in sys.path if one != str(HERE))]

from benchmarks.planning import plan  # noqa: E402 the path comes first


def main() -> int:
    """Print the plan; with `--run`, measure, and print that beside what the plan says of it."""
    words = _words().parse_args()
    if not words.run:
        print(plan.markdown(plan.kept()))
        return 0
    # What was started ends with us, also where somebody has had enough.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if importlib.util.find_spec("pytest") is None or importlib.util.find_spec("nats") is None:
        print("What the run needs is not here: run `sh bootstrap.sh tests`.", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print("Only root can make hosts for the run: without --run the plan is printed.", file=sys.stderr)
        return 1
    import pytest

    from benchmarks.debs import Missing
    from benchmarks.planning import run
    from benchmarks.planning.fleet import TREMPLINS

    if min(words.senders, words.rate) < TREMPLINS:
        print(f"There is too little for {TREMPLINS} tremplins: give more.", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory(prefix="reclog-plan-", dir=words.folder or None) as folder:
        try:
            found = run.measure_all(Path(folder), words.rate, words.seconds, words.senders)
        except Missing as why:
            print(why, file=sys.stderr)
            return 1
        except (AssertionError, RuntimeError, OSError, pytest.fail.Exception) as why:
            print(f"The run failed: {why}", file=sys.stderr)
            return 1
    if words.out:
        Path(words.out).write_text(found.as_json(), "utf-8")
    print(plan.markdown(found))
    return 0


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inv dev.plan", description=__doc__)
    parser.add_argument("--run", action="store_true", help="make the small real run")
    parser.add_argument("--rate", type=int, default=30_000, help="its lines a second, in all")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long they come")
    parser.add_argument("--senders", type=int, default=600, help="devices, in all")
    parser.add_argument("--folder", default="", help="where all of it is stored meanwhile")
    parser.add_argument("--out", default="", help="file for what was measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
