"""Text without a newline: when it is due, and when it is not."""

from __future__ import annotations

import socket

import pytest
from intake_bench import Bench, MemoryStore

from reclog.engine.intake import unfinished
from reclog.engine.intake.reading import READ_SIZE
from reclog.engine.intake.unfinished import LINE_MAX, PENDING_MAX
from reclog.engine.streams.plain import Plain


def test_what_stays_unfinished_is_handed_on(bench: Bench) -> None:
    intake = bench.serve(partial_after=2)
    sender = bench.queue.comes()
    sender.send(b"prompt> ")
    bench.later(1.9)
    assert bench.store.text == b""
    bench.later(0.2)
    assert bench.store.text == b"prompt> "
    assert intake.splits == 1
    sender.send(b"answer\n")
    bench.settle()
    assert bench.store.text == b"prompt> answer\n"
    assert len({who for who, _, _ in bench.store.texts}) == 1


def test_more_text_puts_it_off(bench: Bench) -> None:
    bench.serve(partial_after=2)
    sender = bench.queue.comes()
    for letter in (b"a", b"b", b"c", b"d"):
        sender.send(letter)
        bench.later(1.5)
        assert bench.store.text == b""
    bench.later(0.6)
    assert [text for _, text, _ in bench.store.texts] == [b"abcd"]


def test_each_senders_text_has_its_own_time(bench: Bench) -> None:
    bench.serve(partial_after=2)
    first, second, third = bench.queue.comes(), bench.queue.comes(), bench.queue.comes()
    first.send(b"first")
    bench.later(0.5)
    second.send(b"second")
    third.send(b"third\n")
    bench.later(0.5)
    first.send(b" again")
    bench.later(1.4)
    assert bench.store.text == b"third\n"
    bench.later(0.2)
    assert bench.store.text == b"third\nsecond"
    bench.later(0.5)
    assert bench.store.text == b"third\nsecondfirst again"


def test_many_that_are_due_at_once_are_handed_on_one_by_one(bench: Bench) -> None:
    bench.serve(partial_after=2)
    senders = [bench.queue.comes() for _ in range(100)]
    for number, sender in enumerate(senders):
        sender.send(b"%02d" % number)
        bench.settle()
    bench.later(0.5)
    senders[50].send(b" goes on")
    bench.later(1.6)
    expected = [b"%02d" % number for number in range(100) if number != 50]
    assert [text for _, text, _ in bench.store.texts] == expected
    bench.later(0.5)
    assert [text for _, text, _ in bench.store.texts] == [*expected, b"50 goes on"]


def test_what_is_finished_in_time_is_not_split(bench: Bench) -> None:
    intake = bench.serve(partial_after=2)
    sender = bench.queue.comes()
    sender.send(b"half")
    bench.settle()
    sender.send(b" whole\n")
    bench.later(5)
    assert [text for _, text, _ in bench.store.texts] == [b"half whole\n"]
    assert intake.splits == 0


def test_while_nobody_is_read_nothing_becomes_due(bench: Bench) -> None:
    intake = bench.serve(partial_after=2)
    slow, other = bench.queue.comes(), bench.queue.comes()
    slow.send(b"half")
    bench.later(1)
    bench.store.full = True
    other.send(b"other\n")
    bench.settle()
    assert intake.paused
    bench.later(60)
    assert bench.store.text == b"other\n"
    bench.store.full = False
    bench.settle()
    assert not intake.paused
    # Now it has its whole time again.
    bench.later(1.9)
    assert bench.store.text == b"other\n"
    slow.send(b" whole\n")
    bench.settle()
    assert bench.store.text == b"other\nhalf whole\n"
    assert intake.splits == 0


def test_what_waits_in_the_kernel_is_no_silence(bench: Bench) -> None:
    """The recorder is late itself: in a long write, stopped, starved."""
    bench.store.FLUSH_AT = 1
    intake = bench.serve(partial_after=2)
    sender, other = bench.queue.comes(), bench.queue.comes()
    sender.send(b"half")
    bench.settle()

    def slowly() -> None:
        bench.store.on_flush = lambda: None
        sender.send(b" whole\n")
        bench.clock.time += 5

    bench.store.on_flush = slowly
    other.send(b"other\n")
    bench.settle()
    assert bench.store.text == b"other\nhalf whole\n"
    assert intake.splits == 0


class OnItsWay(Plain):
    """A stream that is passed on by somebody who has more of it."""

    waiting = 0

    def unread(self) -> int:
        return self.waiting


@pytest.mark.parametrize("partial_after", [0.0, 2.0])
def test_what_is_on_its_way_to_us_is_no_silence(
    bench: Bench, partial_after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.serve(partial_after=partial_after)
    monkeypatch.setattr(OnItsWay, "waiting", 5)
    sender = bench.queue.comes(stream=OnItsWay)
    sender.send(b"half")
    bench.settle()
    for _ in range(3):
        bench.later(2.1)
        assert bench.store.text == b""
    monkeypatch.setattr(OnItsWay, "waiting", 0)
    bench.later(2.1)
    assert bench.store.text == b"half"


def test_a_long_line_is_handed_on_at_its_bound(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    sender = bench.queue.comes()
    bench.pour(sender, b"x" * (LINE_MAX - 1))
    bench.settle()
    assert bench.store.texts == []
    sender.send(b"x")
    bench.until(lambda: len(bench.store.text) == LINE_MAX)
    assert intake.splits == 1
    bench.pour(sender, b"y\nz\n")
    bench.until_stored(b"x" * LINE_MAX + b"y\nz\n")


def test_a_line_of_many_times_the_bound_arrives(bench: Bench) -> None:
    bench.serve(partial_after=60)
    line = bytes(value % 251 for value in range(10, 10_000)).replace(b"\n", b"") * 400 + b"\n"
    bench.pour(bench.queue.comes(), line)
    bench.until(lambda: len(bench.store.text) == len(line))
    assert bench.store.text == line
    assert bench.store.taken.most <= LINE_MAX + MemoryStore.FLUSH_AT + READ_SIZE
    assert all(len(text) <= LINE_MAX + READ_SIZE for _, text, _ in bench.store.texts)


def test_unfinished_text_of_all_is_bounded(bench: Bench) -> None:
    bench.serve(partial_after=60)
    each = LINE_MAX - 1
    block = b"x" * each
    senders = [bench.queue.comes() for _ in range(PENDING_MAX // each + 8)]
    poured = 0
    for number, sender in enumerate(senders):
        bench.pour(sender, block[: each - number])
        poured += each - number
        assert poured - len(bench.store.text) <= PENDING_MAX + 2 * READ_SIZE
    bench.settle()
    assert PENDING_MAX // 4 <= poured - len(bench.store.text) <= PENDING_MAX
    assert [event["reason"] for event in bench.events("unfinished lines handed on")] == ["memory"]
    for sender in senders:
        sender.close()
    bench.until(lambda: bench.intake.senders == 0)
    assert len(bench.store.text) == poured
    assert sorted(map(len, bench.store.by_sender().values()), reverse=True) == list(
        range(each, each - len(senders), -1)
    )


def test_the_longest_lines_go_first_when_memory_is_short(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "PENDING_MAX", 100)
    bench.serve(partial_after=60)

    def says(sender: socket.socket, text: bytes) -> None:
        sender.send(text)
        bench.settle()

    short, long, middle = bench.queue.comes(), bench.queue.comes(), bench.queue.comes()
    says(long, b"l" * 60)
    says(short, b"s" * 5)
    says(middle, b"m" * 36)
    assert bench.store.text == b"l" * 60
    says(short, b"\n")
    assert bench.store.text == b"l" * 60 + b"sssss\n"
