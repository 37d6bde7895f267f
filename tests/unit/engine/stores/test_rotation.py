"""When a file is cut: midnights of any clock, and sizes."""

from __future__ import annotations

import time
from typing import Iterator

import pytest

from reclog.engine.stores.rotation import NEVER, PATIENCE, Plan, Rotating, next_midnight

DAILY = Rotating(0, True)
#: Where clocks are put on, and back, at midnight itself, as they were in Brazil.
BRAZIL = "BRT3BRST,M11.1.0/0,M2.3.0/0"


@pytest.fixture(params=["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", BRAZIL, "LINT-14"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_a_year_has_its_days_each_of_them_once(zone: str) -> None:
    now = time.mktime((2018, 1, 1, 0, 0, 0, 0, 0, -1))
    days = []
    while time.localtime(now)[0] == 2018:
        days.append(time.localtime(now)[:3])
        before, now = now, next_midnight(now)
        assert next_midnight(now - 0.001) == now
        assert 23 * 3600 <= now - before <= 25 * 3600
        assert time.localtime(now - 1)[:3] == days[-1]
    assert len(set(days)) == len(days) == 365


def test_a_year_of_a_daily_file_has_a_piece_each_day(zone: str) -> None:
    now = time.mktime((2018, 1, 1, 12, 0, 0, 0, 0, -1))
    plan = Plan(DAILY, now)
    cut = []
    for _ in range(365 * 96):
        now += 900
        plan.look(1, now)
        if plan.is_due(1, now, False):
            cut.append(time.localtime(now)[:3])
            plan = Plan(DAILY, now)
    assert len(set(cut)) == len(cut) == 365


def test_a_clock_that_jumps_is_harmless() -> None:
    now = 1_700_000_000.0
    plan = Plan(DAILY, now)
    late = plan.until + 5 * 86400  # it is set on, and the file is cut once
    assert plan.is_due(1, late, False)
    plan = Plan(DAILY, late)
    assert not plan.is_due(1, late + 1, False)
    plan.look(1, now)  # it is set back: midnight is the next one again
    assert plan.until == next_midnight(now)
    assert not plan.is_due(1, now, False)
    plan.look(1, plan.until - 1.0)
    at = plan.until
    plan = Plan(DAILY, at + 0.1)
    plan.look(1, at - 0.5)  # by a second over midnight: not cut twice that night
    assert not plan.is_due(1, at + 0.5, False)


def test_an_empty_file_has_the_day_that_it_is() -> None:
    plan = Plan(DAILY, 1_700_000_000.0)
    later = plan.until + 10
    plan.look(0, later)
    assert plan.until == next_midnight(later)
    assert plan.least(later) == NEVER


def test_a_line_is_waited_for() -> None:
    plan = Plan(Rotating(100, True), 1_700_000_000.0)
    now = plan.until - 1
    assert [plan.is_due(size, now, False) for size in (0, 99, 100)] == [False, False, True]
    assert [plan.is_due(size, now, True) for size in (0, 199, 200)] == [False, False, True]
    assert [plan.is_due(1, plan.until + late, True) for late in (0, PATIENCE)] == [False, True]
    assert not plan.is_due(0, plan.until + PATIENCE, True)
    assert (plan.least(now), plan.least(plan.until)) == (100, 1)
