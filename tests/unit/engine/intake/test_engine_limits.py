"""Limits that change while senders are connected."""

from __future__ import annotations

import pytest
from intake_bench import Bench

from reclog.engine.intake.roster import Limits
from reclog.engine.system.address import parse_network

HERE = [parse_network("192.0.2.0/24")]


@pytest.mark.parametrize("paused", [False, True])
def test_who_may_not_send_any_more_goes_when_all_is_recorded(bench: Bench, paused: bool) -> None:
    intake = bench.serve()
    stays, goes = bench.queue.comes("192.0.2.7"), bench.queue.comes("198.51.100.7")
    bench.queue.comes("198.51.100.8")  # says nothing
    bench.until(lambda: intake.senders == 3)
    bench.store.full = paused
    goes.send(b"accepted\nhalf")
    if paused:
        stays.send(b"x\n")
        bench.until(lambda: intake.paused)
        goes.send(b" a line\n")
    intake.adopt(Limits(allow=HERE))
    bench.settle()
    bench.store.full = False
    bench.later(1.0)
    bench.until(lambda: intake.senders == 1)
    stays.send(b"stays\n")
    bench.until(lambda: b"stays\n" in bench.store.text)
    assert (b"half a line\n" if paused else b"accepted\nhalf") in bench.store.text
    gone = bench.events("disconnect")
    assert sorted(one["sender"].partition(":")[0] for one in gone) == ["198.51.100.7", "198.51.100.8"]
    assert {one["why"] for one in gone} == {"its address is not allowed any more (--allow)"}
    bench.queue.comes("198.51.100.7")
    bench.until(lambda: intake.roster.refused == 1)


def test_places_are_taken_and_given(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    for number in range(4):
        bench.queue.comes(f"192.0.2.{number}")
    bench.until(lambda: intake.senders == 2)
    assert intake.gate.full
    intake.adopt(Limits(senders=3))
    bench.until(lambda: intake.senders == 3)
    assert bench.queue.waiting == 1
    intake.adopt(Limits(senders=1))
    bench.settle()
    assert (intake.senders, intake.gate.full) == (3, True)
    intake.adopt(Limits())
    bench.until(lambda: intake.senders == 4)
    assert not intake.gate.full


def test_lines_are_treated_as_is_asked_now(bench: Bench) -> None:
    intake = bench.serve(partial_after=60.0)
    sender = bench.queue.comes("192.0.2.1")
    sender.send(b"first\nhalf")
    bench.until_stored(b"first\n")
    intake.adopt(Limits(partial_after=0.5, stamp=True))
    bench.later(1.0)
    assert [(text, stamp[-14:]) for _, text, stamp in bench.store.texts] == [
        (b"first\n", b""),
        (b"half", b"Z 192.0.2.1:1 "),
    ]


def test_a_name_stands_for_an_address_and_changes_while_it_is_connected(bench: Bench) -> None:
    intake = bench.serve(stamp=True, names={"192.0.2.1": "kitchen", "fe80::1": "cellar"})
    sender = bench.queue.comes("192.0.2.1", "192.0.2.1:4000")
    other = bench.queue.comes("fe80::1%eth0", "[fe80::1%eth0]:4001")
    sender.send(b"one\n")
    bench.until(lambda: len(bench.store.texts) == 1)
    intake.adopt(intake.roster._limits._replace(names={"192.0.2.1": "bath"}))
    sender.send(b"two\n")
    bench.until(lambda: len(bench.store.texts) == 2)
    names = [stamp.split()[1] for _, _, stamp in bench.store.texts]
    assert names == [b"kitchen:4000", b"bath:4000"]
    other.close()
    bench.until(lambda: intake.senders == 1)
    assert [event["sender"] for event in bench.events("connect")] == ["kitchen:4000", "cellar:4001"]
    assert [event["sender"] for event in bench.events("disconnect")] == ["[fe80::1%eth0]:4001"]
