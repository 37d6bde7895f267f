from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reclog.engine.merge import STRANGER, Merger

WHO = st.integers(0, 3)
TEXT = st.one_of(
    st.lists(st.sampled_from([b"\n", b"x", b"yy", b"\r\n", b"\0", b"\xff"]), max_size=8).map(b"".join),
    st.binary(max_size=20),
)
STAMP = st.sampled_from([b"", b"12:00 a ", b"12:01 bb "])


@dataclass
class Line:
    """A line of the merged stream as a reader sees it, and where it comes from."""

    who: int
    stamp: bytes
    body: bytearray = field(default_factory=bytearray)
    #: Its newline: its sender's own (True), one that was added (False), none yet (None).
    own_end: bool | None = None

    def as_seen(self) -> bytes:
        return self.stamp + bytes(self.body) + (b"" if self.own_end is None else b"\n")


class Model:
    """What the stream should be, kept as lines with one owner each instead of as bytes."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, who: int, text: bytes, stamp: bytes) -> None:
        for value in text:
            self._line_for(who, stamp)
            if value == 10:
                self.lines[-1].own_end = True
            else:
                self.lines[-1].body.append(value)

    def _line_for(self, who: int, stamp: bytes) -> None:
        if self.lines and self.lines[-1].own_end is None:
            if self.lines[-1].who == who:
                return
            self.lines[-1].own_end = False
        self.lines.append(Line(who, stamp))

    def as_seen(self) -> bytes:
        return b"".join(line.as_seen() for line in self.lines)

    def sent_by(self, who: int) -> bytes:
        mine = (line for line in self.lines if line.who == who)
        return b"".join(bytes(line.body) + (b"\n" if line.own_end else b"") for line in mine)


@settings(deadline=None, derandomize=True, database=None, max_examples=250)
@given(st.lists(st.tuples(WHO, TEXT, STAMP), max_size=25))
@example([(0, b"a", b""), (1, b"b", b""), (0, b"\n", b"")])
@example([(0, b"a", b"T "), (0, b"\nb", b"U "), (1, b"\n\n", b"V ")])
def test_the_stream_is_lines_of_one_sender_each(adds: list[tuple[int, bytes, bytes]]) -> None:
    merger, model = Merger(), Model()
    stream = b""
    for who, text, stamp in adds:
        stream += merger.add(who, text, stamp)
        model.add(who, text, stamp)
        assert stream == model.as_seen()
    for who in range(4):
        assert model.sent_by(who) == b"".join(text for sender, text, _ in adds if sender == who)


@settings(deadline=None, derandomize=True, database=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.sampled_from([".", "\n"]), max_size=8)), max_size=25)
)
def test_no_line_has_letters_of_two_senders(adds: list[tuple[int, list[str]]]) -> None:
    # Each sender writes one letter of its own, so the result alone tells whose a line is.
    letters = [b"a", b"b", b"c"]
    merger = Merger()
    sent = [b"", b"", b""]
    stream = b""
    for who, marks in adds:
        text = "".join(marks).encode().replace(b".", letters[who])
        sent[who] += text
        stream += merger.add(who, text)
    for line in stream.split(b"\n"):
        assert len(set(line)) <= 1
    for who, letter in enumerate(letters):
        assert stream.count(letter) == sent[who].count(letter)
    added = stream.count(b"\n") - sum(text.count(b"\n") for text in sent)
    assert 0 <= added <= len(adds)


@settings(deadline=None, derandomize=True, database=None, max_examples=100)
@given(st.lists(st.tuples(WHO, TEXT), max_size=20))
def test_an_open_end_is_remembered(adds: list[tuple[int, bytes]]) -> None:
    merger = Merger()
    stream = b""
    last = None
    for who, text in adds:
        stream += merger.add(who, text)
        last = who if text else last
        assert merger.open_by == (None if not stream or stream.endswith(b"\n") else last)


def test_nothing_added_closes_nothing() -> None:
    merger = Merger()
    assert merger.add("a", b"half") == b"half"
    assert merger.add("b", b"", b"stamp ") == b""
    assert merger.add("a", b" done\n") == b" done\n"


def test_a_strangers_half_line_is_closed_by_anyone() -> None:
    merger = Merger()
    merger.open_by = STRANGER
    assert merger.add(1, b"mine\n", b"T ") == b"\nT mine\n"


def test_a_line_that_goes_on_has_one_stamp() -> None:
    merger = Merger()
    stream = merger.add(1, b"half", b"T1 ") + merger.add(1, b" done\nnext\n", b"T2 ")
    assert stream == b"T1 half done\nT2 next\n"


def test_a_line_that_goes_on_after_another_is_stamped_again() -> None:
    merger = Merger()
    stream = (
        merger.add(1, b"half", b"T1 ") + merger.add(2, b"other\n", b"T2 ") + merger.add(1, b" done\n", b"T3 ")
    )
    assert stream == b"T1 half\nT2 other\nT3  done\n"


def test_carriage_returns_are_left_alone() -> None:
    merger = Merger()
    assert merger.add(1, b"a\r\nb\rc\r\n", b"T ") == b"T a\r\nT b\rc\r\n"
