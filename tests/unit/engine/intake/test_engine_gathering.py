from __future__ import annotations

import itertools

import pytest

from reclog.engine.intake.gathering import GATHER, LARGE, THICK_FOR, THICK_WITHIN, WORTH, Gathering


def thick(times: int = THICK_FOR + 1) -> tuple[Gathering, float]:
    """Return one that has seen so many turns come thick, and when the last was."""
    gathering, now = Gathering(), 10.0
    for number in range(times):
        now += THICK_WITHIN / 2
        assert gathering.pays(now, now, 1, 100) is (number >= THICK_FOR)
    return gathering, now


@pytest.mark.parametrize("pause", [0.001, 0.0003, THICK_WITHIN * 1.01])
def test_lines_that_leave_us_time_are_never_gathered(pause: float) -> None:
    gathering = Gathering()
    assert not any(gathering.pays(number * pause, number * pause, 1, 100) for number in range(1000))


def test_a_handful_at_the_same_moment_is_not_gathered() -> None:
    gathering, now = thick(THICK_FOR)
    assert not gathering.pays(now + 0.001, now + 0.001, 1, 100)


def test_a_rest_is_followed_by_others_while_they_bring_enough() -> None:
    gathering, now = thick()
    for _ in range(100):
        now += 2 * GATHER
        assert gathering.pays(now, now, WORTH, 100)
    assert not gathering.pays(now + 2 * GATHER, now + 2 * GATHER, WORTH - 1, 100)
    assert not gathering.pays(now + 4 * GATHER, now + 4 * GATHER, WORTH, 100)


def test_large_reads_end_it() -> None:
    gathering, now = thick()
    assert not gathering.pays(now, now, 1000, LARGE)
    assert not any(gathering.pays(now, now, 1000, LARGE) for _ in itertools.repeat(None, 2 * THICK_FOR))


def test_turns_that_wait_for_nothing_are_thick_however_long_they_take() -> None:
    gathering, now = Gathering(), 10.0
    for number in range(THICK_FOR + 2):
        began, now = now + THICK_WITHIN / 2, now + 10 * THICK_WITHIN
        assert gathering.pays(began, now, 1000, 100) is (number >= THICK_FOR)
