from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclog.engine.feed import protocol as frames
from reclog.engine.feed.protocol import Decoder, FeedError, Frame, encode

FRAMES = st.lists(
    st.builds(
        Frame, st.sampled_from(sorted(frames.KINDS)), st.integers(0, 2**64 - 1), st.binary(max_size=3000)
    ),
    max_size=8,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return `data` cut at the places that `cuts` give, modulo its length."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)])]


def decoded(decoder: Decoder, parts: list[bytes]) -> list[Frame]:
    return [frame for part in parts for frame in decoder.feed(part)]


@given(FRAMES, st.lists(st.integers(0, 100_000), max_size=20))
def test_frames_arrive_whole_however_the_stream_is_cut(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(encode(*frame) for frame in sent)
    assert decoded(Decoder(), pieces(stream, cuts)) == sent


@given(FRAMES.filter(bool), st.lists(st.integers(0, 100_000), max_size=5), st.data())
def test_what_was_damaged_is_never_taken_for_data(
    sent: list[Frame], cuts: list[int], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(encode(*frame) for frame in sent))
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= data.draw(st.integers(1, 255))
    payloads = {frame.payload for frame in sent}
    try:
        heard = decoded(Decoder(), pieces(bytes(stream), cuts))
    except FeedError:
        return
    # A flipped kind or offset is noticed by who takes it; a payload is its sender's, or is not given out.
    assert all(frame.payload in payloads for frame in heard)


def test_a_damaged_payload_is_refused() -> None:
    stream = bytearray(encode(frames.DATA, 0, b"some line\n"))
    stream[-2] ^= 1
    with pytest.raises(FeedError, match="damaged"):
        decoded(Decoder(), [bytes(stream)])


@pytest.mark.parametrize("nonsense", [b"\0" * 17, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"D" + b"\xff" * 16])
def test_nonsense_is_refused_at_its_header(nonsense: bytes) -> None:
    with pytest.raises(FeedError, match="no frame"):
        decoded(Decoder(), [nonsense])


@given(st.binary(max_size=50))
def test_a_payload_is_an_object_or_an_error(payload: bytes) -> None:
    try:
        expected = json.loads(payload or b"{}")
    except ValueError:
        expected = None
    if isinstance(expected, dict):
        assert Frame(frames.BEAT, 0, payload).json() == expected
    else:
        with pytest.raises(FeedError):
            Frame(frames.BEAT, 0, payload).json()
