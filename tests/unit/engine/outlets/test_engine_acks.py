from __future__ import annotations

import errno
import os
from typing import List, Optional, Tuple

import pytest
from scripted import Clock, Said, TurnUntil

from reclog.engine.outlets import acks as module
from reclog.engine.outlets.acks import ACK_AT, ANSWER_EVERY, Acks
from reclog.engine.outlets.outlet import Settling
from reclog.engine.system.disk import DISK
from reclog.engine.system.loop import Loop


class Counting:
    """An outlet that only counts, and fails as it is told to."""

    path = spool = paused = ""
    anchored = True
    queued = 0

    def __init__(self) -> None:
        self.offset = 0
        self.settled = 0
        self.syncs = 0
        #: What `settle`, the sync, and what follows it raise next.
        self.settle_error: Optional[OSError] = None
        self.end_error: Optional[OSError] = None
        self.error: Optional[OSError] = None
        self.stale = False

    def settle(self) -> Settling:
        if self.settle_error is not None:
            raise self.settle_error
        offset = self.offset

        def end() -> bool:
            if self.end_error is not None:
                raise self.end_error
            if not self.stale:
                self.settled = offset
            return not self.stale

        return Settling(self._sync, end)

    def _sync(self) -> None:
        self.syncs += 1
        error, self.error = self.error, None
        if error is not None:
            raise error

    open = close = begin = take = jump = flush = facts = None


class Bench:
    def __init__(self, loop: Loop) -> None:
        self.clock = Clock()
        loop.now = self.clock
        self.loop = loop
        self.outlet = Counting()
        self.sent: List[Tuple[float, int]] = []
        self.said = Said()
        self.settled = 0
        self.acks = Acks(loop, self.outlet, DISK, self.said, self._send, self._settled)  # type: ignore[arg-type]

    def _send(self, offset: int) -> bool:
        self.sent.append((self.clock.time, offset))
        return True

    def _settled(self) -> None:
        self.settled += 1

    @property
    def offsets(self) -> List[int]:
        return [offset for _, offset in self.sent]

    def land(self, count: int) -> None:
        self.outlet.offset += count
        self.acks.came(count)

    def turn(self, seconds: float) -> None:
        self.clock.time += seconds
        self.loop.turn(at_most=0)


@pytest.fixture
def bench(loop: Loop) -> Bench:
    return Bench(loop)


def test_while_data_come_something_goes_back_every_few_milliseconds(bench: Bench) -> None:
    for _ in range(40):
        bench.land(10)
        bench.turn(ANSWER_EVERY / 4)
    times = [when for when, _ in bench.sent]
    assert len(times) == 10
    assert all(times[at] - times[at - 1] >= 0.99 * ANSWER_EVERY for at in range(1, 10))
    assert set(bench.offsets) == {0}  # it says what is settled, and nothing is


def test_when_nothing_comes_nothing_goes_back(bench: Bench) -> None:
    bench.land(10)
    for _ in range(9):
        bench.turn(ANSWER_EVERY)
    assert len(bench.sent) == 1


def test_much_is_settled_aside_and_acked_as_far_as_it_was_there(bench: Bench, turn_until: TurnUntil) -> None:
    bench.land(ACK_AT)
    bench.acks.in_time()
    assert bench.acks.aside.busy
    bench.outlet.offset += 5  # comes while the disk is at work
    turn_until(lambda: bench.outlet.settled > 0)
    assert bench.outlet.settled == ACK_AT
    assert bench.offsets[-1] == ACK_AT
    assert (bench.outlet.syncs, bench.settled) == (1, 1)


def test_little_is_settled_when_its_time_has_come(bench: Bench, turn_until: TurnUntil) -> None:
    for _ in range(2):
        bench.land(10)
        bench.acks.in_time()
        bench.turn(module.ACK_EVERY / 2)  # not put off by what comes next
    turn_until(lambda: bench.outlet.settled == 20)


def test_a_settling_that_is_worth_nothing_is_not_acked(bench: Bench, turn_until: TurnUntil) -> None:
    bench.outlet.offset = 10
    bench.outlet.stale = True
    bench.acks.settle_aside()
    turn_until(lambda: not bench.acks.aside.busy)
    assert bench.sent == []
    assert bench.settled == 1


@pytest.mark.parametrize("aside", [True, False])
def test_a_sync_that_fails_is_said_once_and_tried_again(
    bench: Bench, turn_until: TurnUntil, aside: bool
) -> None:
    bench.outlet.offset = 10
    for _ in range(2):
        bench.outlet.error = OSError(errno.EIO, "bad disk")
        if aside:
            bench.acks.settle_aside()
            turn_until(lambda: not bench.acks.aside.busy)
        else:
            assert not bench.acks.settle()
    assert bench.said.names == ["sync failed"]
    assert bench.sent == []
    assert bench.settled == 0
    bench.turn(module.AGAIN_AFTER)
    turn_until(lambda: bench.offsets == [10])


def test_a_failure_of_another_kind_or_reason_is_said_too(bench: Bench) -> None:
    bench.outlet.offset = 10

    def fails(where: str, number: int) -> None:
        setattr(bench.outlet, where, OSError(number, os.strerror(number)))
        assert not bench.acks.settle()
        bench.outlet.settle_error = bench.outlet.end_error = None

    both = [
        ("error", errno.EIO),
        ("error", errno.ENOSPC),
        ("end_error", errno.ENOSPC),
        ("settle_error", errno.EIO),
    ]
    for _ in range(2):
        for where, number in both:
            fails(where, number)
    assert bench.said.names == ["sync failed"] * 4  # each once
    assert bench.acks.settle()
    fails(*both[0])
    assert bench.said.names == ["sync failed"] * 5  # after a success it is a new one


def test_a_file_that_can_not_be_looked_at_is_tried_again(bench: Bench, turn_until: TurnUntil) -> None:
    bench.outlet.offset = 10
    bench.outlet.settle_error = OSError(errno.EIO, "bad disk")
    bench.acks.settle_aside()
    assert bench.said.names == ["sync failed"]
    assert not bench.acks.aside.busy
    bench.outlet.settle_error = None
    bench.turn(module.AGAIN_AFTER)
    turn_until(lambda: bench.offsets == [10])
