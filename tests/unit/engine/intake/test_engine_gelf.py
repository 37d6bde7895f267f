"""GELF, undone; and whatever only looks like it, as it was sent."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Said

from reclog.engine.intake.gelf import ENTRY, UNPACKED_MOST, WAITING_MOST, WITHIN, Gelf

JSON = b'{"version":"1.1","host":"a","short_message":"one\\ntwo"}'
WHO = "192.0.2.7:4000"


def chunks(data: bytes, of: int, name: bytes = b"12345678") -> List[bytes]:
    """Return `data` as so many chunks (docs.graylog.org, GELF via UDP)."""
    size = -(-len(data) // of)
    return [b"\x1e\x0f" + name + bytes([n, of]) + data[n * size : (n + 1) * size] for n in range(of)]


class Taker:
    """A Gelf, what it states, and what comes of it."""

    def __init__(self) -> None:
        self.said = Said()
        self.gelf = Gelf(self.said)
        self.now = 0.0

    def take(self, *datagrams: bytes, who: str = WHO) -> List[bytes]:
        return [text for one in datagrams for _, text in self.gelf.take(who, one, self.now)]


@pytest.fixture
def taker() -> Taker:
    return Taker()


PACKED = [
    gzip.compress(JSON, mtime=0),
    zlib.compress(JSON, 9),
    zlib.compress(JSON, 1),
    zlib.compress(JSON, 0),
]


@pytest.mark.parametrize("packed", PACKED)
def test_what_is_packed_is_unpacked(taker: Taker, packed: bytes) -> None:
    assert taker.take(packed) == [JSON]


@pytest.mark.parametrize("data", [JSON, *PACKED])
@pytest.mark.parametrize("of", [1, 2, 7, 40])
def test_chunks_come_in_any_order(taker: Taker, data: bytes, of: int) -> None:
    some = chunks(data, of)
    random.Random(of).shuffle(some)
    assert taker.take(*some[:-1], *some[:1], some[-1]) == [JSON][: 1 if of > 1 else 0] or of == 1
    assert taker.gelf._size == 0
    assert not taker.said.events


def test_messages_of_one_name_are_their_senders_own(taker: Taker) -> None:
    ours, theirs = chunks(JSON, 2), chunks(JSON.replace(b"one", b"two"), 2)
    assert taker.take(ours[0]) == taker.take(theirs[0], who="192.0.2.8:4000") == []
    assert taker.take(ours[1]) == [JSON]
    assert taker.take(theirs[1], who="192.0.2.8:4000") == [JSON.replace(b"one", b"two")]


BOMB = zlib.compress(b"{" + b" " * 60_000_000, 9)


@pytest.mark.parametrize(
    "datagram",
    [
        b"x = 1\n",
        b"x\x9c is no header of zlib alone",
        PACKED[0][:-1],
        PACKED[1] + b"more",
        gzip.compress(b"no JSON", mtime=0),
        BOMB,
        gzip.compress(b"{" + b" " * UNPACKED_MOST, mtime=0),
        b"\x1e\x0f12345678\x02\x02",
        b"\x1e\x0f12345678\x00\x81",
        b"\x1e\x0f1234567",
        b"\x1e{json text sequence}\n",
        b"\x1f",
    ],
    ids=lambda datagram: repr(datagram[:12]),
)
def test_what_only_looks_like_it_is_as_it_was_sent(taker: Taker, datagram: bytes) -> None:
    assert taker.take(datagram) == [datagram]
    assert not taker.said.events


def test_a_bomb_is_not_unpacked_to_its_end(taker: Taker, monkeypatch: pytest.MonkeyPatch) -> None:
    """58 KB are 60 MB: what is asked of zlib is bounded, so this takes no time that could be seen."""
    unpacked: List[int] = []
    make = zlib.decompressobj

    class Watched:
        def __init__(self, bits: int) -> None:
            self._inflating = make(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            text = self._inflating.decompress(data, most)
            unpacked.append(len(text))
            self.eof, self.unused_data = self._inflating.eof, self._inflating.unused_data
            return text

    with monkeypatch.context() as patch:
        patch.setattr(zlib, "decompressobj", Watched)
        assert taker.take(BOMB) == [BOMB]
        assert taker.take(*chunks(BOMB, 3)) == chunks(BOMB, 3)
    assert unpacked == [UNPACKED_MOST] * 2


def test_chunks_that_do_not_become_whole_are_stated_and_handed_out(taker: Taker) -> None:
    some = chunks(JSON, 3)
    assert taker.take(some[2], some[0]) == []
    taker.now = 1.0
    assert taker.take(chunks(JSON, 2, b"another-")[0]) == []
    assert list(taker.gelf.hand_out(WITHIN - 0.1)) == []
    assert taker.gelf.due == WITHIN
    assert list(taker.gelf.hand_out(WITHIN)) == [(WHO, some[0]), (WHO, some[2])]
    assert taker.said.events == [
        (
            "gelf incomplete",
            {"sender": WHO, "chunks": 2, "of": 3, "bytes": len(some[0] + some[2]), "why": "time"},
        )
    ]
    taker.gelf.wait_again(100.0)  # nobody could be heard so long
    assert list(taker.gelf.hand_out(WITHIN + 2)) == []
    assert len(list(taker.gelf.hand_out())) == 1
    assert taker.gelf._size == 0
    assert taker.gelf.due == float("inf")


def test_chunks_that_contradict_each_other_are_as_they_were_sent(taker: Taker) -> None:
    first, second = chunks(JSON, 2)
    other, of = first[:-1] + b"!", chunks(JSON, 3)[1]
    assert taker.take(first, other, of) == [other, of]
    assert taker.take(second) == [JSON]


def test_chunks_that_never_end_are_bounded(taker: Taker) -> None:
    """20,000 forged senders of one small chunk each, and some large ones: the eldest go, all are there."""
    count = 0
    for number in range(20_000):
        chunk = b"\x1e\x0f%08d\x00\x02" % number + b"x" * (60_000 if number % 500 == 0 else 0)
        count += len(taker.take(chunk, who=f"198.51.100.{number % 256}:{number}"))
        assert taker.gelf._size <= WAITING_MOST + 60_000
    assert len(taker.gelf._waiting) <= WAITING_MOST // ENTRY
    assert count + len(list(taker.gelf.hand_out())) == 20_000
    assert {facts["why"] for _, facts in taker.said.events} == {"memory", "time"}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 3)), max_size=30))
def test_nothing_is_lost_whatever_comes(came: List[Tuple[int, int, int]]) -> None:
    """Each is handed out as it was sent, or is a part of a message that became whole, or came twice."""
    taker, out = Taker(), []
    sent = []
    for name, number, of in came:
        datagram = b"\x1e\x0f%08d" % name + bytes([number, of]) + (b"{" if number == 0 else b"%d" % number)
        sent.append(datagram)
        out += taker.take(datagram)
    out += [text for _, text in taker.gelf.hand_out()]
    whole = {b"{" + b"".join(b"%d" % n for n in range(1, of)) for of in (1, 2, 3)}
    for datagram in sent:
        assert datagram in out or any(text in whole for text in out)
    assert all(text in sent or text in whole for text in out)
