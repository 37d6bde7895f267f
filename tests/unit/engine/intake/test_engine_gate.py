"""Who may come in, who waits, and what happens while the store takes nothing."""

from __future__ import annotations

import errno
import os

import pytest
from intake_bench import Bench, MemoryStore

from reclog.engine.intake.gate import ROOM_AGAIN
from reclog.engine.intake.reading import READ_SIZE
from reclog.engine.intake.valve import RETRY_AFTER
from reclog.engine.system.address import parse_network

# -- who may send -------------------------------------------------------------------------------


def test_an_address_has_its_share_of_places(bench: Bench) -> None:
    intake = bench.serve(senders_per_address=2)
    first, second = bench.queue.comes("192.0.2.7"), bench.queue.comes("192.0.2.7")
    third, other = bench.queue.comes("192.0.2.7", "192.0.2.7:3"), bench.queue.comes("192.0.2.8")
    for sender in (first, second, other):
        sender.send(b"line\n")
    bench.until_stored(b"line\n" * 3)
    assert third.recv(10) == b""
    assert (intake.senders, intake.roster.refused, intake.roster.connects) == (3, 1, 3)
    (refused,) = bench.events("refused")
    assert refused["sender"] == "192.0.2.7:3"
    assert refused["why"].startswith("2 connections")
    for sender in (first, second):
        sender.close()
    bench.settle()
    for _ in range(2):  # both places are free again
        bench.queue.comes("192.0.2.7").send(b"line\n")
    bench.until_stored(b"line\n" * 5)


def test_senders_of_an_unknown_address_share_no_bound(bench: Bench) -> None:
    intake = bench.serve(senders_per_address=1)
    for _ in range(5):
        bench.queue.comes("").send(b"line\n")
    bench.until_stored(b"line\n" * 5)
    assert intake.roster.refused == 0


def test_only_allowed_networks_may_send(bench: Bench) -> None:
    intake = bench.serve(allow=[parse_network("192.0.2.0/24"), parse_network("2001:db8::/32")])
    bench.queue.comes("192.0.2.9").send(b"may\n")
    bench.queue.comes("2001:db8::9").send(b"may\n")
    stranger = bench.queue.comes("192.0.3.9", "192.0.3.9:4")
    stranger.send(b"may not\n")
    bench.until_stored(b"may\nmay\n")
    bench.settle()
    assert [event["sender"] for event in bench.events("refused")] == ["192.0.3.9:4"]
    assert intake.roster.refused == 1
    with pytest.raises(OSError, match="Broken pipe"):
        stranger.send(b"may not\n")


def test_newcomers_wait_while_there_is_no_place(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    first, second, third = (bench.queue.comes() for _ in range(3))
    for sender, text in ((third, b"third\n"), (first, b"first\n"), (second, b"second\n")):
        sender.send(text)
    bench.later(3)
    assert bench.store.text == b"first\nsecond\n"
    assert intake.gate.full
    assert (intake.senders, bench.queue.waiting) == (2, 1)
    assert bench.events("listener full")[0]["senders"] == 2
    first.close()
    bench.until_stored(b"first\nsecond\nthird\n")
    assert intake.gate.full
    third.close()
    bench.until(lambda: not intake.gate.full)
    room = bench.events("listener has room again")
    assert [event["full_seconds"] for event in room] == [3, 0]


def test_a_burst_of_short_senders_passes_through_one_place(bench: Bench) -> None:
    bench.serve(senders=1)
    for number in range(100):
        with bench.queue.comes() as sender:
            sender.send(b"%d\n" % number)
    bench.until_stored(b"".join(b"%d\n" % number for number in range(100)))
    assert bench.intake.senders == 0


def test_a_second_listener_waits_too(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    bench.queue.comes().send(b"first\n")
    bench.until_stored(b"first\n")
    _, port = bench.listen()
    bench.connect(port).send(b"second\n")
    bench.settle()
    assert intake.senders == 1
    assert bench.store.text == b"first\n"


def test_without_descriptors_newcomers_wait(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.fails(errno.EMFILE)
    bench.queue.comes().send(b"line\n")
    bench.settle()
    assert intake.gate.full
    assert bench.events("listener full")[0]["reason"] == os.strerror(errno.EMFILE)
    bench.later(ROOM_AGAIN)
    assert bench.store.text == b"line\n"
    assert not intake.gate.full


def test_a_connection_that_ended_in_the_queue_is_passed_over(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.fails(errno.ECONNABORTED)
    bench.queue.comes().send(b"line\n")
    bench.until_stored(b"line\n")
    assert not bench.events("listener full")
    assert intake.senders == 1


def test_the_cap_holds_after_a_shortage_of_descriptors(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    first = bench.queue.comes()
    bench.queue.fails(errno.EMFILE)
    bench.settle()
    assert intake.gate.full
    first.close()
    bench.until(lambda: not intake.gate.full)
    for _ in range(3):
        bench.queue.comes()
    bench.later(ROOM_AGAIN)
    assert intake.senders == 2
    assert bench.queue.waiting == 1


def test_an_endpoint_that_was_left_is_not_served(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.comes().send(b"line\n")
    intake.gate.leave(bench.queue)
    intake.gate.leave(bench.queue)
    bench.settle()
    assert bench.queue.waiting == 1
    intake.gate.serve(bench.queue)
    bench.until_stored(b"line\n")
    assert bench.queue.waiting == 0


# -- a store that takes nothing -----------------------------------------------------------------


def test_senders_are_held_back_while_the_store_is_full(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    sender.send(b"one\n")
    bench.until_stored(b"one\n")
    bench.store.full = True
    sender.send(b"two\n")
    bench.settle()
    assert intake.paused
    sender.send(b"three\n")
    late = bench.queue.comes()
    late.send(b"late\n")
    bench.later(RETRY_AFTER)
    assert bench.store.text == b"one\ntwo\n"
    assert bench.queue.waiting == 1
    bench.store.full = False
    bench.loop.turn()  # nobody says anything: it wakes by itself
    assert not intake.paused
    bench.settle()
    assert sorted(bench.store.text.splitlines()) == [b"late", b"one", b"three", b"two"]
    assert bench.store.by_sender()[1] == b"one\ntwo\nthree\n"
    assert bench.store.batch.queued == 0


def test_memory_is_bounded_while_the_store_is_full(bench: Bench) -> None:
    intake = bench.serve()
    bench.store.full = True
    senders = [bench.queue.comes() for _ in range(20)]
    block = b"x" * 99 + b"\n"
    for _ in range(200):
        for sender in senders:
            try:
                sender.send(block * 100)
            except BlockingIOError:
                pass  # held back, as it should be
        bench.loop.turn(at_most=0.001)
    assert intake.paused
    assert bench.store.taken.most <= MemoryStore.FLUSH_AT + 2 * READ_SIZE


def test_an_endpoint_that_comes_while_paused_waits(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.comes().send(b"first\n")
    bench.store.full = True
    bench.until(lambda: intake.paused)
    _, port = bench.listen()
    bench.connect(port).send(b"second\n")
    bench.settle()
    assert intake.senders == 1
    bench.store.full = False
    bench.settle()
    bench.until_stored(b"first\nsecond\n")
    assert intake.senders == 2


def test_paused_and_full_at_once_both_have_to_end(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    first = bench.queue.comes()
    bench.settle()
    assert intake.gate.full
    bench.store.full = True
    first.send(b"first\n")
    bench.settle()
    assert intake.paused
    bench.queue.comes().send(b"second\n")
    bench.store.full = False
    bench.settle()
    assert not intake.paused
    assert bench.queue.waiting == 1
    first.close()
    bench.until_stored(b"first\nsecond\n")


def test_a_sender_gone_while_paused_is_recorded_after(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    bench.store.full = True
    sender.send(b"one\n")
    bench.until(lambda: intake.paused)
    sender.send(b"two")
    sender.close()
    bench.settle()
    assert intake.senders == 1
    bench.store.full = False
    bench.settle()
    assert bench.store.text == b"one\ntwo"
    assert intake.senders == 0


def test_a_newcomer_is_not_read_once_the_store_is_full(bench: Bench) -> None:
    bench.store.FLUSH_AT = 8
    intake = bench.serve()
    bench.store.full = True
    sender = bench.queue.comes("192.0.2.1")
    sender.send(b"first line\n")

    def goes_on() -> None:
        # While its first line meets a full store.
        sender.send(b"more\n")
        bench.store.on_flush = lambda: None

    bench.store.on_flush = goes_on
    bench.loop.turn(at_most=5)
    assert intake.paused
    assert bench.store.text == b"first line\n"
    bench.store.full = False
    bench.settle()
    assert bench.store.text == b"first line\nmore\n"
    assert not intake.paused


def test_a_store_that_is_full_for_one_moment_does_no_harm(bench: Bench) -> None:
    bench.store.FLUSH_AT = 8
    intake = bench.serve()
    bench.store.full = True
    sender = bench.queue.comes()
    sender.send(b"first line\n")
    flushes: list[None] = []

    def flush() -> None:
        # Full at the first attempt, with room at the second; the sender goes on all the time.
        flushes.append(None)
        bench.store.full = len(flushes) == 1
        if len(flushes) <= 2:
            sender.send(b"another line\n")

    bench.store.on_flush = flush
    bench.settle()
    bench.until_stored(b"first line\nanother line\nanother line\n")
    assert not intake.paused
    assert bench.store.batch.queued == 0
