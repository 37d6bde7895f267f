"""Lines a second, from looks at a count."""

from __future__ import annotations

import pytest

from reclog.engine.records.rate import OVER, Rate


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_steady_flow(clock: Clock) -> None:
    rate = Rate(clock)
    for number in range(1, 200):
        clock.time += 0.1
        said = rate.of(number * 30)
    assert said == pytest.approx(300, rel=0.03)


def test_a_burst_after_silence_is_of_the_last_seconds_alone_and_ends(clock: Clock) -> None:
    rate = Rate(clock)
    rate.of(100)
    clock.time += 3600
    assert rate.of(1100) == 1000 / OVER
    clock.time += OVER - 0.1
    assert rate.of(1100) == 1000 / OVER
    clock.time += 0.1
    assert rate.of(1100) == 0


def test_the_first_second_counts_as_a_whole_one(clock: Clock) -> None:
    rate = Rate(clock)
    clock.time += 0.01
    assert rate.of(7) == 7


def test_who_asks_all_the_time_changes_nothing(clock: Clock) -> None:
    rate = Rate(clock)
    for number in range(20_000):
        clock.time += 0.001
        said = rate.of(number)
    assert said == pytest.approx(1000, rel=0.03)
    assert len(rate._looks) < 210
