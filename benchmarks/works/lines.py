"""Works 2 and 3: few senders with many lines, a send(2) for each line, and one for 650 of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.ours import BUILTIN, SOCAT
from benchmarks.rows import Job, Row, Run
from benchmarks.systems import System
from benchmarks.trial import JUDGED, Stage

TITLE_LINES = "2. 8 senders, one send a line"
TITLE_BULK = "3. Bulk: sends of 65,000 bytes"

BULK = 650
"""Lines in one send."""

EIGHT, ONE = "8 senders, 800 MB", "1 sender, 2 GB"

FAST = (BUILTIN, "socat, tuned")
"""Those that record some hundred MB in a second; the others are given a tenth."""

REPEATED = (*FAST, SOCAT, "syslog-ng", "ncat", "rsyslog imptcp")
"""Reclog's, and those that come near it or that a bar names."""

TENTH = "a tenth of the data"


@dataclasses.dataclass(frozen=True)
class Case:
    """What is sent."""

    name: str
    senders: int
    lines: int
    block: int


def one_line_sends(stage: Stage, systems: Sequence[System]) -> list[Row]:
    """Do work 2."""
    case = Case("8 senders, 100,000 lines each", 8, 100_000, 1)
    if stage.quick:
        case = Case("8 senders, 5,000 lines each", 8, 5_000, 1)
    return stage.rows([_job(stage, system, case) for system in systems])


def bulk(stage: Stage, systems: Sequence[System]) -> list[Row]:
    """Do work 3."""
    cases = [
        Case(EIGHT, 8, 1_000_000, BULK),
        Case(ONE, 1, 20_000_000, BULK),
    ]
    if stage.quick:
        cases = [Case("8 senders, 4 MB", 8, 5_000, BULK), Case("1 sender, 10 MB", 1, 100_000, BULK)]
    jobs = []
    for case in cases:
        for system in systems:
            if system.name in FAST or stage.quick:
                jobs.append(_job(stage, system, case))
            else:
                small = dataclasses.replace(case, lines=case.lines // 10)
                jobs.append(_job(stage, system, small, TENTH))
    return stage.rows(jobs)


def _job(stage: Stage, system: System, case: Case, note: str = "") -> Job:
    def once(number: int) -> Run:
        words = ("lines", case.senders, case.lines, case.block)
        return stage.trial(system, words, (case.senders, case.lines), number == 0)

    times = stage.times(JUDGED if system.name in REPEATED else 1)
    return Job(Row(case.name, system.name, note=note), times, once)
