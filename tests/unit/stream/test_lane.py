"""A lane into a stream that a test has in its hands: one message at a time, each byte once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recordings import recorded, set_aside

from reclog.engine.stores.pieces import Journal
from reclog.look.query import History
from reclog.stream.connecting import NotConnected, Refused
from reclog.stream.found import Found
from reclog.stream.jetstream import WRONG_SEQUENCE, Held, Stream
from reclog.stream.lane import Lane
from reclog.stream.message import Identity, decode
from reclog.stream.place import Kept

SUBJECT = "reclog.m.r"
LINES = b"".join(b"line %d\n" % number for number in range(8))


class Memory(Stream):
    """A stream in memory."""

    def __init__(self, before: Callable[[Memory], None] = lambda stream: None) -> None:
        """`before` each message that is to be added something may happen."""
        self.name, self.created, self.largest, self.last = "reclog", "then", 15, 0
        self.most_told = 1024
        self.messages: list[Held] = []
        self.coming = 0
        self._before = before

    def takes(self, subject: str) -> bool:
        return subject == SUBJECT

    async def newest(self, subject: str) -> Held | None:
        return self.messages[-1] if self.messages else None

    async def following(self, subject: str, sequence: int) -> Held | None:
        return next((one for one in self.messages if one.sequence >= sequence), None)

    def has(self, payload: bytes, headers: Mapping[str, str]) -> int:
        self.last += 1
        self.messages.append(Held(self.last, headers, payload))
        return self.last

    async def add(self, subject: str, payload: bytes, headers: Mapping[str, str], last: int) -> int:
        assert not self.coming, "two are on their way"
        self.coming += 1
        try:
            for _ in range(10):
                await asyncio.sleep(0)
            self._before(self)
            if last != self.last:
                raise Refused("another is the last", min(WRONG_SEQUENCE))
            return self.has(payload, headers)
        finally:
            self.coming -= 1

    def text(self) -> bytes:
        """Return what it holds of ours, each byte once and in order."""
        ours = [decode(one.headers, one.payload) for one in self.messages if one.headers]
        for one, after in itertools.pairwise(ours):
            assert (one.identity, one.end) == (after.identity, after.begin)
        return b"".join(one.payload for one in ours)


class There:
    """What has the stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def stream(self) -> Stream:
        return self._stream


def test_a_server_that_takes_small_messages_alone_is_refused() -> None:
    def of(size: int) -> Stream:
        connection: Any = SimpleNamespace(max_payload=size, jetstream=lambda: None)
        return Stream(connection, "reclog", {"config": {"max_msg_size": -1}})

    assert of(8192).largest == 4096
    with pytest.raises(Refused, match="takes messages of 4000 bytes at most"):
        of(4000)


def published(folder: Path, stream: Memory, history: History | None = None) -> Lane:
    history = history or recorded(folder / "recording", LINES)
    found = Found("r", str(history.recording.folder), history.file, True, False)
    lane = Lane(found, SUBJECT, There(stream), lambda event, **facts: None, "me")
    lane.end()
    asyncio.run(lane.run())
    lane.close()
    return lane


def test_one_message_is_on_its_way_and_the_next_is_made_meanwhile(tmp_path: Path) -> None:
    stream = Memory()
    assert published(tmp_path, stream).messages == len(stream.messages) == 4
    assert stream.text() == LINES


def test_others_who_come_between_again_and_again_have_nothing_published_twice(tmp_path: Path) -> None:

    def rivals(stream: Memory) -> None:
        if next(others):
            stream.has(b"not ours\n", {})

    others = iter([0, 1, 1, 0, 1, 0, 1, 1, 0])
    stream = Memory(rivals)
    lane = published(tmp_path, stream)
    assert stream.text() == LINES
    assert lane.others == 5


@pytest.mark.parametrize("is_there", [False, True])
def test_an_answer_that_is_lost_is_looked_up(tmp_path: Path, is_there: bool) -> None:
    lost = iter([False, True])

    class Lossy(Memory):
        async def add(self, subject: str, payload: bytes, headers: Mapping[str, str], last: int) -> int:
            if next(lost, False):
                if is_there:
                    self.has(payload, headers)
                raise NotConnected("lost")
            return await super().add(subject, payload, headers, last)

    stream = Lossy()
    published(tmp_path, stream)
    assert stream.text() == LINES


def test_what_comes_behind_a_gap_says_where_it_stands(tmp_path: Path) -> None:
    history = recorded(tmp_path / "recording", LINES)
    set_aside(history, [21, 35])
    Journal(str(history.recording.folder)).hold_from(21)
    Kept(Identity.new(), 0, 0, created="then").write(str(history.recording.folder))
    stream = Memory()
    published(tmp_path, stream, history)
    assert decode(stream.messages[0].headers, stream.messages[0].payload).begin == 21
    assert stream.text() == LINES[21:]
