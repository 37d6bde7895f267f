"""From streams to lines: who says what, and how that is put together."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_bench import Bench, Heard, Pairs
from properties import examples

from reclog.engine.intake import stamps
from reclog.engine.intake.batch import Bytes
from reclog.engine.intake.framing import Lines
from reclog.engine.intake.intake import Intake
from reclog.engine.intake.roster import Limits
from reclog.engine.records.journal import Journal
from reclog.engine.stores.file import RecordedFile
from reclog.engine.streams.plain import Plain
from reclog.engine.system.loop import Loop

# -- lines --------------------------------------------------------------------------------------


def test_fragments_become_lines(bench: Bench) -> None:
    bench.serve()
    first, second = bench.queue.comes(), bench.queue.comes()
    first.send(b"fi")
    second.send(b"sec")
    bench.settle()
    assert bench.store.texts == []
    first.send(b"rst\nmore")
    bench.until_stored(b"first\n")
    second.send(b"ond\n")
    bench.until_stored(b"first\nsecond\n")
    assert len({who for who, _, _ in bench.store.texts}) == 2


def test_one_line_and_goodbye_takes_one_turn(bench: Bench) -> None:
    intake = bench.serve()
    for number in range(10):
        with bench.queue.comes("192.0.2.1") as sender:
            sender.send(b"line %d\n" % number)
    bench.loop.turn(at_most=5)
    assert bench.store.text == b"".join(b"line %d\n" % number for number in range(10))
    assert intake.senders == 0
    assert intake.roster.connects == 10
    assert intake.splits == 0


def test_who_came_and_went_is_told(bench: Bench) -> None:
    bench.serve()
    sender = bench.queue.comes("192.0.2.7", "192.0.2.7:4000")
    sender.send(b"one\ntwo\nthree")
    bench.until_stored(b"one\ntwo\n")
    sender.close()
    bench.until(lambda: bool(bench.events("disconnect")))
    assert [event["event"] for event in bench.events()] == ["connect", "disconnect"]
    gone = bench.events("disconnect")[0]
    assert (gone["sender"], gone["why"], gone["bytes"], gone["lines"]) == ("192.0.2.7:4000", "closed", 13, 2)


def test_a_sender_that_is_reset_is_told(bench: Bench) -> None:
    bench.serve()
    _, port = bench.listen()
    sender = bench.connect(port)
    sender.send(b"half")
    bench.until(lambda: bench.intake.senders == 1)
    bench.settle()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    bench.until(lambda: bool(bench.events("disconnect")))
    assert bench.events("disconnect")[0]["why"] == os.strerror(errno.ECONNRESET)
    assert bench.store.text == b"half"


def test_a_half_closed_sender_is_done(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    sender.send(b"line\nrest")
    sender.shutdown(socket.SHUT_WR)
    bench.until_stored(b"line\nrest")
    assert intake.senders == 0
    assert sender.recv(10) == b""


def test_lines_of_many_senders_have_one_stamp_a_turn(bench: Bench) -> None:
    bench.serve(stamp=True)
    for number in range(3):
        bench.queue.comes("192.0.2.7", f"192.0.2.7:{number}").send(b"line\n")
    bench.until(lambda: len(bench.store.texts) == 3)
    stamps = [stamp.decode() for _, _, stamp in bench.store.texts]
    times = [stamp.split(" ")[0] for stamp in stamps]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", times[0])
    assert stamps == [f"{times[0]} 192.0.2.7:{number} " for number in range(3)]


def test_later_lines_have_later_stamps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(["T1", "T2"])
    monkeypatch.setattr(stamps, "timestamp", lambda: next(times))
    bench.serve(stamp=True)
    sender = bench.queue.comes("a", "a:1")
    sender.send(b"one\n")
    bench.until_stored(b"one\n")
    sender.send(b"two\n")
    bench.until_stored(b"one\ntwo\n")
    assert [stamp for _, _, stamp in bench.store.texts] == [b"T1 a:1 ", b"T2 a:1 "]


FRAGMENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r\n", b"\0", b"\xff"]), min_size=1, max_size=4).map(
            b"".join
        ),
        st.integers(0, 2),
    ),
    max_size=20,
)


@examples(60)
@given(fragments=FRAGMENTS, partial_after=st.sampled_from([0.0, 60.0]))
def test_the_file_has_every_senders_text_in_lines_of_its_own(
    fragments: list[tuple[int, bytes, int]], partial_after: float
) -> None:
    # Each sender's text goes into the file with a letter of its own, so that its lines can be told.
    letters = [b"x", b"y", b"z"]
    sent = [b"", b"", b""]
    loop, queue = Loop(), Pairs()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.log")
        sink = RecordedFile(str(path), lambda event, **facts: None)
        sink.open()
        intake = Intake(loop, sink, Journal(loop, Heard()), Limits(partial_after=partial_after))
        intake.gate.serve(queue)
        senders = [queue.comes() for _ in letters]
        for who, text, turns in fragments:
            text = text.translate(bytes(10 if value == 10 else letters[who][0] for value in range(256)))
            sent[who] += text
            senders[who].send(text)
            for _ in range(turns):
                loop.turn(at_most=0)
        loop.turn(at_most=0)
        assert intake.drain_senders(time.monotonic() + 5)
        assert intake.hand_on_all(time.monotonic() + 5)
        sink.close()
        queue.close()
        loop.close()
        written = path.read_bytes()
    for line in written.split(b"\n"):
        assert len(set(line)) <= 1
    for letter, text in zip(letters, sent):
        mine = b"".join(line for line in written.splitlines(keepends=True) if letter in line)
        assert mine.replace(b"\n", b"") == text.replace(b"\n", b"")
        assert written.count(letter) == text.count(letter)
    added = written.count(b"\n") - sum(text.count(b"\n") for text in sent)
    assert added >= 0
    if partial_after:
        # Nobody is cut short: a newline is added where a sender went inside a line, and nowhere else.
        assert added <= sum(1 for text in sent if text and not text.endswith(b"\n"))


def test_one_that_is_passed_on_says_its_line_later_and_goes_at_once(bench: Bench) -> None:
    intake = bench.serve()
    with bench.queue.comes() as sender:
        bench.until(lambda: intake.senders == 1)
        sender.send(b"line\n")
    bench.loop.turn(at_most=5)
    assert (bench.store.text, intake.senders) == (b"line\n", 0)


# -- streams and framings of another kind -------------------------------------------------------


class Deciphered(Plain):
    """A stream that takes all that the kernel has, and gives it out by threes; a `.` alone is no text."""

    holds = False
    _clear = b""

    def receive_into(self, room: memoryview) -> int:
        if not self._clear:
            taken = bytearray(100)
            count = super().receive_into(memoryview(taken))
            if not count:
                return 0
            self._clear = bytes(taken[:count]).replace(b".", b"")
            if not self._clear:
                raise BlockingIOError
        piece, self._clear = self._clear[:3], self._clear[3:]
        room[: len(piece)] = piece
        self.holds = bool(self._clear)
        return len(piece)


def test_what_a_stream_holds_is_read_though_the_kernel_is_silent(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    sender = bench.queue.comes("192.0.2.1", stream=Deciphered)
    sender.send(b"first\nsecond\nthird\n")
    bench.until_stored(b"first\nsecond\nthird\n")
    sender.send(b".")
    bench.settle()
    assert intake.senders == 1
    bench.store.full = True
    sender.send(b"fourth\nfifth\n")
    bench.until(lambda: intake.paused)
    sender.close()
    bench.store.full = False
    bench.until_stored(b"first\nsecond\nthird\nfourth\nfifth\n")
    bench.until(lambda: intake.senders == 0)


def test_what_a_stream_holds_is_drained(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    bench.queue.comes(stream=Deciphered).send(b"first\nsecond\n")
    bench.loop.turn(at_most=5)
    assert intake.drain_senders(bench.soon())
    assert bench.store.text == b"first\nsecond\n"


class Digit(Lines):
    """Each message behind one digit that counts its bytes."""

    verbatim = False

    def __init__(self) -> None:
        self._missing = 0
        self._left = 0

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        whole, at = begin, begin
        while at < end:
            if not self._missing:
                self._missing, at = buffer[at] - 0x30, at + 1
            step = min(self._missing, end - at)
            at, self._missing = at + step, self._missing - step
            if not self._missing:
                whole = at
        return whole

    def strip(self, text: bytes) -> bytes:
        lines, at = b"", self._left
        lines += text[:at] + b"\n" if at else b""
        self._left = 0
        while at < len(text):
            size = text[at] - 0x30
            lines += text[at + 1 : at + 1 + size] + b"\n"
            at += 1 + size
        return lines

    def part(self, text: Bytes, last: bool) -> Bytes:
        if not self._left:
            self._left, text = text[0] - 0x30, text[1:]
        self._left -= len(text)
        return text


@pytest.mark.parametrize("stamp", [False, True])
def test_a_framing_takes_its_own_away(bench: Bench, stamp: bool) -> None:
    bench.queue = Pairs(Digit)
    intake = bench.serve(partial_after=2, stamp=stamp)
    one, other = bench.queue.comes(), bench.queue.comes()
    one.send(b"3abc5de")
    bench.settle()
    assert bench.store.text == b"abc\n"
    one.send(b"fgh1i4")
    bench.settle()
    assert bench.store.text == b"abc\ndefgh\ni\n"
    other.send(b"2xy9begin")
    bench.later(2.1)  # and what is due before its end goes on there
    one.send(b"jklm")
    bench.settle()
    other.send(b"-end3end")
    bench.settle()
    assert bench.store.by_sender() == {1: b"abc\ndefgh\ni\njklm\n", 2: b"xy\nbegin-end\nend\n"}
    assert intake.splits == 2
    one.send(b"7cut")
    one.close()
    bench.settle()
    assert bench.store.by_sender()[1].endswith(b"jklm\ncut")
