"""Mistakes that somebody could make in the engine, and the test that must catch each by its name.

A mistake is an exact replacement in one module. `caught_by` is a pytest node; it must fail with the bug, and
say the verdict. A bug that only real processes show names a test of those instead of the model's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ENGINE = Path("reclog/engine")
MODEL = "tests/faults/test_model.py"
#: Stories with a death at every change: always the same, and quicker to find a mistake than random ones.
DEATH = f"{MODEL}::test_a_death_at_every_change"
#: Real processes.
STOP = "tests/integration/test_stop.py"


_DRAIN = """\
        self._let_arrive()
        if self._socat is not None:
            complete = self._socat.drain(until)
        if self._builtin is not None:
            complete = self.intake.drain(self._builtin, until)
            complete = self.intake.drain_senders(until) and complete
"""


class SeededBug(NamedTuple):
    """One mistake: what is replaced where, and who says what about it."""

    name: str
    module: str
    old: str
    new: str
    caught_by: str
    verdict: str


BUGS = [
    SeededBug(
        "ack before the sync",
        "outlets/landing.py",
        "        self.sink.sync()\n        self.settled = self._save_checkpoint()\n",
        "        self.settled = self._save_checkpoint()\n",
        f"{DEATH}[ended-laptop]",
        "not on disk",
    ),
    SeededBug(
        "no sync aside",
        "outlets/acks.py",
        "            lambda: self._disk.fdatasync(settling.fd), lambda error",
        "            lambda: None, lambda error",
        f"{DEATH}[plain-laptop]",
        "not on disk",
    ),
    SeededBug(
        "settled aside: all that came meanwhile, too",
        "outlets/landing.py",
        "        self.settled = settling.checkpoint.offset\n",
        "        self.settled = self.position\n",
        f"{MODEL}::test_what_comes_during_a_sync_is_not_settled_by_it",
        "not on disk",
    ),
    SeededBug(
        "settled aside: a file that was left meanwhile",
        "outlets/landing.py",
        "        if settling.number != self._number or self.sink.touched:\n",
        "        if self.sink.touched:\n",
        f"{MODEL}::test_a_sync_of_a_file_that_was_left_settles_nothing",
        "lost",
    ),
    SeededBug(
        "checkpoint before the sync",
        "outlets/landing.py",
        "        self.sink.sync()\n        self.settled = self._save_checkpoint()\n",
        "        self.settled = self._save_checkpoint()\n        self.sink.sync()\n",
        f"{DEATH}[lossy-laptop]",
        "not on disk",
    ),
    SeededBug(
        "checkpoint not synced",
        "outlets/landing.py",
        "checkpoint._asdict(), sync=True,",
        "checkpoint._asdict(), sync=False,",
        f"{DEATH}[ended-laptop]",
        "doubled",
    ),
    SeededBug(
        "offset off by one",
        "outlets/landing.py",
        "            offset = self.position - self.sink.unwritten\n",
        "            offset = self.position - self.sink.unwritten + (self.position > 0)\n",
        f"{DEATH}[lossy-tremplin]",
        "not on disk",
    ),
    SeededBug(
        "segment deleted one ack early",
        "stores/spool.py",
        "            while len(self._segments) > 1 and sum(self._segments[0]) <= self.acked:\n",
        "            while len(self._segments) > 1 and self._segments[0][0] <= self.acked:\n",
        f"{MODEL}::test_a_segment_acked_in_part_stays",
        "not on disk",
    ),
    SeededBug(
        "mark not on disk before it is used",
        "stores/spool.py",
        "                self._save(clean=False, mark=mark)\n",
        "",
        f"{DEATH}[lossy-tremplin]",
        "offset used twice",
    ),
    SeededBug(
        "start after a power cut at the files' end",
        "stores/spool.py",
        "            self.end = max(found, self._mark)\n",
        "            self.end = max(found, self.acked)\n",
        f"{DEATH}[ended-tremplin]",
        "offset used twice",
    ),
    SeededBug(
        "spool fuller than its limit",
        "stores/spool.py",
        "            if self.size + len(piece) > self.limit:\n",
        "            if self.size > self.limit:\n",
        f"{DEATH}[cramped-tremplin]",
        "over the limit",
    ),
    SeededBug(
        "half line of a killed relay goes on",
        "stores/spool.py",
        "        elif self._inside_line:\n",
        "        elif self._inside_line and not self.end:\n",
        f"{DEATH}[ended-tremplin]",
        "torn",
    ),
    SeededBug(
        "short write repeated",
        "stores/file.py",
        "            self._pause(error)\n            return False\n",
        "            self.batch._done = 0\n            self._pause(error)\n            return False\n",
        f"{DEATH}[cramped-laptop]",
        "doubled",
    ),
    SeededBug(
        "half line at the end of the file not closed",
        "intake/batch.py",
        "            self.open_by = STRANGER if inside_line else None\n",
        "            self.open_by = None\n",
        f"{DEATH}[ended-tremplin]",
        "torn",
    ),
    SeededBug(
        "another's text behind ours unnoticed",
        "stores/file.py",
        "        elif now.st_size != self._size:\n",
        "        elif now.st_size < self._size:\n",
        f"{DEATH}[cramped-tremplin]",
        "torn",
    ),
    SeededBug(
        "line after a gap joined to the one before",
        "outlets/landing.py",
        "        self._who += 1  # what follows begins on a line of its own\n",
        "",
        f"{MODEL}::test_a_gap_within_a_line_ends_it",
        "torn",
    ),
    SeededBug(
        "renamed file left unsynced",
        "outlets/landing.py",
        "        self._number += 1\n        self._disk.fdatasync(fd)\n",
        "        self._number += 1\n",
        f"{DEATH}[edited-tremplin]",
        "not on disk",
    ),
    SeededBug(
        "no checkpoint when the file was touched",
        "outlets/landing.py",
        "        self.sink.on_touched = self._checkpoint_in_passing\n",
        "",
        f"{DEATH}[edited-tremplin]",
        "doubled",
    ),
    SeededBug(
        "comparing skips the line's beginning",
        "outlets/checkpoint.py",
        "if equal < len(there):\n                return bytes(self._line) + data[taken:], False\n",
        "if equal < len(there):\n                return data[taken:], False\n",
        f"{MODEL}::test_a_half_line_that_a_stranger_went_on_with_is_written_again",
        "torn",
    ),
    SeededBug(
        "comparing repeats the half line",
        "outlets/checkpoint.py",
        "                    return data[taken:], self.inside or bool(self._line)\n",
        "                    return bytes(self._line) + data[taken:], self.inside or bool(self._line)\n",
        f"{DEATH}[ended-laptop]",
        "doubled",
    ),
    SeededBug(
        "renamed file not looked for",
        "outlets/checkpoint.py",
        "(other for other in beside if other != path and self._may_be(other, disk))",
        "(other for other in beside if not other)",
        f"{DEATH}[edited-tremplin]",
        "doubled",
    ),
    SeededBug(
        "checkpoint without a look back",
        "outlets/checkpoint.py",
        " and tail_hash(fd, self.size, disk) == self.tail\n",
        "\n",
        f"{MODEL}::test_a_file_truncated_and_grown_is_noticed",
        "unsaid",
    ),
    SeededBug(
        "two senders in one line",
        "intake/batch.py",
        "        goes_on = self.open_by == who\n",
        "        goes_on = self.open_by is not None\n",
        f"{DEATH}[ended-tremplin]",
        "torn",
    ),
    SeededBug(
        "end taken for acked before it is",
        "feed/server.py",
        "            if self.ending and peer.said_last and frame.offset >= self._spool.end:\n",
        "            if self.ending and peer.said_last:\n",
        f"{MODEL}::test_an_ack_on_its_way_when_the_end_is_said_is_not_the_last",
        "not on disk",
    ),
    # What arrives late is read for a moment before, which alone would hide that the rest is skipped.
    SeededBug(
        "drain skipped",
        "daemons/entrance.py",
        _DRAIN,
        "",
        f"{STOP}::test_kill_keeps_the_queue[builtin-recorder]",
        "are lost",
    ),
    SeededBug(
        "drain of socat skipped",
        "daemons/entrance.py",
        _DRAIN,
        "",
        f"{STOP}::test_kill_keeps_the_queue[socat-recorder]",
        "could not be recorded",
    ),
]


def copy_tree(folder: Path) -> None:
    """Copy what the tests need, without what was compiled."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "corpus")
    shutil.copytree(ROOT / "reclog", folder / "reclog", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "faults", folder / "tests" / "faults", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "integration", folder / "tests" / "integration", ignore=ignore)
    for name in ("pyproject.toml", "tasks.py", "fabfile.py"):
        shutil.copy(ROOT / name, folder)


def seed(folder: Path, bug: SeededBug) -> None:
    """Make the mistake in a copy."""
    path = folder / ENGINE / bug.module
    text = path.read_text(encoding="utf-8")
    count = text.count(bug.old)
    assert count == 1, f"{bug.name}: what is to be replaced is {count} times in {bug.module}"
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


def run(folder: Path, *nodes: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy, which must import the copy's engine."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "RECLOG_MODEL_SEEDED": "1",
        "RECLOG_MODEL_ENGINE": str(folder / ENGINE),
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-x", "-q"]
    settings = ["-o", "addopts=", "-o", "pythonpath=tests/integration tests/faults"]
    return subprocess.run(
        [*command, *settings, *nodes],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
