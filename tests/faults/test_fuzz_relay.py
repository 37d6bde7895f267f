"""The relay's end of the feed: what whoever connects says may be anything."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from feed_ends import TEXT, check_relay_goes_on, relay
from fuzz import ODD, cases, changed, cut_at, damaged, raw
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from relay_end import OURS, SECRET

from reclog.engine.feed import handshake
from reclog.engine.feed import protocol as frames
from reclog.engine.feed.protocol import ACK, BEAT, DATA, JUMP, LAST, STOP, Decoder, FeedError


def strangers_words(nonce: str) -> st.SearchStrategy[bytes]:
    proof = handshake.answer(SECRET, nonce, OURS)
    wrong = handshake.answer("00" * 32, nonce, OURS)
    hello = json.dumps({"collector": "me", "spool": None, "offset": 0}).encode() + b"\n"
    return st.one_of(
        st.binary(max_size=200),
        st.builds(
            bytes.__mul__,
            st.sampled_from([b"\n", b"a", b"\0", b" \n", b"[", b"\xff"]),
            st.integers(1, 70_000),
        ),
        st.sampled_from(
            [wrong, handshake.greeting(nonce), hello, frames.encode(ACK, 2**64 - 1), wrong + hello]
        ),
        damaged(wrong + hello + frames.encode(ACK, len(TEXT))),
        damaged(proof).filter(lambda words: b"\n" not in words or not is_proof(nonce, words)),
    )


def is_proof(nonce: str, words: bytes) -> bool:
    try:
        handshake.check_answer(SECRET, nonce, words.partition(b"\n")[0])
    except FeedError:
        return False
    return True


@examples(60)
@given(data=st.data(), many=st.integers(1, 3))
def test_a_stranger_gets_a_greeting_and_harms_nobody(data: st.DataObject, many: int) -> None:
    with relay() as there:
        for _ in range(many):
            stranger = there.connect()
            greeting = stranger.line()
            words = data.draw(strangers_words(handshake.read_greeting(greeting)))
            for piece in cut_at(words, data.draw(st.lists(st.integers(0, 100_000), max_size=3))):
                stranger.say(piece)
            if b"\n" in words:
                stranger.until_closed()
            assert stranger.heard == b""
        assert not there.feed.connected
        check_relay_goes_on(there)


HELLO = {"collector": "me", "spool": None, "offset": 0, "take_over": False}


@examples(100)
@given(
    hello=st.one_of(
        changed(HELLO),
        damaged(json.dumps(HELLO).encode()),
        ODD.map(str.encode),
        st.binary(max_size=60),
        st.builds(bytes.__mul__, st.sampled_from([b"[", b'{"a":', b" "]), st.integers(1, 60_000)),
    ),
    cuts=st.lists(st.integers(0, 100_000), max_size=3),
)
def test_words_of_one_who_knows_the_secret(hello: bytes, cuts: list[int]) -> None:
    check_hello(hello, cuts)


def check_hello(hello: bytes, cuts: Sequence[int] = ()) -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        for piece in cut_at(hello + b"\n", cuts):
            caller.say(piece)
        # Either it makes sense and is answered, or the connection is over.
        caller.until(lambda: caller.closed or b"\n" in caller.heard)
        answered = caller.heard.partition(b"\n")[0]
        if answered:
            answer = json.loads(answered)
            if "refused" not in answer:
                assert type(answer["offset"]) is int
                assert 0 <= answer["offset"] <= there.spool.end
                assert type(there.owner.name) is str
        there.owner.name = "me"
        check_relay_goes_on(there)


@pytest.mark.parametrize("case", cases("hello"))
def test_kept_words(case: dict[str, Any]) -> None:
    check_hello(raw(case["hello"]))


OFFSETS = st.one_of(
    st.integers(0, len(TEXT) + 5),
    st.sampled_from([0, 1, len(TEXT) - 1, len(TEXT), len(TEXT) + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1]),
)
FRAME = st.builds(
    frames.encode,
    st.sampled_from([ACK] * 4 + [STOP, DATA, JUMP, BEAT, LAST]),
    OFFSETS,
    st.one_of(st.just(b""), st.binary(max_size=20), ODD.map(str.encode)),
)
#: A header alone, of any lengths.
HEADER = st.builds(
    lambda kind, length, offset, crc: struct.pack("!cIQI", kind, length, offset, crc),
    st.sampled_from([ACK, STOP, DATA, b"\0", b"X", b"a"]),
    st.sampled_from(
        [0, 1, 20, frames.PAYLOAD_MAX - 1, frames.PAYLOAD_MAX, frames.PAYLOAD_MAX + 1, 2**32 - 1]
    ),
    OFFSETS,
    st.integers(0, 2**32 - 1),
)
STREAM = st.lists(st.one_of(FRAME, FRAME, HEADER, st.binary(max_size=20)), max_size=6).map(b"".join)


@examples(100)
@given(
    stream=STREAM, offset=OFFSETS, cuts=st.lists(st.integers(0, 100_000), max_size=3), listens=st.booleans()
)
def test_frames_of_the_owner(stream: bytes, offset: int, cuts: list[int], listens: bool) -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        hello = {"collector": "me", "spool": there.spool.id, "offset": offset}
        caller.say(json.dumps(hello).encode() + b"\n" + (b"" if listens else stream))
        for piece in cut_at(stream, cuts) if listens else ():
            caller.say(piece)
        acked = there.spool.acked
        caller.until(lambda: True)  # what it was sent before that may be unheard yet
        # Who is cut off may not have heard all that was on its way.
        assert caller.closed or acked <= max((one for one in sent_up_to(caller.heard)), default=0)
        # Nothing that it said ends the relay; what is no frame ends its connection.
        try:
            sent = list(Decoder().feed(stream))
        except FeedError:
            caller.until_closed()
        else:
            if any(frame.kind not in (ACK, STOP) for frame in sent):
                caller.until_closed()
        check_relay_goes_on(there, most_acked=acked)


def sent_up_to(heard: bytes) -> Iterator[int]:
    """Yield the offsets before which all was sent to one who heard this."""
    line, _, rest = heard.partition(b"\n")
    if line:
        yield int(json.loads(line).get("offset", 0))
    for frame in Decoder().feed(rest):
        if frame.kind in (DATA, JUMP):
            yield frame.offset + len(frame.payload) if frame.kind == DATA else frame.offset


def test_what_was_not_sent_can_not_be_acked() -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        hello = json.dumps({"collector": "me", "spool": there.spool.id, "offset": 0}).encode()
        caller.say(hello + b"\n" + frames.encode(ACK, len(TEXT)))  # with the hello: before anything came
        caller.until(lambda: len(caller.heard) > len(TEXT))
        assert there.spool.acked == 0
        check_relay_goes_on(there)


def test_a_flood_is_taken_in_turns_and_not_kept() -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        caller.say(json.dumps(HELLO).encode() + b"\n")
        for _ in range(50):
            caller.say(frames.encode(ACK, 2**63, b"x" * 40_000) * 3)
            peer = there.feed._peer
            assert peer is None or len(peer._decoder._buffer) <= 2 * frames.PAYLOAD_MAX
        check_relay_goes_on(there)
