"""Work 8: TLS in bulk, the CPU of a handshake, and what handshakes do to who is connected."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import measure
from benchmarks.load import Ages, Sent, answer, wait_ready
from benchmarks.ours import Local
from benchmarks.rows import Job, Row, Run
from benchmarks.systems import System
from benchmarks.tlspeers import SocatTls, Stunnel
from benchmarks.trial import JUDGED, QUIET_FOR, Stage, outcome, until_recorded

TITLE = "8. TLS"
PROGRAM = Path(__file__).parents[1] / "tls_load.py"
RECLOG = "reclog, TLS"
BULK, SHAKE, BESIDE = "1 sender, 300 MB", "2,000 handshakes (ECDSA)", "500 handshakes/s beside 200 lines/s"


def run(stage: Stage, cache: Path) -> list[Row]:
    """Do it with all that speak TLS."""
    ours, socat, stunnel = Local(RECLOG, "builtin", "--tls"), SocatTls(), Stunnel(cache, stage.load)
    quick = stage.quick
    jobs = [_bulk(stage, system, 100_000 if quick else 3_000_000) for system in (ours, socat)]
    shakes = 50 if quick else 2_000
    jobs += [_shake(stage, ours, shakes), _beside(stage, ours, 1 if quick else 4)]
    if quick:
        return stage.rows(jobs)
    with stunnel.sink():
        return stage.rows([*jobs, _shake(stage, stunnel, shakes)])


def load(work: str, *numbers: int) -> subprocess.Popen[str]:
    """Start senders; standard output is a pipe."""
    words = [sys.executable, str(PROGRAM), work, *map(str, numbers)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _job(stage: Stage, case: str, system: System, once: Callable[[int], Run]) -> Job:
    row = Row(case, system.name, note=system.missing())
    return Job(row, 0 if row.note else stage.times(JUDGED), once)


def _bulk(stage: Stage, system: System, lines: int) -> Job:
    def once(number: int) -> Run:
        with stage.running(system) as (running, port):
            roots = [running.process.pid]
            used = measure.cpu(roots)
            sent, wall = until_recorded(load("bulk", port, lines), running.file)
            used = measure.cpu(roots) - used
            judged = stage.judged(sent, running.file, (1, lines))
            return {**outcome(sent, wall, used, judged["whole"]), **judged}

    return _job(stage, BULK if not stage.quick else "1 sender, 10 MB", system, once)


def _shake(stage: Stage, system: System, count: int) -> Job:
    def once(number: int) -> Run:
        with stage.running(system) as (running, port):
            roots = [running.process.pid]
            answer(load("shake", port, 20, 0))  # what the first ones cost is not theirs
            used = measure.cpu(roots)
            sent = Sent(**answer(load("shake", port, count, 0)))
            used = measure.cpu(roots) - used
            return {"sent": sent.sent, "wall": sent.ended - sent.began, "us_per_shake": used / count * 1e6}

    return _job(stage, SHAKE, system, once)


def _beside(stage: Stage, system: System, seconds: int) -> Job:
    rate, shakes = 200, 500

    def once(number: int) -> Run:
        with stage.running(system) as (running, port):
            reader = stage.load.start("follow", running.file, rate * seconds, seconds + QUIET_FOR)
            wait_ready(reader)
            crowd = load("shake", port, shakes * seconds, shakes)
            sent = Sent(**answer(load("pace", port, rate, seconds)))
            answer(crowd)
            found = Ages(**answer(reader))
            run: Run = {"sent": sent.sent}
            return run | {name: value for name, value in dataclasses.asdict(found).items() if name != "lines"}

    return _job(stage, BESIDE, system, once)
