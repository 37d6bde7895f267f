"""Work 1: connections of one line each, some at a time and all at once."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.rows import Job, Row, Run
from benchmarks.systems import System
from benchmarks.trial import JUDGED, Stage

TITLE = "1. Connections of one 100-byte line each"
SLOW = ("socat, as in the old script", "ncat", "socketserver", "rsyslog imtcp")
"""They have short queues: a connection that finds one full is tried again by its kernel after a second."""

SECONDS = 4.0
"""After which no connection is made any more; only the slow are not done then."""


def run(stage: Stage, systems: Sequence[System]) -> list[Row]:
    """Do it with all systems."""
    cases = [(400, 16), (200, 200)] if stage.quick else [(8000, 16), (2000, 2000)]
    jobs = []
    for count, at_once in cases:
        case = f"{count:,} connections, {'all' if at_once == count else at_once} at once"
        for system in systems:
            slow = system.name in SLOW
            if slow and stage.quick:
                continue

            def once(number: int, system: System = system, count: int = count, at_once: int = at_once) -> Run:
                words = ("connect", count, at_once, SECONDS)
                return stage.trial(system, words, (count, 1), number == 0)

            jobs.append(Job(Row(case, system.name), stage.times(1 if slow else JUDGED), once))
    return stage.rows(jobs)
