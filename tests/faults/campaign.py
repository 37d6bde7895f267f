"""A long run: lanes side by side, in each round after round of faults in random order, then the verdict.

A round is one recording from its start to its stop, with its own seed, which follows from the campaign's
seed, the lane's name and the round's number: so one round can be run again alone. The order of the faults and
what each does are then the same; the machine's own timing is not.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import math
import random
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Home
from checker import VERDICTS
from set_aside import some_rotation
from stage import Fault, Stage, System

#: What a deadline that passed raises (bench.wait_until); pytest keeps it apart from Exception.
FAILURES = (Exception, pytest.fail.Exception)
#: Faults of one round: many on one recording, few enough that it can be read through afterwards.
FAULTS_A_ROUND = 20


@dataclasses.dataclass(frozen=True)
class Lane:
    """A kind of system, and what can be done to it."""

    name: str
    system: Callable[[Home], System]
    faults: dict[str, Fault]
    #: Whether it promises anything: if not, a violation is a result and no failure.
    promises: bool = True


@dataclasses.dataclass
class Row:
    """What one kind of fault came to in one lane."""

    times: int = 0
    sent: int = 0
    recorded: int = 0
    lost: int = 0
    doubled: int = 0
    torn: int = 0
    reordered: int = 0
    invented: int = 0
    #: How often recording did not come back by itself in time.
    stuck: int = 0
    #: Seconds.
    recovery: float = 0.0

    def add(self, other: Row) -> None:
        for field in dataclasses.fields(Row):
            one, two = getattr(self, field.name), getattr(other, field.name)
            setattr(self, field.name, max(one, two) if field.name == "recovery" else one + two)


def rounds(
    lane: Lane, seed: int, until: float, only: str = "", single: int | None = None, rotated: bool = False
) -> Iterator[dict[str, Any]]:
    """Run rounds until the time (monotonic) comes; yield the result of each. All are `rotated`, or some.

    A result has the round's `number` and `seed`, `rows` by fault, and its `failure`, empty if there is none.
    """
    number = single or 0
    if single is not None:
        until = math.inf  # it is to be the same, however long it takes
    while single is None or number == single:
        round_seed = zlib.crc32(f"{seed} {lane.name} {number}".encode())
        names = _names(lane, seed, number, only)
        yield {"number": number, "seed": round_seed, **_round(lane, round_seed, names, until, rotated)}
        number += 1
        if time.monotonic() > until:
            break


def _names(lane: Lane, seed: int, number: int, only: str) -> list[str]:
    """Return the faults of a round: each kind has its turn before any has another, in random order."""
    names = sorted(name for name in lane.faults if only in name)
    turn, part = divmod(number, max(1, math.ceil(len(names) / FAULTS_A_ROUND)))
    random.Random(f"{seed} {lane.name} {turn}").shuffle(names)
    return names[part * FAULTS_A_ROUND : (part + 1) * FAULTS_A_ROUND]


def _round(lane: Lane, seed: int, names: list[str], until: float, rotated: bool) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="reclog-faults-"))
    folder.chmod(0o755)
    home = Home(folder)
    windows: list[tuple[float, str]] = []
    failure = ""
    stage = None
    rows: dict[str, Row] = {}
    try:
        with contextlib.closing(lane.system(home)) as system:
            if lane.promises:
                system.set_aside.words = some_rotation(seed, rotated)
            system.start()
            stage = Stage(system, seed, strict=lane.promises, patient=lane.promises)
            windows.append((time.monotonic(), "(no fault)"))
            stage.busy(1.0)
            for name in names:
                if time.monotonic() > until:
                    break
                windows.append((time.monotonic(), name))
                _inject(lane, stage, name, rows)
            windows.append((time.monotonic(), "(the stop)"))
            verdict = stage.finish()
            _account(rows, windows, stage, verdict)
            if not verdict.good:
                failure = f"{verdict}; {_blame(rows)}"
    except FAILURES:
        failure = traceback.format_exc()
        if stage is not None:
            stage.give_up()
    if failure and lane.promises:
        failure += f"\nrotation: {' '.join(some_rotation(seed, rotated)) or 'none'}"
        failure += f"\nfaults: {' | '.join(name for _, name in windows)}\nwhat is left of it: {folder}"
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return {"rows": {name: dataclasses.asdict(row) for name, row in rows.items()}, "failure": failure}


def _inject(lane: Lane, stage: Stage, name: str, rows: dict[str, Row]) -> None:
    row = rows.setdefault(name, Row())
    try:
        stage.inject(name, lane.faults[name], 30.0 if lane.promises else 10.0)
    except FAILURES as error:
        if lane.promises:
            raise RuntimeError(f"{name}: {error}") from error
        row.stuck += 1
        stage.system.again()
        with contextlib.suppress(AssertionError):
            stage.see_recording(10.0)
    row.times += 1
    if name in stage.injected:
        row.recovery = max(row.recovery, stage.injected[name].recovery)


def _account(rows: dict[str, Row], windows: list[tuple[float, str]], stage: Stage, verdict: Any) -> None:
    """Charge each line to the fault during which it was accepted."""
    starts = [start for start, _ in windows]

    def row(at: float) -> Row:
        name = windows[max(0, bisect.bisect_right(starts, at) - 1)][1]
        return rows.setdefault(name, Row())

    for at in stage.times_sent():
        row(at).sent += 1
    for at in verdict.times:
        row(at).recorded += 1
    for what, at, count in verdict.blamed:
        one = row(at)
        setattr(one, what, getattr(one, what) + count)


def _blame(rows: dict[str, Row]) -> str:
    """Say during which faults what is not as it should be had been accepted."""
    found = {
        name: {what: count for what in VERDICTS if (count := getattr(row, what))}
        for name, row in rows.items()
    }
    return ", ".join(f"during {name!r}: {counts}" for name, counts in found.items() if counts)


def complain(lane: Lane, seed: int, result: dict[str, Any]) -> None:
    """Say what a round has found and how it is run again."""
    again = f"inv dev.faults --system {lane.name} --seed {seed} --round {result['number']}"
    print(f"\n{lane.name}, round {result['number']}: {result['failure']}\nagain: {again}", file=sys.stderr)
