"""Work 7: how cost grows with the senders, with the lines, and with the size of a spool."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import LINE
from benchmarks.ours import BUILTIN
from benchmarks.rows import Job, Row, Run
from benchmarks.systems import System
from benchmarks.trial import JUDGED, Stage
from reclog.engine.stores.spool import SEGMENT, Spool

TITLE = "7. How cost grows"
SENDERS = "senders"
LINES = "lines"
SPOOL = "spool"

SLOW = "socat, tuned"
SYSTEMS = (BUILTIN, SLOW, "syslog-ng")
SPOOL_NAME = "reclog's spool"

#: Lines that are there at both ends of a spool made for this; what is between is a hole in a sparse file.
FILLING = b"x" * (LINE - 1) + b"\n"


def run(stage: Stage, systems: Sequence[System]) -> list[Row]:
    """Do it: CPU for each line, by senders and by lines; a spool's opening, by its size."""
    some = [system for system in systems if system.name in SYSTEMS]
    jobs = [*_by_senders(stage, some), *_by_lines(stage, some), *_by_spool(stage)]
    return stage.rows(jobs)


def _by_senders(stage: Stage, systems: Sequence[System]) -> list[Job]:
    total = 20_000 if stage.quick else 500_000
    jobs = []
    for senders in (1, 10, 100) if stage.quick else (1, 10, 100, 1000, 5000):
        for system in systems:
            row = Row(f"{SENDERS}: {total:,} lines of {senders:,}", system.name, x=senders)
            lines = total // senders
            if system.name == SLOW and senders >= 100:
                row.note, lines = "a tenth of the lines", lines // 10
            jobs.append(_lines_job(stage, system, row, senders, lines))
    return jobs


def _by_lines(stage: Stage, systems: Sequence[System]) -> list[Job]:
    jobs = []
    for lines in (1_000, 10_000) if stage.quick else (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        for system in systems:
            if lines > 1_000_000 and system.name != BUILTIN:
                continue  # a line costs them what it costs with a tenth, and takes time
            row = Row(f"{LINES}: {lines:,} lines of 8", system.name, x=lines)
            jobs.append(_lines_job(stage, system, row, 8, lines // 8))
    return jobs


def _lines_job(stage: Stage, system: System, row: Row, senders: int, lines: int) -> Job:
    def once(_: int) -> Run:
        return stage.trial(system, ("lines", senders, lines, 1), (senders, lines), look=False)

    times = JUDGED if system.name == BUILTIN and senders * lines <= 1_000_000 else 1
    return Job(row, stage.times(times), once)


def _by_spool(stage: Stage) -> list[Job]:
    jobs = []
    for megabytes in (10, 100) if stage.quick else (10, 100, 1_000, 10_000, 20_000):
        size = f"{megabytes} MB" if megabytes < 1000 else f"{megabytes // 1000} GB"

        def once(_: int, megabytes: int = megabytes) -> Run:
            with stage.fresh() as folder:
                return _opened(folder / "spool", megabytes * 1_000_000)

        note = "sparse files of the right names and lengths"
        jobs.append(
            Job(Row(f"{SPOOL}: {size}", SPOOL_NAME, note=note, x=megabytes), stage.times(JUDGED), once)
        )
    return jobs


def _opened(folder: Path, size: int) -> Run:
    """Return the seconds that a spool of `size` bytes takes to open, and to hand out what is asked for."""
    _make(folder, size)
    began = time.perf_counter()
    spool = Spool(str(folder), 2 * size, _ignore)
    jumps = spool.open()
    run: Run = {"open": time.perf_counter() - began}
    asked = {"resume": spool.acked, "resume_at_end": spool.end - LINE}
    for name, offset in asked.items():
        began = time.perf_counter()
        data = spool.cursor(offset).read()
        run[name] = time.perf_counter() - began
        if jumps or not isinstance(data, bytes) or not data.startswith(FILLING):
            raise RuntimeError("the spool does not hold what was put into it")
    spool.close()
    return run


def _make(folder: Path, size: int) -> None:
    """Make a spool of at least `size` bytes.

    Opening looks at names and lengths, so that segments may be sparse, but for the lines that are read.
    """
    spool = Spool(str(folder), 2 * size, _ignore)
    spool.open()
    spool.close()
    for start in range(0, size, SEGMENT):
        with open(folder / f"{start:020d}.seg", "wb") as file:
            file.write(FILLING)
            file.truncate(SEGMENT)
            file.seek(SEGMENT - LINE)
            file.write(FILLING)


def _ignore(event: str, **facts: object) -> None:
    """Take note of nothing."""
