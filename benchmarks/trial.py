"""One trial: a system, started afresh, is given a load, until its last line is in the file."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import free_port

from benchmarks import measure
from benchmarks.load import LINE, Load, Sent, answer
from benchmarks.rows import Job, Row, Run, Say, interleaved
from benchmarks.systems import Running, System

LOOK_EVERY = 0.001
"""Seconds between two looks at the size of the file: the precision of `wall`."""

JUDGED = 5
"""Repetitions of what a bar names, unless more are asked for."""

QUIET_FOR = 2.0
"""Seconds without growth after which what is missing is taken for lost."""


@dataclasses.dataclass
class Stage:
    """Where trials happen."""

    load: Load
    folder: Path
    repeat: int
    quick: bool
    say: Say
    #: How long all works together may take; the more, the more is repeated.
    minutes: float = 10.0
    #: When, of the monotonic clock, the work at hand is to do nothing again.
    until: float = math.inf

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Path]:
        """Give a folder for one trial, and take it away."""
        folder = Path(tempfile.mkdtemp(prefix="trial-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def running(self, system: System) -> Iterator[tuple[Running, int]]:
        """Start `system` afresh; give it and its port; end it."""
        with self.fresh() as folder:
            port = free_port()
            running = system.start(folder, port)
            try:
                yield running, port
            finally:
                running.stop()

    def rows(self, jobs: Sequence[Job]) -> list[Row]:
        """Do the jobs of a work, or of a part of it."""
        return interleaved(jobs, self.say, self.until)

    def times(self, wanted: int) -> int:
        """Return how often to repeat what is worth `wanted` times: what a bar names, as often as asked."""
        return self.repeat if wanted == JUDGED else min(wanted, self.repeat)

    def trial(self, system: System, words: Sequence[object], numbered: tuple[int, int], look: bool) -> Run:
        """Have `system` record what the generator's command `words` makes; the port goes behind its name.

        `numbered` are the senders, and the lines of each, that the checker is to expect. With `look`, memory
        is measured too, which costs the machine some CPU.
        """
        with self.running(system) as (running, port):
            roots = [running.process.pid]
            peak = measure.Peak(roots)
            with peak.watched() if look else contextlib.nullcontext():
                used = measure.cpu(roots)
                command, *rest = words
                sent, wall = until_recorded(self.load.start(command, port, *rest), running.file)
                used = measure.cpu(roots) - used
            judged = self.judged(sent, running.file, numbered)
            run = {**outcome(sent, wall, used, judged["whole"]), **judged}
            if look:
                run |= {"memory": peak.bytes, "processes": peak.processes}
            return run

    def judged(self, sent: Sent, file: Path, numbered: tuple[int, int], skip: int = 0) -> Run:
        """Return what of `sent` is in `file`, and what is wrong there."""
        found = self.load.check(file, *numbered, skip) if file.exists() else None
        if found is None:
            return {"whole": 0, "lost": sent.sent, "doubled": 0, "torn": 0, "disordered": 0}
        return {**dataclasses.asdict(found), "lost": max(0, sent.sent - found.whole)}


def outcome(sent: Sent, wall: float, used: float, whole: float) -> Run:
    """Return the figures of a trial, and those that follow from them: only `whole` lines count as work."""
    run: Run = {"sent": sent.sent, "failed": sent.failed, "wall": wall, "cpu": used}
    if whole and wall > 0:
        run |= {"lines_per_s": whole / wall, "mb_per_s": whole * LINE / wall / 1e6}
        run |= {"us_per_line": used / whole * 1e6}
    return run


def until_recorded(generator: subprocess.Popen[str], file: Path, skip: int = 0) -> tuple[Sent, float]:
    """Wait until what the generator sends is in the file; return that and the seconds it took in all.

    Counted from the generator's first moment to the file's last growth. `skip` bytes were there before.
    """
    size, grown_at = size_of(file), time.monotonic()
    sent: Sent | None = None
    while True:
        now = size_of(file)
        at = time.monotonic()
        if now != size:
            size, grown_at = now, at
        if sent is None and generator.poll() is not None:
            sent = Sent(**answer(generator))
        if sent is not None:
            done = size - skip >= sent.sent * LINE
            if done or at - max(grown_at, sent.ended) > QUIET_FOR:
                return sent, max(0.0, grown_at - sent.began)
        time.sleep(LOOK_EVERY)


def size_of(file: Path) -> int:
    """Return how many bytes a file has; none if it is not there yet."""
    try:
        return os.stat(file).st_size
    except FileNotFoundError:
        return 0
