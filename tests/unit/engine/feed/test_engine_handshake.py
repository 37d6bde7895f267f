from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclog.engine.feed import handshake
from reclog.engine.feed.handshake import LINE_MAX, AsCollector, AsRelay, Refused
from reclog.engine.feed.protocol import FeedError

SECRET = "5e" * 32
OTHER = "0f" * 32
NONCES = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(NONCES, NONCES)
def test_each_side_accepts_the_others_proof(relay_nonce: str, own_nonce: str) -> None:
    line = handshake.answer(SECRET, relay_nonce, own_nonce).strip()
    assert handshake.check_answer(SECRET, relay_nonce, line) == own_nonce
    proof = handshake.proof(SECRET, "relay", own_nonce, relay_nonce).encode()
    handshake.check_relay(SECRET, own_nonce, relay_nonce, proof)


@given(NONCES, NONCES)
def test_a_proof_does_not_work_for_the_other_role(relay_nonce: str, own_nonce: str) -> None:
    collectors = handshake.answer(SECRET, relay_nonce, own_nonce).split()[1]
    for one, other in ((own_nonce, relay_nonce), (relay_nonce, own_nonce)):
        with pytest.raises(FeedError):
            handshake.check_relay(SECRET, one, other, collectors)
    relays = handshake.proof(SECRET, "relay", own_nonce, relay_nonce)
    for nonce in (own_nonce, relay_nonce):
        with pytest.raises(FeedError):
            handshake.check_answer(SECRET, relay_nonce, f"{nonce} {relays}".encode())


@given(NONCES, NONCES, NONCES)
def test_a_proof_holds_for_one_pair_of_nonces(relay_nonce: str, own_nonce: str, later: str) -> None:
    if later == relay_nonce:
        return
    line = handshake.answer(SECRET, relay_nonce, own_nonce).strip()
    with pytest.raises(FeedError):
        handshake.check_answer(SECRET, later, line)
    with pytest.raises(FeedError):
        handshake.check_answer(OTHER, relay_nonce, line)


@given(st.binary(max_size=200))
def test_no_words_are_a_proof_or_an_uncaught_error(words: bytes) -> None:
    nonce = "0" * 32
    for check in (
        lambda: handshake.check_answer(SECRET, nonce, words),
        lambda: handshake.check_relay(SECRET, nonce, nonce, words),
    ):
        with pytest.raises(FeedError):
            check()
    try:
        handshake.read_greeting(words)
    except FeedError:
        pass


def test_another_version_is_named() -> None:
    with pytest.raises(FeedError, match="feed is 7, ours"):
        handshake.read_greeting(b"reclog-feed 7 " + b"0" * 32)


class Shaken:
    """A handshake of both sides, and what was heard of each."""

    def __init__(self, answer: Any, cut: int = 1 << 20) -> None:
        self.hellos: List[Dict[str, Any]] = []

        def welcome(hello: Dict[str, Any]) -> Any:
            self.hellos.append(hello)
            return answer

        self.relay = AsRelay(SECRET, 0.0, welcome)
        self.collector = AsCollector(SECRET, 0.0, lambda: {"collector": "me"})
        self.heard = b""
        said, theirs = self.relay.greeting, b""
        while said:
            theirs = b"".join(self.collector.take(said[at : at + cut]) for at in range(0, len(said), cut))
            self.heard += theirs
            said = b"".join(self.relay.take(theirs[at : at + cut]) for at in range(0, len(theirs), cut))


ANSWER = {"spool": "s", "offset": 0, "end": 5}


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_handshake_never_has_the_secret_on_the_wire(cut: int) -> None:
    shaken = Shaken(ANSWER, cut=cut)
    assert shaken.collector.answer == shaken.relay.answer == ANSWER
    assert shaken.hellos == [{"collector": "me"}]
    assert SECRET.encode() not in shaken.heard
    assert bytes.fromhex(SECRET) not in shaken.heard


def test_what_comes_behind_the_answer_is_kept() -> None:
    relay = AsRelay(SECRET, 0.0, lambda hello: ANSWER)
    collector = AsCollector(SECRET, 0.0, lambda: {"collector": "me"})
    hello = collector.take(relay.take(collector.take(relay.greeting)))
    assert collector.take(relay.take(hello + b"more") + b"frames") == b""
    assert (relay.rest, collector.rest) == (b"more", b"frames")


def test_another_owner_is_named() -> None:
    with pytest.raises(Refused, match="ann@laptop since yesterday"):
        Shaken({"refused": "owner", "owner": "ann@laptop", "since": "yesterday"})


@pytest.mark.parametrize("answer", [[], "x", None, {}, {"offset": "x", "end": 1, "spool": "s"}])
def test_an_answer_without_sense_is_refused(answer: Any) -> None:
    collector = AsCollector(SECRET, 0.0, lambda: {"collector": "me"})
    relay = AsRelay(SECRET, 0.0, lambda hello: ANSWER)
    collector.take(relay.take(collector.take(relay.greeting)))
    with pytest.raises(FeedError, match="no sense"):
        collector.take(json.dumps(answer).encode() + b"\n")


def test_a_relay_without_the_secret_hears_who_we_are_from_nobody() -> None:
    nonce = handshake.nonce()
    collector = AsCollector(SECRET, 0.0, lambda: pytest.fail("it was told"))
    ours = collector.take(handshake.greeting(nonce)).split()[0].decode()
    with pytest.raises(FeedError, match="secret"):
        collector.take(handshake.proof(OTHER, "relay", ours, nonce).encode() + b"\n")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_has_a_bound_on_both_sides(end: bytes) -> None:
    sides = AsRelay(SECRET, 0.0, lambda hello: ANSWER), AsCollector(SECRET, 0.0, dict)
    for side, other in zip(sides, ("collector", "relay")):
        with pytest.raises(FeedError, match=f"no {other}"):
            side.take(b"x" * (LINE_MAX + 1) + end)
