"""Whether the load is fast enough not to be what is measured; and another generator's view."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench import free_port

from benchmarks import measure
from benchmarks.debs import Missing
from benchmarks.load import LINE, Sent
from benchmarks.ours import BUILTIN
from benchmarks.rows import Job, Row, Run
from benchmarks.syslogs import loggen
from benchmarks.systems import System
from benchmarks.trial import QUIET_FOR, Stage, size_of
from benchmarks.works.lines import EIGHT, ONE

TITLE = "The generator against a sink that throws all away"
TITLE_LOGGEN = "Another generator: syslog-ng's loggen, 8 senders, a send a line"
SINK = "sink"
LOGGEN_LINES = 50_000
"""Lines of each sender."""

LOGGEN_LINE = 200
"""Bytes; in fewer than 127 there is no room for a newline."""

LOADS: dict[str, tuple[object, ...]] = {
    "8,000 connections, 16 at once": ("connect", 8000, 16, 10),
    "2,000 connections, all at once": ("connect", 2000, 2000, 10),
    "8 senders, 100,000 lines each": ("lines", 8, 100_000, 1),
    EIGHT: ("lines", 8, 1_000_000, 650),
    ONE: ("lines", 1, 20_000_000, 650),
}


def run(stage: Stage) -> list[Row]:
    """Time the generator alone, at the cases of works 1 to 3."""
    jobs = []
    for case, (command, *rest) in LOADS.items():

        def once(_: int, command: object = command, rest: Sequence[object] = rest) -> Run:
            port = free_port()
            with stage.load.sink(port):
                sent = Sent(**stage.load.run(command, port, *rest))
            seconds = sent.ended - sent.began
            return {
                "wall": seconds,
                "lines_per_s": sent.sent / seconds,
                "mb_per_s": sent.sent * LINE / seconds / 1e6,
            }

        jobs.append(Job(Row(case, SINK), stage.times(3), once))
    return stage.rows(jobs)


def with_loggen(stage: Stage, systems: Sequence[System], cache: Path) -> list[Row]:
    """Have loggen send; its lines are its own, so they are counted and not compared."""
    try:
        command, env = loggen(cache)
    except Missing as why:
        return [Row("loggen", "", note=str(why))]
    words = ["--stream", "--inet", "--active-connections=8", "--rate=1000000", "--interval=60", "--quiet"]
    words += [f"--size={LOGGEN_LINE}", f"--number={LOGGEN_LINES}"]
    jobs = []
    for system in systems:
        if system.name not in (BUILTIN, "syslog-ng"):
            continue

        def once(_: int, system: System = system) -> Run:
            with stage.running(system) as (running, port):
                roots = [running.process.pid]
                used = measure.cpu(roots)
                done = subprocess.run(
                    [*command, *words, "127.0.0.1", str(port)], env=env, capture_output=True
                )
                if done.returncode != 0:
                    raise RuntimeError(done.stderr.decode().strip())
                size, grown = 0, time.monotonic()
                while time.monotonic() < grown + QUIET_FOR / 4:
                    now = size_of(running.file)
                    if now != size:
                        size, grown = now, time.monotonic()
                    time.sleep(0.001)
                used = measure.cpu(roots) - used
                whole = running.file.read_bytes().count(b"\n")
                sent = 8 * LOGGEN_LINES
                # No wall time: it takes half a second at least, whatever it has to do.
                return {"sent": sent, "lost": sent - whole, "cpu": used, "us_per_line": used / sent * 1e6}

        jobs.append(Job(Row("8 senders, 50,000 lines each", system.name), stage.times(1), once))
    return stage.rows(jobs)
