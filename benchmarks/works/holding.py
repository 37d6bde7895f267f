"""Work 4: many senders that stay connected, silent at first, then with a line a second each."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Sequence

from benchmarks import measure
from benchmarks.load import LINE, Sent, said, tell, wait_ready
from benchmarks.ours import BUILTIN, SOCAT
from benchmarks.rows import FAILED, Row, Run
from benchmarks.systems import Running, System
from benchmarks.trial import JUDGED, QUIET_FOR, Stage, size_of

TITLE = "4. Senders that stay"

SILENT_FOR = 5.0
"""Seconds of silence over which CPU is counted."""

STUCK_AFTER = 1.0
"""Seconds in which a listener that has room takes at least one connection."""

OURS = (BUILTIN, SOCAT)
FEW_ONLY = {
    "socat, as in the old script": "a queue of 5 takes minutes to let them in",
    "socketserver": "a queue of 5 takes minutes to let them in",
    "ncat": "select(2) has room for 1,024",
}
"""Systems that are left out with thousands of senders, and why."""


@dataclasses.dataclass
class Held:
    """A system with its senders."""

    row: Row
    running: Running
    generator: subprocess.Popen[str]
    run: Run = dataclasses.field(default_factory=dict)


def run(stage: Stage, systems: Sequence[System]) -> list[Row]:
    """Do it with all systems."""
    rows: list[Row] = []
    for senders in (20,) if stage.quick else (500, 5000):
        rows += _case(stage, systems, senders)
    return rows


def _case(stage: Stage, systems: Sequence[System], senders: int) -> list[Row]:
    speak = 2 if senders > 1000 else 1
    rows = []
    with contextlib.ExitStack() as stack:
        held: list[Held] = []
        for system in systems:
            row = Row(f"{senders:,} senders", system.name)
            rows.append(row)
            if senders > 1000 and system.name in FEW_ONLY:
                row.note = FEW_ONLY[system.name]
                continue
            # The bars' system several times: side by side, since what is silent is in nobody's way.
            for _ in range(min(JUDGED, stage.times(JUDGED if system.name == BUILTIN else 1))):
                try:
                    held.append(_hold(stage, stack, system, row, senders, speak))
                except (RuntimeError, OSError) as error:
                    row.note = f"{FAILED} {error}"
                    break
            stage.say(f"{row.case}: {system.name} has them")
        _silence(stage, held)
        for one in held:
            if stage.quick and one.row.system not in OURS:
                continue
            if one.row.values("sent"):
                continue  # a further one of the same: only its silence was of interest
            try:
                _speak(stage, one, senders, speak)
            except RuntimeError as error:
                one.row.note = f"{FAILED} {error}"
    return rows


def _hold(
    stage: Stage, stack: contextlib.ExitStack, system: System, row: Row, senders: int, speak: int
) -> Held:
    running, port = stack.enter_context(stage.running(system))
    generator = stage.load.start("hold", port, senders, speak)
    stack.callback(generator.communicate)
    stack.callback(generator.kill)
    wait_ready(generator)
    # Whom it has no room for stays in the queue: it is waited for only while it shrinks.
    left, until = measure.waiting(port), time.monotonic() + STUCK_AFTER
    while left and time.monotonic() < until:
        time.sleep(0.02)
        now = measure.waiting(port)
        if now < left:
            left, until = now, time.monotonic() + STUCK_AFTER
    if left:
        row.note = f"{left:,} of them wait in its queue"
    return Held(row, running, generator)


def _silence(stage: Stage, held: Sequence[Held]) -> None:
    """Measure all while none of their senders says anything."""
    window = 1.0 if stage.quick else SILENT_FOR
    time.sleep(1.0)  # what follows from connecting is over: counters are written after a quarter of a second
    trees = [measure.tree([one.running.process.pid]) for one in held]
    before = [sum(map(measure.thread_ns, tree)) for tree in trees]
    began = time.monotonic()
    time.sleep(window)
    after = [sum(map(measure.thread_ns, tree)) for tree in trees]
    seconds = time.monotonic() - began
    for one, tree, first, last in zip(held, trees, before, after, strict=True):
        one.run["memory"] = measure.memory(tree) if len(tree) > 1 else measure.peak(tree[0])
        one.run["processes"] = len(tree)
        one.run["silent_cpu_percent"] = (last - first) / 1e9 / seconds * 100
        one.row.runs.append(one.run)


def _speak(stage: Stage, held: Held, senders: int, speak: int) -> None:
    """Have the senders of one system say a line each second, and measure that; then have them go."""
    roots = [held.running.process.pid]
    used = measure.cpu(roots)
    tell(held.generator)
    sent = Sent(**said(held.generator))
    seconds = time.monotonic() - sent.began
    used = measure.cpu(roots) - used
    # Who waited in the queue is recorded now that others go.
    held.generator.communicate("go\n")
    growing, until = 0, time.monotonic() + QUIET_FOR
    while (size := size_of(held.running.file)) < sent.sent * LINE and time.monotonic() < until:
        if size > growing:
            growing, until = size, time.monotonic() + QUIET_FOR
        time.sleep(0.01)
    held.run |= {"sent": sent.sent, "speaking_cpu_percent": used / seconds * 100}
    held.run |= stage.judged(sent, held.running.file, (senders, speak))
    stage.say(f"{held.row.case}: {held.row.system}, a line a second each")
