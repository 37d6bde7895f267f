"""Work 5: the time from a line's send(2) until it can be read in the file."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure
from benchmarks.load import LINE, Ages, Sent, answer, wait_ready
from benchmarks.ours import BUILTIN, SOCAT
from benchmarks.rows import Job, Row, Run
from benchmarks.systems import System
from benchmarks.trial import JUDGED, QUIET_FOR, Stage, size_of

TITLE = "5. From send to being readable in the file"
SENDERS = 8
WARM_UP = 0.5
SYSTEMS = (BUILTIN, SOCAT, "socat, tuned", "syslog-ng", "rsyslog imptcp")


def rates(stage: Stage) -> list[tuple[int, float]]:
    """Return lines a second, and for how many seconds."""
    return [(1_000, 0.5), (5_000, 0.5)] if stage.quick else [(1_000, 2.0), (50_000, 2.0)]


def run(stage: Stage, systems: Sequence[System]) -> list[Row]:
    """Do it on the LAN."""
    jobs = []
    for rate, seconds in rates(stage):
        for system in systems:
            if system.name not in SYSTEMS:
                continue

            def once(number: int, system: System = system, rate: int = rate, seconds: float = seconds) -> Run:
                with stage.running(system) as (running, port):
                    return ages(stage, running.file, port, [running.process.pid], rate, seconds)

            ours = system.name in (BUILTIN, SOCAT)
            times = stage.times(JUDGED if ours and rate > 1000 else 2 if ours else 1)
            jobs.append(Job(Row(f"{rate:,} lines/s", system.name), times, once))
    return stage.rows(jobs)


def ages(stage: Stage, file: Path, port: int, roots: Sequence[int], rate: int, seconds: float) -> Run:
    """Return how old lines were at `rate` a second, after a warm-up, and what the system used meanwhile."""
    before = size_of(file)
    warm = Sent(**stage.load.run("pace", port, SENDERS, rate, WARM_UP))
    until = time.monotonic() + QUIET_FOR
    while size_of(file) < before + warm.sent * LINE and time.monotonic() < until:
        time.sleep(0.01)
    skip = size_of(file)
    lines = int(rate * seconds)
    reader = stage.load.start("follow", file, lines, seconds + QUIET_FOR)
    wait_ready(reader)
    used = measure.cpu(roots)
    sent = Sent(**stage.load.run("pace", port, SENDERS, rate, seconds))
    found = Ages(**answer(reader))
    used = measure.cpu(roots) - used
    run: Run = {"sent": sent.sent, "cpu_percent": used / (sent.ended - sent.began) * 100}
    run |= {name: value for name, value in dataclasses.asdict(found).items() if name != "lines"}
    return run | stage.judged(sent, file, (SENDERS, -(-lines // SENDERS)), skip)
