from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple

import pytest

from reclog.engine.outlets import acks as module
from reclog.engine.outlets.acks import ACK_AT, ANSWER_EVERY, Acks
from reclog.engine.system.disk import Disk
from reclog.engine.system.loop import Loop

if TYPE_CHECKING:
    TurnUntil = Callable[[Callable[[], bool]], None]


class SyncedDisk(Disk):
    """A disk whose next sync fails, if it is told so."""

    def __init__(self) -> None:
        self.error: Optional[OSError] = None
        self.syncs = 0

    def fdatasync(self, fd: int) -> None:
        self.syncs += 1
        error, self.error = self.error, None
        if error is not None:
            raise error


class Settling:
    fd = 3

    def __init__(self, offset: int) -> None:
        self.offset = offset


class StubLanding:
    """Where bytes land: what is there, and what of it is settled."""

    def __init__(self, disk: SyncedDisk) -> None:
        self.position = 0
        self.settled = 0
        self.stale = False
        self._disk = disk

    def settle(self) -> bool:
        self._disk.fdatasync(3)
        self.settled = self.position
        return True

    def begin_settling(self) -> Settling:
        return Settling(self.position)

    def end_settling(self, settling: Settling) -> bool:
        if not self.stale:
            self.settled = settling.offset
        return not self.stale


class Bench:
    def __init__(self, loop: Loop) -> None:
        self.disk = SyncedDisk()
        self.landing = StubLanding(self.disk)
        self.sent: List[Tuple[float, int]] = []
        self.said: List[str] = []
        landing: Any = self.landing
        self.acks = Acks(loop, landing, self.disk, self._say, self._send)

    def _say(self, event: str, **facts: Any) -> None:
        self.said.append(event)

    def _send(self, offset: int) -> bool:
        self.sent.append((time.monotonic(), offset))
        return True

    @property
    def offsets(self) -> List[int]:
        return [offset for _, offset in self.sent]

    def land(self, count: int) -> None:
        self.landing.position += count
        self.acks.landed(count)


@pytest.fixture
def bench(loop: Loop) -> Bench:
    return Bench(loop)


def test_while_data_come_something_goes_back_every_few_milliseconds(loop: Loop, bench: Bench) -> None:
    until = time.monotonic() + 20 * ANSWER_EVERY
    while time.monotonic() < until:
        bench.land(10)
        loop.turn(at_most=0.0005)
    loop.turn(at_most=2 * ANSWER_EVERY)
    times = [when for when, _ in bench.sent]
    assert len(times) >= 3  # a busy machine turns late
    for number in range(1, len(times)):
        assert times[number] - times[number - 1] >= 0.9 * ANSWER_EVERY
    assert set(bench.offsets) == {0}  # it says what is settled, and nothing is


def test_when_nothing_comes_nothing_goes_back(loop: Loop, bench: Bench, turn_until: TurnUntil) -> None:
    bench.land(10)
    turn_until(lambda: len(bench.sent) == 1)
    until = time.monotonic() + 4 * ANSWER_EVERY
    while time.monotonic() < until:
        loop.turn(at_most=ANSWER_EVERY)
    assert len(bench.sent) == 1


def test_much_is_settled_aside_and_acked_as_far_as_it_was_there(bench: Bench, turn_until: TurnUntil) -> None:
    bench.land(ACK_AT)
    bench.acks.in_time()
    assert bench.acks.aside.busy
    bench.landing.position += 5  # comes while the disk is at work
    turn_until(lambda: bench.landing.settled > 0)
    assert bench.landing.settled == ACK_AT
    assert bench.offsets[-1] == ACK_AT
    assert bench.disk.syncs == 1


def test_little_is_settled_when_its_time_has_come(bench: Bench) -> None:
    bench.land(10)
    bench.acks.in_time()
    first = bench.acks.timer.when
    assert 0 < first - time.monotonic() <= module.ACK_EVERY
    bench.land(10)
    bench.acks.in_time()
    assert bench.acks.timer.when == first  # not put off by what comes next


def test_a_settling_that_is_worth_nothing_is_not_acked(bench: Bench, turn_until: TurnUntil) -> None:
    more: List[bool] = []
    bench.acks.on_more = lambda: more.append(True)
    bench.landing.position = 10
    bench.landing.stale = True
    bench.acks.settle_aside()
    turn_until(lambda: not bench.acks.aside.busy)
    assert bench.sent == []
    assert more == [True]


@pytest.mark.parametrize("aside", [True, False])
def test_a_sync_that_fails_is_said_once_and_tried_again(
    bench: Bench, turn_until: TurnUntil, aside: bool
) -> None:
    bench.landing.position = 10
    for _ in range(2):
        bench.disk.error = OSError(errno.EIO, "bad disk")
        if aside:
            bench.acks.settle_aside()
            turn_until(lambda: not bench.acks.aside.busy)
        else:
            assert not bench.acks.settle()
    assert bench.said == ["sync failed"]
    assert bench.sent == []
    assert 0 < bench.acks.timer.when - time.monotonic() <= module.AGAIN_AFTER
    assert bench.acks.settle()
    assert bench.offsets == [10]


def test_a_file_that_can_not_be_looked_at_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> Settling:
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(bench.landing, "begin_settling", fails)
    bench.acks.settle_aside()
    assert bench.said == ["sync failed"]
    assert not bench.acks.aside.busy
    assert 0 < bench.acks.timer.when - time.monotonic() <= module.AGAIN_AFTER
