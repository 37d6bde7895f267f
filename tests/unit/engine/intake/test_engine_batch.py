from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.intake.batch import GLIMPSE, ROOM, STRANGER, Batch
from reclog.engine.intake.framing import Lines

WHO = st.integers(0, 3)
TEXT = st.one_of(
    st.lists(st.sampled_from([b"\n", b"x", b"yy", b"\r\n", b"\0", b"\xff"]), max_size=8).map(b"".join),
    st.binary(max_size=20),
)
# Few byte values besides all of them: newlines must be frequent to matter.
CHUNK = st.one_of(
    st.binary(max_size=40), st.lists(st.sampled_from([10, 13, 0, 97, 255]), max_size=12).map(bytes)
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


def added(batch: Batch, who: int, text: bytes, stamp: bytes = b"") -> bytes:
    """Add a text; what it brings to the stream."""
    before = batch.queued
    batch.add(who, text, stamp)
    return whole(batch)[before:]


def whole(batch: Batch) -> bytes:
    return bytes(batch.next(1 << 30))


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


@examples(250)
@given(st.lists(st.tuples(WHO, TEXT, STAMP), max_size=25))
@example([(0, b"a", b""), (1, b"b", b""), (0, b"\n", b"")])
@example([(0, b"a", b"T "), (0, b"\nb", b"U "), (1, b"\n\n", b"V ")])
def test_the_stream_is_lines_of_one_sender_each(adds: list[tuple[int, bytes, bytes]]) -> None:
    batch, model = Batch(), Model()
    stream = b""
    for who, text, stamp in adds:
        stream += added(batch, who, text, stamp)
        model.add(who, text, stamp)
        assert stream == model.as_seen()
    for who in range(4):
        assert model.sent_by(who) == b"".join(text for sender, text, _ in adds if sender == who)


@examples(150)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.sampled_from([".", "\n"]), max_size=8)), max_size=25)
)
def test_no_line_has_letters_of_two_senders(adds: list[tuple[int, list[str]]]) -> None:
    # Each sender writes one letter of its own, so the result alone tells whose a line is.
    letters = [b"a", b"b", b"c"]
    batch = Batch()
    sent = [b"", b"", b""]
    stream = b""
    for who, marks in adds:
        text = "".join(marks).encode().replace(b".", letters[who])
        sent[who] += text
        stream += added(batch, who, text)
    for line in stream.split(b"\n"):
        assert len(set(line)) <= 1
    for who, letter in enumerate(letters):
        assert stream.count(letter) == sent[who].count(letter)
    closing = stream.count(b"\n") - sum(text.count(b"\n") for text in sent)
    assert 0 <= closing <= len(adds)


@examples(100)
@given(st.lists(st.tuples(WHO, TEXT), max_size=20))
def test_an_open_end_is_remembered(adds: list[tuple[int, bytes]]) -> None:
    batch = Batch()
    stream = b""
    last = None
    for who, text in adds:
        stream += added(batch, who, text)
        last = who if text else last
        assert batch.open_by == (None if not stream or stream.endswith(b"\n") else last)


def test_nothing_added_closes_nothing() -> None:
    batch = Batch()
    assert added(batch, 1, b"half") == b"half"
    assert added(batch, 2, b"", b"stamp ") == b""
    assert added(batch, 1, b" done\n") == b" done\n"


def test_a_strangers_half_line_is_closed_by_anyone() -> None:
    batch = Batch()
    batch.open_by = STRANGER
    assert added(batch, 1, b"mine\n", b"T ") == b"\nT mine\n"


def test_a_line_that_goes_on_has_one_stamp() -> None:
    batch = Batch()
    stream = added(batch, 1, b"half", b"T1 ") + added(batch, 1, b" done\nnext\n", b"T2 ")
    assert stream == b"T1 half done\nT2 next\n"


def test_a_line_that_goes_on_after_another_is_stamped_again() -> None:
    batch = Batch()
    stream = (
        added(batch, 1, b"half", b"T1 ")
        + added(batch, 2, b"other\n", b"T2 ")
        + added(batch, 1, b" done\n", b"T3 ")
    )
    assert stream == b"T1 half\nT2 other\nT3  done\n"


def test_carriage_returns_are_left_alone() -> None:
    batch = Batch()
    assert added(batch, 1, b"a\r\nb\rc\r\n", b"T ") == b"T a\r\nT b\rc\r\n"


# -- received in place --------------------------------------------------------------------------


class Talker:
    """One sender whose bytes are received into a batch, as an intake does it."""

    def __init__(self, batch: Batch, who: int = 1) -> None:
        self.batch = batch
        self.who = who
        self.pending = b""

    def says(self, data: bytes, stamp: bytes = b"") -> int:
        """Return the number of lines that this makes whole."""
        room = self.batch.room(self.who, len(self.pending), max(len(data), 64))
        room[: len(data)] = data
        taken = self.batch.commit(self.who, self.pending, len(data), Lines(), stamp)
        if taken is None:
            assert self.batch.received(len(data)) == data
            self.pending += data
            return 0
        lines, self.pending = taken
        return lines

    def ends(self, stamp: bytes = b"") -> None:
        self.batch.add(self.who, self.pending, stamp)
        self.pending = b""


@examples(250)
@given(st.lists(CHUNK, max_size=30))
@example([bytes(range(256)), bytes(range(255, -1, -1))])
@example([b"a", b"", b"b", b"\n"])
def test_nothing_is_lost_or_changed_however_the_bytes_are_cut(chunks: list[bytes]) -> None:
    batch = Batch()
    talker = Talker(batch)
    fed = b""
    lines = 0
    for chunk in chunks:
        lines += talker.says(chunk)
        fed += chunk
        # All that can be handed on is: what is held has no newline in it.
        assert whole(batch) == fed[: fed.rfind(b"\n") + 1]
        assert whole(batch) + talker.pending == fed
        assert lines == batch.lines == fed.count(b"\n")
    talker.ends()
    assert whole(batch) == fed
    assert batch.bytes == len(fed)


@examples(250)
@given(
    st.lists(st.tuples(WHO, st.one_of(CHUNK, st.none()), STAMP), max_size=25),
    st.lists(st.integers(1, 30), max_size=10),
)
@example([(0, b"a", b""), (0, None, b""), (1, b"x\nb", b""), (0, b"\n", b"")], [])
def test_received_and_added_make_the_same_stream(
    steps: list[tuple[int, bytes | None, bytes]], writes: list[int]
) -> None:
    """None hands the unfinished line on; a write takes some of the batch out now and then."""
    batch, model = Batch(), Model()
    talkers = [Talker(batch, who) for who in range(4)]
    held = [b""] * 4
    stream = b""
    for who, data, stamp in steps:
        if data is None:
            talkers[who].ends(stamp)
            model.add(who, held[who], stamp)
            held[who] = b""
        else:
            talkers[who].says(data, stamp)
            text = held[who] + data
            cut = text.rfind(b"\n") + 1
            model.add(who, text[:cut], stamp)
            held[who] = text[cut:]
        if writes:
            piece = bytes(batch.next(writes.pop()))
            stream += piece
            if piece:
                batch.written(len(piece))
        assert stream + whole(batch) == model.as_seen()
        assert batch.queued == len(model.as_seen()) - len(stream)


def test_a_line_byte_by_byte_comes_whole() -> None:
    batch = Batch()
    talker = Talker(batch)
    text = bytes(value for value in range(256) if value != 10) + b"\r\n"
    for value in text[:-1]:
        assert talker.says(bytes([value])) == 0
        assert not batch.queued
    assert talker.says(text[-1:]) == 1
    assert whole(batch) == text


def test_what_was_received_before_stays_while_the_buffer_grows() -> None:
    batch = Batch()
    talkers = [Talker(batch, who) for who in range(3)]
    text = bytes(range(97, 123)) * (ROOM // 40) + b"\n"
    for talker in talkers:
        talker.says(text[: len(text) // 2])
        assert talker.says(text[len(text) // 2 :] + b"rest") == 1
    assert whole(batch) == text * 3
    batch.written(len(text) * 3)
    talkers[0].says(b" of it\n")
    assert whole(batch) == b"rest of it\n"


# -- written, and begun anew --------------------------------------------------------------------


@examples(200)
@given(
    st.lists(st.tuples(st.integers(0, 2), TEXT), min_size=1, max_size=8), st.integers(0, 60), st.booleans()
)
def test_begun_anew_it_writes_the_line_that_lost_its_beginning_again(
    adds: list[tuple[int, bytes]], done: int, inside: bool
) -> None:
    batch = Batch()
    for who, text in adds:
        batch.add(who, text)
    stream = whole(batch)
    done = min(done, len(stream) - 1)
    if done < 0:
        return
    if done:
        batch.written(done)
    batch.restart(inside)
    start = stream.rfind(b"\n", 0, done) + 1
    assert whole(batch) == (b"\n" if inside else b"") + stream[start:]
    assert batch.unwritten == len(stream) - start


def test_begun_anew_a_line_that_went_on_is_stamped() -> None:
    batch = Batch()
    batch.add(1, b"half", b"T1 ")
    batch.written(batch.queued)
    batch.add(1, b" done\nnext\n", b"T2 ")
    batch.restart(False)
    assert whole(batch) == b"T2  done\nT2 next\n"
    assert batch.last_line == b"next"


def test_begun_anew_with_nothing_to_write_it_knows_the_half_line() -> None:
    batch = Batch()
    batch.add(1, b"mine")
    batch.written(4)
    batch.restart(True)
    assert batch.open_by == STRANGER
    batch.restart(False)
    assert batch.open_by is None


def test_the_newline_that_closes_anothers_line_is_not_of_the_texts() -> None:
    batch = Batch()
    batch.open_by = STRANGER
    talker = Talker(batch)
    talker.says(b"one\n")
    assert (whole(batch), batch.unwritten) == (b"\none\n", 4)
    batch.written(1)
    assert batch.unwritten == 4
    batch.written(1)
    assert batch.unwritten == 3
    batch.written(3)
    assert (batch.unwritten, batch.queued, batch.bytes) == (0, 0, 4)


# -- for a person to read -----------------------------------------------------------------------


def test_the_last_line_is_seen_before_and_after_it_is_written() -> None:
    batch = Batch()
    assert batch.last_line == b""
    talker = Talker(batch)
    for text, line in ((b"one\ntwo\n", b"two"), (b"\n", b""), (b"a\n" + b"x" * 500 + b"\n", b"x" * GLIMPSE)):
        talker.says(text)
        assert batch.last_line == line
        batch.written(batch.queued)
        assert batch.last_line == line
    batch.add(1, b"one\ntwo", b"12:00 ")
    assert batch.last_line == b"two"
    batch.written(batch.queued)
    assert batch.last_line == b"two"
