"""The collector's end of the feed: what a relay says may be anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from feed_ends import OFFSET_MAX, TEXT, here, shaken
from fuzz import ODD, bounded_memory, cases, changed, cut_at, damaged, raw
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.feed import protocol as frames
from reclog.engine.feed.protocol import ACK, BEAT, DATA, JUMP, LAST, RUNS, STOP, Decoder, FeedError, Frame
from reclog.engine.feed.remote import EACH_UP_TO, TOO_MANY
from reclog.engine.intake.noted import Notes
from reclog.engine.stores.index.format import LAST_MS
from reclog.engine.stores.index.packet import pack
from reclog.engine.stores.index.reader import IndexReader

ANSWER = {"spool": "s", "offset": 0, "end": len(TEXT), "known": False}
BEATEN = {
    "state": "recording",
    "paused_for": "",
    "lines": 1,
    "bytes": 1,
    "senders": 1,
    "connects": 1,
    "refused": 0,
    "end": 1,
    "acked": 0,
    "last_line": "x",
    "owner": "me",
    "connected": True,
    "stopping": False,
}
GOOD = shaken(json.dumps(ANSWER).encode())


def stream_of(*cuts: int) -> bytes:
    """Return an honest relay's frames."""
    said, offset = b"", 0
    for piece in cut_at(TEXT, cuts):
        said += frames.encode(DATA, offset, piece)
        offset += len(piece)
        said += frames.encode(BEAT, len(TEXT), json.dumps(BEATEN).encode())
    return said


@examples(60)
@given(words=st.one_of(st.binary(max_size=300), damaged(GOOD[: GOOD.rfind(b"{")])), closes=st.booleans())
def test_who_is_no_relay_gets_nothing_written(words: bytes, closes: bool) -> None:
    with here(b"before") as ours:
        wire = ours.dial([words], closes)
        assert ours.collector._client is None
        assert not ours.collector.finished
        assert ours.written() == b""
        assert b'collector":' not in wire.said or words.startswith(GOOD[: GOOD.rfind(b"{") - 1])
        ours.check_status()


def check_answer(answer: bytes) -> None:
    with here(b"before") as ours:
        wire = ours.dial([shaken(answer) + stream_of(20, 100)], closes=False)
        collector, landing = ours.collector, ours.collector.outlet
        assert type(landing.offset) is int
        assert 0 <= landing.offset < 2**63
        assert not collector.finished
        assert ours.written() in (b"", b"\n" + TEXT)
        acks = [frame.offset for frame in frames_said(wire.said) if frame.kind == ACK]
        assert all(offset <= landing.offset for offset in acks)
        ours.check_status()


def frames_said(said: bytes) -> list[Frame]:
    """Return the frames behind the two lines of a collector's handshake."""
    parts = said.split(b"\n", 2)
    return list(Decoder().feed(parts[2])) if len(parts) == 3 else []


@examples(80)
@given(
    answer=st.one_of(
        changed(ANSWER, "refused", "owner"), damaged(json.dumps(ANSWER).encode()), ODD.map(str.encode)
    )
)
def test_an_answer_without_sense_is_no_connection(answer: bytes) -> None:
    check_answer(answer.replace(b"\n", b""))


@pytest.mark.parametrize("case", cases("answer"))
def test_kept_answers(case: dict[str, Any]) -> None:
    check_answer(raw(case["answer"]))


@examples(60)
@given(beat=st.one_of(changed(BEATEN, "relay", "x"), ODD.map(str.encode)), last=st.booleans())
def test_what_a_relay_says_of_itself_does_not_break_status(beat: bytes, last: bool) -> None:
    check_beat(beat, last)


@pytest.mark.parametrize("last", [False, True], ids=["beat", "last"])
@pytest.mark.parametrize("case", cases("beat"))
def test_kept_beats(case: dict[str, Any], last: bool) -> None:
    check_beat(raw(case["beat"]), last)


def check_beat(beat: bytes, last: bool = False) -> None:
    with here() as ours:
        ours.collector._stop_wanted = last
        kind = LAST if last else BEAT
        ours.dial(
            [GOOD + stream_of()[: -17 - len(json.dumps(BEATEN))] + frames.encode(kind, len(TEXT), beat)],
            False,
        )
        assert ours.written() == TEXT
        (described,) = ours.check_status()
        assert described["bytes"] == len(TEXT)


#: Sizes, times and names, as what notes of them say.
LYING = st.lists(st.tuples(st.integers(1, 300), st.integers(0, LAST_MS), st.text(max_size=140)), min_size=1)


def packed(said: list[tuple[int, int, str]]) -> bytes:
    notes = Notes()
    notes.extend(*zip(*said))
    return pack(notes)


@examples(40)
@given(
    offset=st.sampled_from([0, 1, 50, len(TEXT) - 1, 2**62, OFFSET_MAX]),
    lies=st.one_of(LYING.map(packed), LYING.map(packed).flatmap(damaged), st.binary(max_size=80)),
)
def test_a_relay_lies_about_who_and_when_and_nothing_else(offset: int, lies: bytes) -> None:
    with here() as ours:
        ours.dial([GOOD + frames.encode(RUNS, offset, lies) + stream_of(100)], closes=False)
        assert ours.written() in (b"", TEXT)  # nonsense ends the connection
        ours.collector.acks.settle()
        data = ours.written()
        at = 0
        for run in IndexReader(str(ours.recording.folder), str(ours.file)).runs(0, len(data)):
            assert run.begin == at < run.end
            assert run.sender is None or (run.sender.isascii() and run.sender.isprintable())
            at = run.end
        assert at == len(data)
        ours.check_status()


def test_a_relay_that_knows_nothing_of_runs_is_understood() -> None:
    with here() as ours:
        wire = ours.dial([GOOD + stream_of(100)], closes=False)
        assert b'"runs": true' in wire.said
        assert ours.written() == TEXT
        ours.collector.acks.settle()
        runs = IndexReader(str(ours.recording.folder), str(ours.file)).runs(0, len(TEXT))
        assert {(run.ms, run.sender) for run in runs} == {(None, None)}
        (described,) = ours.check_status()
        assert described["clock_ahead_ms"] is None


Op = tuple[bytes, int, bytes]


class Landed:
    """What should be in the file after these frames, by a model without a file."""

    def __init__(self, asked: bool) -> None:
        self.asked = asked
        self.position = 0
        self.text = b""
        self.last = -1
        self.over = False

    def take(self, kind: bytes, offset: int, payload: bytes) -> None:
        if self.over:
            return
        if offset + len(payload) > OFFSET_MAX:
            self.over = True
        elif kind == DATA and offset == self.position:
            closing = b"\n" if self.joined and payload else b""
            self.joined = False if payload else self.joined
            self.text += closing + payload
            self.position += len(payload)
        elif kind == JUMP and self.position < offset:
            self.joined = bool(self.text) and not self.text.endswith(b"\n")
            self.position = offset
        elif kind in (BEAT, LAST) and _is_object(payload) and (kind == BEAT or self.asked):
            if kind == LAST:
                self.last = offset
        else:
            self.over = True

    joined = False


def _is_object(payload: bytes) -> bool:
    try:
        Frame(BEAT, 0, payload).json()
    except FeedError:
        return False
    return True


@st.composite
def ops(draw: st.DrawFn) -> list[Op]:
    """Return frames that mostly follow each other, and now and then don't."""
    said: list[Op] = []
    position = 0
    far = st.sampled_from([0, 1, 2**31, 2**62, 2**63 - 9, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from([DATA] * 8 + [JUMP] * 3 + [BEAT] * 2 + [LAST, ACK, STOP]))
        offset = position
        if kind == JUMP:
            offset = draw(st.one_of(st.integers(position, position + 50), far))
        elif draw(st.integers(0, 12)) == 0 or kind == LAST:
            offset = draw(st.one_of(st.integers(0, position + 20), far))
        lines = st.lists(st.sampled_from([b"ab\n", b"cd", b"\n", b'{"a": 1}\n']), max_size=5).map(b"".join)
        told = st.one_of(st.just(b"{}"), st.just(b""), changed({"senders": 1}, "x"), st.binary(max_size=9))
        payload = draw(lines if kind == DATA else told)
        said.append((kind, offset, payload))
        if kind == DATA and offset == position:
            position += len(payload)
        elif kind == JUMP and offset > position:
            position = offset
        if position > OFFSET_MAX:
            break
    return said


@examples(80)
@given(said=ops(), cuts=st.lists(st.integers(0, 100_000), max_size=4), asked=st.booleans())
def test_only_what_follows_is_written(said: list[Op], cuts: list[int], asked: bool) -> None:
    check_ops(said, cuts, asked)


def check_ops(said: list[Op], cuts: Sequence[int] = (), asked: bool = True) -> None:
    with here() as ours:
        ours.collector._stop_wanted = asked
        model = Landed(asked)
        for op in said:
            model.take(*op)
        stream = GOOD + b"".join(frames.encode(*op) for op in said)
        wire = ours.dial(cut_at(stream, cuts), closes=False)
        collector = ours.collector
        written = ours.written()
        assert model.text.startswith(written) if collector.finished else written == model.text
        if not collector.finished:
            assert collector.outlet.offset == model.position
            assert (collector._client is None) == model.over
        else:
            assert asked
            assert 0 <= model.last <= model.position
        ours.check_status()
        acks = [frame.offset for frame in frames_said(wire.said) if frame.kind == ACK]
        assert acks == sorted(acks)
        assert all(offset <= model.position for offset in acks)


@pytest.mark.parametrize("case", cases("frames"))
def test_kept_frames(case: dict[str, Any]) -> None:
    check_ops([(kind.encode(), offset, raw(payload)) for kind, offset, payload in case["frames"]])


@examples(150)
@given(
    data=st.data(),
    bits=st.lists(st.integers(0, 10**6), min_size=1, max_size=2),
    cuts=st.lists(st.integers(0, 100_000), max_size=3),
)
def test_flipped_bits_are_noticed(data: st.DataObject, bits: list[int], cuts: list[int]) -> None:
    check_flipped(bits, cuts, data.draw(st.sampled_from([TEXT, b'{"json": "lines"}\n' * 9])))


def check_flipped(bits: Sequence[int], cuts: Sequence[int], text: bytes, beats: bool = True) -> None:
    stream = bytearray()
    offset = 0
    for piece in text.splitlines(keepends=True):
        stream += frames.encode(DATA, offset, piece)
        offset += len(piece)
        if beats:
            stream += frames.encode(BEAT, len(text), b"{}")
    for bit in bits:
        stream[bit // 8 % len(stream)] ^= 1 << bit % 8
    with here() as ours:
        good = shaken(json.dumps({**ANSWER, "end": len(text)}).encode())
        wire = ours.dial(cut_at(good + bytes(stream), cuts), closes=False)
        written = ours.written()
        assert text.startswith(written)
        assert not ours.collector.finished
        assert ours.collector.gaps.count == 0
        assert ours.collector.outlet.offset == len(written)
        acks = [frame.offset for frame in frames_said(wire.said) if frame.kind == ACK]
        assert max(acks) <= len(written)
        assert ours.collector.end <= len(text)


@pytest.mark.parametrize("case", cases("flips"))
def test_kept_flips(case: dict[str, Any]) -> None:
    check_flipped(case["bits"], [], raw(case["text"]), case["beats"])


def test_a_flood_of_frames_is_taken_in_turns() -> None:
    with here() as ours:
        beat = frames.encode(BEAT, 5, b"{}")
        wire = ours.dial([GOOD, beat * 40_000], closes=True)
        assert wire.heard_all
        assert len(ours.collector._client._decoder._buffer if ours.collector._client else b"") <= 1 << 21
        ours.check_status()


def test_an_end_that_nobody_asked_for_ends_nothing() -> None:
    check_ops([(DATA, 0, b"ab\n"), (LAST, 3, b"{}")], asked=False)
    check_ops([(DATA, 0, b"ab\n"), (LAST, 3, b"{}")], asked=True)


def test_a_flood_of_gaps_is_summed_up_and_breaks_the_connection() -> None:
    with here() as ours:
        jumps = b"".join(frames.encode(JUMP, offset, b"{}") for offset in range(2, 100_000, 2))
        ours.dial([GOOD, jumps])
        assert ours.collector._client is None
        end = ours.collector.outlet.offset
        ours.collector.gaps.sum_up()
        gaps = [event for event in ours.events() if event["event"] == "gap"]
        assert len(gaps) == EACH_UP_TO + 1
        assert sum(gap.get("bytes", gap["end"] - gap["start"]) for gap in gaps) == end
        assert sum(gap.get("gaps", 1) for gap in gaps) == ours.collector.gaps.count == TOO_MANY + 1
        assert len(ours.events()) < 2 * EACH_UP_TO


@pytest.mark.parametrize(
    "beat",
    [
        b'{"x": "' + b"x" * 1_000_000 + b'"}',
        b'{"x": [' + b"[]," * 300_000 + b"[]]}",
        b'{"x": "' + b"x" * 9_000 + b'"}',
    ],
    ids=["word", "lists", "fits"],
)
def test_what_is_kept_of_a_relays_words_is_bounded(beat: bytes) -> None:
    with here() as ours:
        stream = GOOD + frames.encode(BEAT, 0, beat) * 3
        with bounded_memory(8 << 20):
            ours.dial([stream], closes=True)
        assert len(json.dumps(ours.collector.remote.facts)) < 1000
        ours.check_status()
