"""What was dropped is stated: at once, all of it, and not too often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest
from scripted import Clock, Said

from reclog.engine.records.events import EventLog
from reclog.engine.records.losses import DROPPED, LATE, Losses
from reclog.engine.system.loop import Loop


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def losses(clock: Clock) -> "tuple[Losses, Said, Callable[[float], None]]":
    loop, said = Loop(clock), Said()
    losses = Losses(loop, said)

    def later(seconds: float) -> None:
        clock.time += seconds
        loop.turn(at_most=0)

    return losses, said, later


def sums(said: Said) -> "list[int]":
    assert set(said.names) <= {"datagrams dropped"}
    return [facts["datagrams"] for _, facts in said.events]


def test_a_drop_is_stated_at_once_and_all_of_it(
    losses: "tuple[Losses, Said, Callable[[float], None]]",
) -> None:
    one, said, later = losses
    one.add(0)
    assert sums(said) == []
    one.add(3)
    assert sums(said) == [3]
    for _ in range(5):
        one.add(2)
        later(0.1)
    assert sums(said) == [3]
    later(1.0)
    assert sums(said) == [3, 10]
    one.add(1)
    one.state()  # the end comes first
    assert sums(said) == [3, 10, 1]
    assert one.total == 14
    assert all(facts["since"] for _, facts in said.events)


def test_a_flood_of_a_month_washes_nothing_away(
    losses: "tuple[Losses, Said, Callable[[float], None]]",
) -> None:
    one, said, later = losses
    for _ in range(30 * 24 * 60):
        one.add(1000)
        later(60.0)
    one.state()
    assert sum(sums(said)) == one.total == 30 * 24 * 60 * 1000
    assert len(sums(said)) < 30 * 24 * 3600 / LATE + 20


def test_after_a_quiet_time_it_is_at_once_again(
    losses: "tuple[Losses, Said, Callable[[float], None]]",
) -> None:
    one, said, later = losses
    for _ in range(20):
        one.add(1)
        later(30.0)
    later(LATE)
    later(LATE)
    count = len(sums(said))
    one.add(5)
    assert sums(said)[count:] == [5]


def test_the_count_of_another_begins_anew_when_that_does(clock: Clock) -> None:
    said = Said()
    losses = Losses(Loop(clock), said)
    for told, of in ((7, "one"), (9, "one"), (9, "one"), (9, "two"), (4, "two")):
        losses.reach(told, of)
        losses.state()
    assert sums(said) == [7, 2, 9, 4]


def test_who_comes_next_goes_on_from_what_was_stated(clock: Clock, tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "events"), str(tmp_path / "holes"))

    def lives(*counts: int, of: str = "one") -> None:
        """One who is killed before what waits for its time is stated."""
        losses = Losses(Loop(clock), log.say, log.last(DROPPED))
        for told in counts:
            losses.reach(told, of)

    for counts in ((3,), (3,), (5, 8, 9), (9,)):
        lives(*counts)
    log.say("something else")
    lives(7, of="two")
    found = [json.loads(line) for line in (tmp_path / "holes").read_text().splitlines()]
    assert [one.get("datagrams") for one in found] == [3, 2, 4, None, 7]
    assert log.last(DROPPED)["of"] == "two"
    with (tmp_path / "holes").open("a") as holes:
        holes.write('["datagrams dropped"]\n{"event": "datagrams dr')
    assert log.last(DROPPED)["counted"] == 7
    (tmp_path / "holes").rename(tmp_path / "holes.1")
    assert log.last(DROPPED)["counted"] == 7
