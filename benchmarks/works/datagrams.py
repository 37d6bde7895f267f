"""Work 9: datagrams of one line, from many addresses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure
from benchmarks.field import of_datagrams
from benchmarks.load import LINE, Sent
from benchmarks.ours import BUILTIN
from benchmarks.rows import Job, Row, Run
from benchmarks.systems import Running, System
from benchmarks.trial import JUDGED, Stage, size_of

TITLE = "9. Datagrams of 100 bytes, from 1,000 addresses"
STEADY, HIGHEST = "50,000 a second", "the highest rate without a drop"
SENDERS, RATE = 1000, 50_000
SETTLED_AFTER = 0.2
"""Seconds without growth after which what a system has received is in its file."""

SLOWEST, FASTEST, STEPS = 20_000, 640_000, 6
"""Datagrams a second between which the highest rate is looked for, and in how many steps."""


def run(stage: Stage, systems: Sequence[System], cache: Path) -> list[Row]:
    """Do it with ours, and with those that record datagrams."""
    peers = [] if stage.quick else [peer for peer in of_datagrams(cache) if not peer.missing()]
    systems = [*(one for one in systems if one.name == BUILTIN), *peers]
    rate, seconds = (5_000, 0.2) if stage.quick else (RATE, 2.0)
    jobs = []
    for system in systems:

        def steady(_: int, system: System = system) -> Run:
            with stage.running(system) as (running, port):
                return _paced(stage, running, port, rate, seconds)

        def highest(_: int, system: System = system) -> Run:
            return _highest(stage, system)

        jobs.append(Job(Row(STEADY, system.name), stage.times(JUDGED), steady))
        if not stage.quick:
            jobs.append(Job(Row(HIGHEST, system.name), stage.times(JUDGED), highest))
    return stage.rows(jobs)


def _paced(stage: Stage, running: Running, port: int, rate: int, seconds: float) -> Run:
    roots = [running.process.pid]
    used = measure.cpu(roots)
    sent = Sent(**stage.load.run("datagrams", port, SENDERS, rate, seconds))
    _settle(running.file, sent.sent)
    used = measure.cpu(roots) - used
    judged = stage.judged(sent, running.file, (SENDERS, -(-sent.sent // SENDERS)))
    dropped = measure.dropped(port)
    run = {"sent": sent.sent, "cpu": used, "dropped": dropped, **judged}
    run |= {
        "us_per_line": used / judged["whole"] * 1e6,
        "cpu_percent": used / (sent.ended - sent.began) * 100,
    }
    # Each is recorded or counted: what is neither is lost, or recorded twice.
    return run | {"lost": abs(sent.sent - judged["whole"] - dropped)}


def _highest(stage: Stage, system: System) -> Run:
    """Return the highest rate that was really sent, and of which nothing was dropped."""
    low, high, found = SLOWEST, FASTEST, 0.0
    with stage.running(system) as (running, port):
        for _ in range(STEPS):
            rate = int((low * high) ** 0.5)
            before, size = measure.dropped(port), size_of(running.file)
            sent = Sent(**stage.load.run("datagrams", port, SENDERS, rate, 1.0))
            _settle(running.file, sent.sent, size)
            if measure.dropped(port) == before:
                low = rate
                found = max(found, sent.sent / (sent.ended - sent.began))
            else:
                high = rate
    return {"lines_per_s": found}


def _settle(file: Path, count: int, before: int = 0) -> None:
    """Wait until so many are in the file behind `before`, or what came of them."""
    size, grown = size_of(file), time.monotonic()
    while size < before + count * LINE and time.monotonic() < grown + SETTLED_AFTER:
        time.sleep(0.005)
        if (now := size_of(file)) != size:
            size, grown = now, time.monotonic()
