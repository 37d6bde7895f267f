from __future__ import annotations

import pytest
from intake_bench import Heard

from reclog.engine.records.journal import COLLECT, EACH_UP_TO, Journal
from reclog.engine.system.loop import Loop


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def journal(loop: Loop, heard: Heard) -> Journal:
    return Journal(loop, heard)


def test_a_few_connections_are_named_one_by_one(journal: Journal, heard: Heard) -> None:
    journal.connected("192.0.2.7:4000")
    journal.disconnected("192.0.2.7:4000", "closed", 1.23456, 17, 2)
    journal.refused("192.0.2.8:4001", "its address is not allowed (--allow)")
    journal.write()
    assert [event.pop("at") != "" for event in heard.heard] == [True] * 3
    assert heard.heard == [
        {"event": "connect", "sender": "192.0.2.7:4000"},
        {
            "event": "disconnect",
            "sender": "192.0.2.7:4000",
            "why": "closed",
            "seconds": 1.235,
            "bytes": 17,
            "lines": 2,
        },
        {"event": "refused", "sender": "192.0.2.8:4001", "why": "its address is not allowed (--allow)"},
    ]


def test_they_are_written_once_after_a_moment(journal: Journal, heard: Heard, loop: Loop) -> None:
    now = 1000.0
    loop.now = lambda: now
    for number in range(3):
        journal.connected("a:1")
        now += COLLECT * 0.9
        loop.turn(at_most=0)
        journal.connected("a:2")
        assert len(heard.heard) == number * 2
        now += COLLECT * 0.1
        loop.turn(at_most=0)
        assert [event["sender"] for event in heard.heard[number * 2 :]] == ["a:1", "a:2"]
        journal.write()
        assert len(heard.heard) == number * 2 + 2


def test_an_event_is_dated_when_it_came(
    journal: Journal, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["first", "second"])
    monkeypatch.setattr("reclog.engine.records.journal.timestamp", lambda: next(times))
    journal.connected("a:1")
    journal.connected("a:2")
    journal.write()
    assert [event["at"] for event in heard.heard] == ["first", "second"]


@pytest.mark.parametrize("count", [EACH_UP_TO - 1, EACH_UP_TO])
def test_up_to_a_bound_each_is_named(journal: Journal, heard: Heard, count: int) -> None:
    for number in range(count):
        journal.connected(f"a:{number}")
    journal.write()
    assert [event["sender"] for event in heard.heard] == [f"a:{number}" for number in range(count)]


def test_a_flood_is_summed_up(journal: Journal, heard: Heard) -> None:
    for number in range(EACH_UP_TO):
        journal.connected(f"192.0.2.7:{number}")
    journal.refused("[2001:db8::1]:5", "its address is not allowed (--allow)")
    journal.disconnected("192.0.2.7:0", "closed", 0.1, 1, 1)
    journal.write()
    assert heard.heard == [
        {
            "event": "many connections",
            "counts": {"connect": EACH_UP_TO, "refused": 1, "disconnect": 1},
            "busiest": {"192.0.2.7": EACH_UP_TO, "[2001:db8::1]": 1},
        }
    ]


def test_a_flood_from_everywhere_stays_short(journal: Journal, heard: Heard) -> None:
    for number in range(5000):
        journal.connected(f"10.0.{number // 256}.{number % 256}:1")
    journal.connected("10.0.0.9:2")
    journal.write()
    (event,) = heard.heard
    assert event["counts"] == {"connect": 5001}
    assert len(event["busiest"]) == 10
    assert event["busiest"]["10.0.0.9"] == 2


def test_after_a_flood_each_is_named_again(journal: Journal, heard: Heard) -> None:
    for number in range(EACH_UP_TO + 1):
        journal.connected(f"a:{number}")
    journal.write()
    journal.connected("b:1")
    journal.write()
    assert [event["event"] for event in heard.heard] == ["many connections", "connect"]


def test_whatever_comes_in_floods_is_summed_up(journal: Journal, heard: Heard) -> None:
    for senders in range(EACH_UP_TO):
        journal.note("listener full", senders=senders)
    journal.note("unfinished lines handed on", bytes=3)
    journal.write()
    (event,) = heard.heard
    assert event["counts"] == {"listener full": EACH_UP_TO, "unfinished lines handed on": 1}


def test_many_are_summed_up_without_a_file_to_open(
    journal: Journal, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    for number in range(EACH_UP_TO + 1):
        journal.connected(f"192.0.2.{number % 12}:{4000 + number}")
    monkeypatch.setattr("builtins.__import__", no_more)
    journal.write()
    monkeypatch.undo()
    assert [event["event"] for event in heard.heard] == ["many connections"]
    assert len(heard.heard[0]["busiest"]) == 10
