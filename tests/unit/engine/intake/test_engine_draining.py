"""The end: what was sent is taken in, not a byte more, and in time."""

from __future__ import annotations

import errno

import pytest
from intake_bench import Bench, MemoryStore

from reclog.engine.intake.reading import READ_SIZE
from reclog.engine.intake.unfinished import LINE_MAX
from reclog.engine.streams.plain import Plain
from reclog.engine.system.kernel import LINUX


def test_draining_takes_what_waits_and_what_was_sent(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    listener, port = bench.listen()
    served = bench.connect(port)
    served.send(b"served\n")
    bench.until_stored(b"served\n")
    served.send(b"more\nhalf")
    waiting = [bench.connect(port) for _ in range(20)]
    for number, sender in enumerate(waiting):
        sender.send(b"waiting %d\n" % number)
    listener.refuse_newcomers()
    assert intake.drain(listener, bench.soon())
    assert intake.drain_senders(bench.soon())
    assert intake.hand_on_all(bench.soon())
    assert intake.left_behind() == (0, 0)
    assert intake.senders == 0
    lines = bench.store.text.split(b"\n")
    assert sorted(lines) == sorted(
        [b"served", b"more", b"half", *(b"waiting %d" % number for number in range(20))]
    )
    assert bench.store.written == len(bench.store.text)


def test_a_drained_sender_learns_that_nobody_listens(bench: Bench) -> None:
    intake = bench.serve()
    _, port = bench.listen()
    sender = bench.connect(port)
    sender.send(b"line\n")
    bench.until_stored(b"line\n")
    assert intake.drain_senders(bench.soon())
    sender.settimeout(5)
    with pytest.raises(ConnectionResetError):
        sender.recv(1)


def test_draining_takes_the_queue_whatever_the_cap(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    senders = [bench.queue.comes() for _ in range(5)]
    for number, sender in enumerate(senders):
        sender.send(b"%d\n" % number)
    bench.until_stored(b"0\n")
    assert intake.drain(bench.queue, bench.soon())
    assert intake.drain_senders(bench.soon())
    assert bench.store.text == b"0\n1\n2\n3\n4\n"


@pytest.mark.parametrize(
    ("number", "emptied"), [(errno.ECONNABORTED, True), (errno.EINVAL, True), (errno.EMFILE, False)]
)
def test_a_queue_that_fails(bench: Bench, number: int, emptied: bool) -> None:
    intake = bench.serve()
    bench.queue.fails(number)
    if number == errno.ECONNABORTED:  # this one had ended; there may be others
        bench.queue.comes().send(b"line\n")
    assert intake.drain(bench.queue, bench.soon()) is emptied
    assert bench.store.text == (b"line\n" if number == errno.ECONNABORTED else b"")


def test_draining_takes_much_in(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    _, port = bench.listen()
    sender = bench.connect(port)
    bench.until(lambda: intake.senders == 1)
    sent = 0
    try:
        while True:
            sent += sender.send(b"x" * 65536)
    except BlockingIOError:
        pass  # the kernel's queues are full
    assert intake.drain_senders(bench.soon())
    assert intake.hand_on_all(bench.soon())
    # What the kernel had accepted for us is recorded; the rest stood in the sender's own queue.
    assert 0 < len(bench.store.text) <= sent
    assert bench.store.taken.most <= LINE_MAX + MemoryStore.FLUSH_AT + READ_SIZE


class Unstoppable(Plain):
    """A stream that can't be made to accept no more."""

    def refuse(self) -> bool:
        return False


def test_where_more_can_not_be_refused_what_was_there_is_the_bound(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    sender = bench.queue.comes(stream=Unstoppable)
    bench.settle()
    sender.send(b"there\n")

    def goes_on() -> None:
        sender.send(b"too late\n")

    bench.store.taken.on_add = goes_on
    assert intake.drain_senders(bench.soon())
    assert bench.store.text == b"there\n"


def test_draining_into_a_full_store_ends_in_time(bench: Bench) -> None:
    intake = bench.serve()
    sender, second = bench.queue.comes(), bench.queue.comes()
    bench.store.full = True
    sender.send(b"one\n")
    bench.until(lambda: intake.paused)
    sender.send(b"two\n")
    second.send(b"three\n")

    def time_goes_by() -> None:
        bench.clock.time += 0.05

    bench.store.on_flush = time_goes_by
    began = bench.clock.time
    assert not intake.drain_senders(bench.soon(1))
    assert not intake.hand_on_all(bench.soon(1))
    assert 2 <= bench.clock.time - began < 3
    count, unread = intake.left_behind()
    assert count == 2
    assert unread == (len(b"two\nthree\n") if LINUX else unread)
    bench.store.full = False
    assert intake.drain_senders(bench.soon())
    assert bench.store.text == b"one\ntwo\nthree\n"


def test_draining_goes_on_when_the_store_has_room_again(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    bench.store.full = True
    sender.send(b"one\n")
    bench.until(lambda: intake.paused)
    sender.send(b"two\n")
    tries: list[None] = []

    def flush() -> None:
        tries.append(None)
        bench.store.full = len(tries) < 3

    bench.store.on_flush = flush
    assert intake.drain_senders(bench.soon())
    assert intake.hand_on_all(bench.soon())
    assert bench.store.text == b"one\ntwo\n"
    assert bench.store.batch.queued == 0


def test_draining_a_sender_without_end_ends_in_time(bench: Bench) -> None:
    """As one that a process passes on, on whose own stream nothing has any effect."""
    intake = bench.serve()
    sender = bench.queue.comes()
    sender.send(b"line\n")
    bench.until_stored(b"line\n")

    def goes_on() -> None:
        sender.send(b"line\n")
        bench.clock.time += 0.01

    bench.store.taken.on_add = goes_on
    sender.send(b"line\n")
    began = bench.clock.time
    assert not intake.drain_senders(bench.soon(0.2))
    assert bench.clock.time - began < 1


def test_handing_all_on_takes_every_unfinished_line(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    for name in (b"a", b"b", b"c"):
        bench.queue.comes().send(name)
    bench.settle()
    assert bench.store.text == b""
    assert intake.hand_on_all(bench.soon())
    assert bench.store.text == b"abc"
    assert bench.store.written == 5  # newlines between
