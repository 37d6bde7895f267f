"""`inv dev.bench`: what recording costs, side by side with others. See docs/performance.md."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Not this folder itself: its modules are `benchmarks.…`, and a plain name must not find one of them.
sys.path[:] = [str(ROOT), str(ROOT / "tests" / "integration"), *(one for one in sys.path if one != str(HERE))]


def main() -> int:
    """Measure, print, write; the exit status is 1 if reclog lost a line."""
    words = _words().parse_args()
    # What was started ends with us, also where somebody has had enough.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if importlib.util.find_spec("pytest") is None:
        print("What the benchmark needs is not here: run `sh bootstrap.sh bench`.", file=sys.stderr)
        return 1
    from benchmarks.debs import Missing
    from benchmarks.suite import measure_all

    if words.folder and not Path(words.folder).is_dir():
        print(f"{words.folder} is no folder: make it, or leave --folder out.", file=sys.stderr)
        return 2
    out = Path(words.out) if words.out else HERE / "results"
    with tempfile.TemporaryDirectory(prefix="reclog-bench-", dir=words.folder or None) as folder:
        try:
            return measure_all(words, Path(folder), out)
        except Missing as why:
            print(why, file=sys.stderr)
            return 1


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inv dev.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once, and nothing is fetched")
    parser.add_argument("--work", default="", help="numbers of works, with commas between; also `start`")
    parser.add_argument("--system", default="", help="only systems with one of these in their names")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of what a bar names")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long all of it may take")
    parser.add_argument("--folder", default="", help="where recordings go: a folder on a real disk")
    parser.add_argument("--out", default="", help="folder for the results and plots")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
