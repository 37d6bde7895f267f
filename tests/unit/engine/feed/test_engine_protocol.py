from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclog.engine.feed import protocol as frames
from reclog.engine.feed.client import FeedClient, Refused
from reclog.engine.feed.protocol import Decoder, FeedError, Frame, encode

SECRET = "5e" * 32
OTHER = "0f" * 32

FRAMES = st.lists(
    st.builds(
        Frame,
        st.sampled_from(sorted(frames.KINDS)),
        st.integers(0, 2**64 - 1),
        st.binary(max_size=3000),
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


NONCES = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(NONCES, NONCES)
def test_each_side_accepts_the_others_proof(relay_nonce: str, own_nonce: str) -> None:
    line = frames.answer(SECRET, relay_nonce, own_nonce).strip()
    assert frames.check_answer(SECRET, relay_nonce, line) == own_nonce
    proof = frames.proof(SECRET, "relay", own_nonce, relay_nonce).encode()
    frames.check_relay(SECRET, own_nonce, relay_nonce, proof)


@given(NONCES, NONCES)
def test_a_proof_does_not_work_for_the_other_role(relay_nonce: str, own_nonce: str) -> None:
    collectors = frames.answer(SECRET, relay_nonce, own_nonce).split()[1]
    for one, other in ((own_nonce, relay_nonce), (relay_nonce, own_nonce)):
        with pytest.raises(FeedError):
            frames.check_relay(SECRET, one, other, collectors)
    relays = frames.proof(SECRET, "relay", own_nonce, relay_nonce)
    for nonce in (own_nonce, relay_nonce):
        with pytest.raises(FeedError):
            frames.check_answer(SECRET, relay_nonce, f"{nonce} {relays}".encode())


@given(NONCES, NONCES, NONCES)
def test_a_proof_holds_for_one_pair_of_nonces(relay_nonce: str, own_nonce: str, later: str) -> None:
    if later == relay_nonce:
        return
    line = frames.answer(SECRET, relay_nonce, own_nonce).strip()
    with pytest.raises(FeedError):
        frames.check_answer(SECRET, later, line)
    with pytest.raises(FeedError):
        frames.check_answer(OTHER, relay_nonce, line)


@given(st.binary(max_size=200))
def test_no_words_are_a_proof_or_an_uncaught_error(words: bytes) -> None:
    nonce = "0" * 32
    for check in (
        lambda: frames.check_answer(SECRET, nonce, words),
        lambda: frames.check_relay(SECRET, nonce, nonce, words),
    ):
        with pytest.raises(FeedError):
            check()
    try:
        frames.read_greeting(words)
    except FeedError:
        pass


def test_another_version_is_named() -> None:
    with pytest.raises(FeedError, match="version 7"):
        frames.read_greeting(b"reclog-feed 7 " + b"0" * 32)


class FakeRelay:
    """Answers one connection with fixed lines, a line for each that it hears."""

    def __init__(self, secret: str, answer: Any) -> None:
        self.heard = b""
        self.nonce = frames.nonce()
        self._secret = secret
        self._answer = answer
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(1)
        self.port = int(self._sock.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(10)
        self._sock.close()

    def _serve(self) -> None:
        sock, _ = self._sock.accept()
        with sock:
            sock.settimeout(10)
            sock.sendall(frames.greeting(self.nonce))
            theirs = self._line(sock).split()[0].decode()
            proof = frames.proof(self._secret, "relay", theirs, self.nonce)
            sock.sendall(proof.encode() + b"\n")
            if self._line(sock):
                sock.sendall(json.dumps(self._answer).encode() + b"\n")
                self._line(sock)

    def _line(self, sock: socket.socket) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            try:
                data = sock.recv(4096)
            except OSError:
                data = b""
            if not data:
                break
            line += data
        self.heard += line
        return line


def test_a_handshake_never_has_the_secret_on_the_wire() -> None:
    relay = FakeRelay(SECRET, {"spool": "s", "offset": 0, "end": 5})
    client = FeedClient(relay.port, SECRET)
    assert client.shake_hands({"collector": "me"})["end"] == 5
    client.close()
    relay.close()
    assert b'{"collector": "me"}' in relay.heard
    assert SECRET.encode() not in relay.heard
    assert bytes.fromhex(SECRET) not in relay.heard


def test_a_relay_without_the_secret_hears_who_we_are_from_nobody() -> None:
    relay = FakeRelay(OTHER, {"spool": "s", "offset": 0, "end": 5})
    client = FeedClient(relay.port, SECRET)
    with pytest.raises(FeedError, match="secret"):
        client.shake_hands({"collector": "me"})
    relay.close()
    assert b"me" not in relay.heard


def test_another_owner_is_named() -> None:
    relay = FakeRelay(SECRET, {"refused": "owner", "owner": "ann@laptop", "since": "yesterday"})
    client = FeedClient(relay.port, SECRET)
    with pytest.raises(Refused, match="ann@laptop since yesterday"):
        client.shake_hands({"collector": "me"})
    relay.close()


@pytest.mark.parametrize("answer", [[], "x", None, {}, {"offset": "x", "end": 1, "spool": "s"}])
def test_an_answer_without_sense_is_refused(answer: Any) -> None:
    relay = FakeRelay(SECRET, answer)
    client = FeedClient(relay.port, SECRET)
    with pytest.raises(FeedError, match="no sense"):
        client.shake_hands({"collector": "me"})
    relay.close()
