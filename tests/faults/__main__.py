"""`inv dev.faults`: what promises are worth on a bad day. See docs/reliability.md."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from rich.console import Console  # noqa: E402 the path comes first

#: Seconds after the end of the time that a lane may need to end its round.
END_WITHIN = 240.0


def main() -> int:
    """Run the lanes side by side, each in a process of its own; the exit status."""
    words = _words().parse_args()
    seed = words.seed if words.seed is not None else random.randrange(1_000_000)
    if importlib.util.find_spec("pytest") is None:
        print("What the tests need is not here: run `sh bootstrap.sh tests`.", file=sys.stderr)
        return 1
    if words.lane:
        return _run_lane(words, seed)
    from lanes import ALL, NEED_ROOT, OURS

    names = words.system.split(",") if words.system else list(OURS)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"There is no system {', '.join(unknown)}: choose from {', '.join(ALL)}.", file=sys.stderr)
        return 2
    if os.geteuid() != 0 and set(names) & set(NEED_ROOT):
        print(
            f"Only root can make hosts for {', '.join(NEED_ROOT)}: use --system {OURS[0]}.", file=sys.stderr
        )
        return 1
    if words.kills:
        return _kill(names, words, seed)
    print(f"seed {seed}, {words.minutes:g} minutes, {', '.join(names)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results = {name: Path(folder, name) for name in names}
        running = [_start_lane(name, words, seed, results[name]) for name in names]
        until = time.monotonic() + words.minutes * 60 + END_WITHIN
        try:
            statuses = [_wait(process, until) for process in running]
        except KeyboardInterrupt:  # the lanes hear it too, and tidy up
            statuses = [_wait(process, time.monotonic() + 60.0) for process in running]
        rows = {name: _rows(path) for name, path in results.items()}
    return _report(rows, statuses, words.json, seed, words.markdown)


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inv dev.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--system", default="", help="names, with commas between")
    parser.add_argument("--fault", default="", help="only faults with this in their name")
    parser.add_argument("--round", type=int, help="this round alone")
    parser.add_argument("--rotate", action="store_true", help="rotate the file in every round")
    parser.add_argument("--kills", type=int, default=0, help="in place of rounds: so many kills at random")
    parser.add_argument("--megabytes", type=int, default=2000, help="with --kills: so much is sent meanwhile")
    parser.add_argument("--json", default="", help="where to write the results")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--lane", default="", help=argparse.SUPPRESS)
    return parser


def _kill(names: list[str], words: argparse.Namespace, seed: int) -> int:
    from long_stream import RECORDING, run

    if not set(names) <= set(RECORDING):
        print(f"--kills is for --system {' or '.join(RECORDING)}.", file=sys.stderr)
        return 2
    for name in names:
        print(f"seed {seed}, {words.kills} kills in {words.megabytes} MB, {name}", flush=True)
        print(run(name, words.megabytes, words.kills, seed, words.rotate), flush=True)
    return 0


def _start_lane(name: str, words: argparse.Namespace, seed: int, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE), "--lane", name, "--seed", str(seed), "--json", str(out)]
    command += ["--minutes", str(words.minutes), "--fault", words.fault]
    if words.round is not None:
        command += ["--round", str(words.round)]
    if words.rotate:
        command.append("--rotate")
    return subprocess.Popen(command)


def _run_lane(words: argparse.Namespace, seed: int) -> int:
    from campaign import complain, rounds
    from lanes import lane

    which = lane(words.lane)
    until = time.monotonic() + words.minutes * 60
    failures = 0
    if not any(words.fault in name for name in which.faults):
        return 0
    with open(words.json, "w", encoding="utf-8") as out, contextlib.suppress(KeyboardInterrupt):
        for result in rounds(which, seed, until, words.fault, words.round, words.rotate):
            print(json.dumps(result), file=out, flush=True)
            if result["failure"] and which.promises:
                complain(which, seed, result)
                failures += 1
            elif result["failure"]:
                print(f"{which.name}: {result['failure'].splitlines()[-1]}", file=sys.stderr)
    return 1 if failures else 0


def _wait(process: subprocess.Popen[bytes], until: float) -> int:
    try:
        return process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        print("a lane did not end in time", file=sys.stderr)
        return process.wait()


def _rows(path: Path) -> dict[str, dict[str, float]]:
    from campaign import Row

    rows: dict[str, Row] = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        for name, row in json.loads(line)["rows"].items():
            rows.setdefault(name, Row()).add(Row(**row))
    return {name: vars(row) for name, row in rows.items()}


def _report(
    results: dict[str, dict[str, dict[str, float]]],
    statuses: list[int],
    out: str,
    seed: int,
    as_markdown: bool,
) -> int:
    from campaign import Row
    from lanes import OURS
    from report import markdown, show

    console = Console(width=None if sys.stdout.isatty() else 160)
    for name, found in results.items():
        rows = {fault: Row(**row) for fault, row in found.items()}  # type: ignore[arg-type]
        if as_markdown:
            print(f"\n{name}\n\n{markdown(rows)}")
        else:
            show(console, name, rows)
    if not any(results.values()):
        print("No fault was done: see the names in docs/reliability.md, or give more time.", file=sys.stderr)
        return 2
    done = sum(int(row["times"]) for found in results.values() for row in found.values())
    kept = "PROMISES BROKEN" if any(statuses) else "every promise was kept"
    if not set(results) & set(OURS):
        kept = "by systems that promise nothing"
    print(f"seed {seed}: {done} faults, {kept}")
    if out:
        Path(out).write_text(json.dumps({"seed": seed, "systems": results}, indent=1), "utf-8")
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
