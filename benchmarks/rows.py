"""The results: a row for each case and system, with all that was measured in each repetition."""

from __future__ import annotations

import dataclasses
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

Run = dict[str, float]
"""What one repetition yielded, by name: seconds, bytes, counts."""

FAILED = "failed:"
"""With it begins the note of a row that has not all its runs for a reason that follows."""

TOO_LONG = 15.0
"""Seconds: a trial that takes longer is not repeated, or all would take too long."""

Say = Callable[[str], None]


@dataclasses.dataclass
class Row:
    """A system at a case of a work."""

    case: str
    system: str
    runs: list[Run] = dataclasses.field(default_factory=list)
    #: What the reader must know of it: less work than the others had, or why it failed.
    note: str = ""
    #: Where the case stands on the axis of a growth curve.
    x: float | None = None

    def values(self, name: str) -> list[float]:
        """Return what was measured, in the order of the repetitions."""
        return [run[name] for run in self.runs if name in run]

    def median(self, name: str) -> float | None:
        """Return the median of all repetitions; None if it was never measured."""
        values = self.values(name)
        return statistics.median(values) if values else None

    def total(self, name: str) -> int:
        """Return the sum over all repetitions: losses don't hide behind a median."""
        return int(sum(self.values(name)))

    def as_json(self) -> dict[str, Any]:
        """Return it with its medians."""
        names = dict.fromkeys(name for run in self.runs for name in run)
        return {**dataclasses.asdict(self), "median": {name: self.median(name) for name in names}}


@dataclasses.dataclass
class Job:
    """A row in the making: `run` is called `times` times, with the number of the repetition."""

    row: Row
    times: int
    run: Callable[[int], Run]


def interleaved(jobs: Sequence[Job], say: Say, until: float) -> list[Row]:
    """Do all jobs, the repetitions of each spread over the whole time: noise hits all alike.

    A job that fails is not tried again, and one that takes too long is not repeated; its row says why.
    After `until` (of the monotonic clock) nothing is repeated, and all is done once.
    """
    over: set[int] = set()
    order = list(range(len(jobs)))
    for number in range(max((job.times for job in jobs), default=0)):
        for index in order:
            job = jobs[index]
            if number >= job.times or index in over or (number and time.monotonic() > until):
                continue
            began = time.monotonic()
            try:
                job.row.runs.append(job.run(number))
            except (RuntimeError, OSError) as error:
                over.add(index)
                job.row.note = f"{job.row.note} {FAILED} {error}".strip()
            else:
                say(f"{job.row.case}: {job.row.system}, {number + 1} of {job.times}{_said(job.row.runs[-1])}")
                if time.monotonic() - began > TOO_LONG and number + 1 < job.times:
                    over.add(index)
                    job.row.note = f"{job.row.note} not repeated: it takes too long".strip()
        random.Random(number).shuffle(order)  # who comes after whom differs, and is the same each time
    return [job.row for job in jobs]


def _said(run: Run) -> str:
    shown = [f"{name} {run[name]:.4g}" for name in ("wall", "cpu", "p99_ms", "lost", "torn") if name in run]
    return ": " + ", ".join(shown) if shown else ""
