"""The small real run: what a fleet takes, and whether each line is everywhere, once.

Three tremplins, three servers and two who subscribe (`fleet.py`) are measured at the rates that the plan's
relays have, with as many lines as go through, and then for some minutes with what was asked for. That no line
is lost, doubled or torn on the way, and that each copy is what was recorded, is seen each time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
import time
from pathlib import Path

from bench import wait_until

from benchmarks import debs, machine, measure
from benchmarks.load import LINE, Ages, Load, answer, wait_ready
from benchmarks.peers import raise_open_files
from benchmarks.planning.fleet import TREMPLINS, Far, Fleet, fleet
from benchmarks.planning.plan import RATES, Kept, Measured

#: Seconds for which each of the plan's rates is measured.
CALM_FOR = 20.0
#: Lines of all senders of a tremplin where as many come as go through.
FLOOD, AT_ONCE = 200_000, 1_000_000_000
#: Seconds that the last lines may take to the end of their way.
WITHIN = 300.0


def measure_all(folder: Path, rate: int, seconds: float, senders: int) -> Kept:
    """Measure all, the last with `rate` lines a second of so many senders, in all. Raises Missing."""
    raise_open_files()
    with fleet(folder) as made:
        run = Run(made, Load(debs.CACHE), senders // TREMPLINS)
        calm = []
        for one in RATES:
            print(f"{one:,} lines/s through each of {TREMPLINS} tremplins", file=sys.stderr)
            calm.append(run.calm(one, CALM_FOR))
        print("as many as go through", file=sys.stderr)
        flood = run.flood()
        print(f"{rate:,} lines/s in all, for {seconds:g} s", file=sys.stderr)
        return Kept(calm, flood, run.calm(rate // TREMPLINS, seconds), machine.facts(folder))


class Run:
    """Devices that write into a fleet, again and again."""

    def __init__(self, fleet: Fleet, load: Load, senders: int) -> None:
        """`senders` devices write to each tremplin."""
        self.fleet, self.load, self.senders = fleet, load, senders
        # Until the first line has come there are no copies, nor their indexes.
        self._bring(senders, senders, 1.0)

    def calm(self, rate: int, seconds: float) -> Measured:
        """Measure with `rate` lines a second through each tremplin."""
        lines = int(rate * seconds)
        paths = [self.fleet.fars[0].recording.file]
        paths += [copy for far in self.fleet.fars for copy in self.fleet.copies(far)]
        followers = [self.load.start("follow", path, lines, seconds + WITHIN) for path in paths]
        for follower in followers:
            wait_ready(follower)
        measured = self._measured(lines, rate, seconds)
        here, *copied = [Ages(**answer(one, seconds + WITHIN)) for one in followers]
        worst = max(copied, key=lambda one: one.p99_ms)
        return measured._replace(ages=(here.p50_ms, here.p99_ms, worst.p50_ms, worst.p99_ms))

    def flood(self) -> Measured:
        """Measure with as many lines as go through."""
        return self._measured(FLOOD, AT_ONCE, FLOOD / AT_ONCE)

    def _measured(self, lines: int, rate: int, seconds: float) -> Measured:
        """Measure while each tremplin gets so many lines, until all of them are everywhere."""
        fleet = self.fleet
        skips = [far.recording.file.stat().st_size for far in fleet.fars]
        stored, indexed, messages = fleet.stored(), fleet.indexed(), fleet.messages()
        roots = fleet.roots()
        before = {part: measure.cpu(pids) for part, pids in roots.items()}
        began = time.monotonic()
        self._bring(lines, rate, seconds)
        took = time.monotonic() - began
        cpu = {part: (measure.cpu(pids) - before[part]) / len(pids) for part, pids in roots.items()}
        for far, skip in zip(fleet.fars, skips, strict=True):
            self._see_equal(far, lines, skip)
        return Measured(
            lines=lines,
            recordings=len(fleet.fars),
            seconds=took,
            cpu=cpu,
            memory={part: max(map(measure.peak, pids)) for part, pids in roots.items()},
            messages=fleet.messages() - messages,
            stored=fleet.stored() - stored,
            indexed=fleet.indexed() - indexed,
            load=os.getloadavg()[0],
        )

    def _bring(self, lines: int, rate: int, seconds: float) -> None:
        """Have each tremplin's devices write so many lines; return once all of them are everywhere."""
        fars = self.fleet.fars
        sizes = [far.recording.file.stat().st_size + lines * LINE for far in fars]
        for generator in [far.send(self.load, self.senders, rate, seconds) for far in fars]:
            answer(generator, seconds + WITHIN)

        def is_there() -> bool:
            with contextlib.suppress(FileNotFoundError):
                return all(
                    path.stat().st_size == size
                    for far, size in zip(fars, sizes, strict=True)
                    for path in (far.recording.file, *self.fleet.copies(far))
                )
            return False

        wait_until(is_there, WITHIN, "every line is in every copy")

    def _see_equal(self, far: Far, lines: int, skip: int) -> None:
        """See that a recording has every line once, and each subscriber the same bytes."""
        file = far.recording.file
        found = self.load.check(file, self.senders, -(-lines // self.senders), skip)
        assert dataclasses.astuple(found) == (lines, 0, 0, 0), f"{lines} lines were sent: {found}"
        assert len({_hash(path) for path in (file, *self.fleet.copies(far))}) == 1, "a copy differs"


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
