"""Who makes room when all places are taken."""

from __future__ import annotations

import pytest
from intake_bench import Bench

from reclog.engine.intake.valve import RETRY_AFTER
from reclog.engine.intake.yielding import LOOK_EVERY, SILENT, Yielding
from reclog.engine.system.address import site_of


def who_made_room(bench: Bench) -> list[str]:
    return [event["sender"] for event in bench.events("made room")]


@pytest.mark.parametrize(
    ("hosts", "goes"),
    [
        (["192.0.2.1", "192.0.2.2", "192.0.2.2"], 1),
        (["192.0.2.2", "192.0.2.1", "192.0.2.1"], 1),
        (["2001:db8::7", "2001:db8:1::1", "2001:db8:1::2"], 1),
        (["192.0.2.1", "192.0.2.2", "192.0.2.3"], 0),
        (["", "", ""], 0),
    ],
)
def test_the_longest_silent_of_the_busiest_goes_after_all_it_said(
    bench: Bench, hosts: list[str], goes: int
) -> None:
    bench.serve(senders=3)
    for number, host in enumerate(hosts):
        sender = bench.queue.comes(host, f"s{number}")
        sender.send(b"half" if number == goes else b"x\n")
        bench.settle()
        bench.clock.time += 0.5
    bench.queue.comes("203.0.113.9").send(b"new\n")
    bench.later(SILENT / 2)
    assert b"new" not in bench.store.text
    bench.later(SILENT)
    bench.until(lambda: b"new\n" in bench.store.text)
    assert who_made_room(bench) == [f"s{goes}"]
    assert b"half" in bench.store.text


def test_nobody_goes_for_nobody(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    for _ in range(2):
        bench.queue.comes("192.0.2.1")
    bench.settle()
    bench.later(10 * SILENT)
    assert intake.senders == 2


def test_who_speaks_stays(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    senders = [bench.queue.comes("192.0.2.1") for _ in range(2)]
    bench.queue.comes("192.0.2.2").send(b"new\n")
    for _ in range(5):
        for sender in senders:
            sender.send(b"x\n")
        bench.settle()
        bench.later(SILENT * 0.6)
    assert (intake.senders, bench.queue.waiting) == (2, 1)


def test_who_has_said_what_is_not_read_yet_stays(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    first, _ = (bench.queue.comes("192.0.2.1", name) for name in ("first", "second"))
    bench.settle()
    bench.clock.time += SILENT + LOOK_EVERY
    first.send(b"x\n")
    yielding = Yielding(intake.roster.senders.values, bench.clock)
    found = [yielding.next(0.0), yielding.next(0.0)]
    assert [one and one.name for one in found] == ["second", None]


def test_a_pause_is_nobodys_silence(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    sender = bench.queue.comes("192.0.2.1")
    bench.settle()
    bench.queue.comes("192.0.2.2")
    sender.send(b"x\n")
    bench.store.full = True
    bench.until(lambda: intake.paused)
    bench.later(2 * SILENT)
    bench.store.full = False
    bench.later(RETRY_AFTER)
    assert not intake.paused
    bench.later(LOOK_EVERY)
    assert who_made_room(bench) == []
    bench.later(SILENT)
    bench.until(lambda: bench.queue.waiting == 0)
    assert len(who_made_room(bench)) == 1


def test_a_swarm_of_the_silent_makes_room_at_once(bench: Bench) -> None:
    bench.serve(senders=100)
    for number in range(100):
        bench.queue.comes("192.0.2.1", f"s{number}")
    bench.until(lambda: bench.intake.senders == 100)
    bench.clock.time += SILENT + LOOK_EVERY
    for _ in range(50):
        bench.queue.comes("192.0.2.2").send(b"new\n")
    bench.until(lambda: bench.store.text == b"new\n" * 50)
    (flood,) = bench.events("many connections")[-1:]
    assert flood["counts"]["made room"] == 50
    stayed = [one.name for one in bench.intake.roster.senders.values() if one.host == "192.0.2.1"]
    assert stayed == [f"s{number}" for number in range(50, 100)]


def test_whose_address_it_is() -> None:
    assert site_of("192.0.2.1") != site_of("192.0.2.2")
    assert site_of("2001:db8::1%eth0") == site_of("2001:db8::2") != site_of("2001:db8:0:1::1")
