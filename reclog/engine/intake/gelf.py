"""GELF over UDP, undone: chunks are put together, what zlib or gzip packed is unpacked (Graylog's GELF 1.1).

Rules kept here:

- Only what becomes JSON, all of it, is undone. What merely looks like GELF is a message as it was sent, and
  so is each chunk of a message that did not become whole: that is stated.
- What waits for its other chunks is bounded in time and in bytes, those of an entry's own included: whoever
  sends may forge addresses. The eldest makes room.
- Nothing is unpacked beyond a bound: 58 KB may be 60 MB.
- No socket, no clock: the time is handed in.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Hashable, Iterator

from ..records.events import Say

#: The first bytes of what may be packed or in pieces: chunk, gzip, zlib.
FIRST = frozenset(b"\x1e\x1f\x78")
#: Seconds that a chunk waits for the others; bytes of all that wait, and of an entry beside its chunk.
WITHIN = 5.0
WAITING_MOST, ENTRY = 8 * 1024 * 1024, 512
#: Bytes of one message, unpacked.
UNPACKED_MOST = 1024 * 1024

_MAGIC, _HEADER, _CHUNKS_MOST = b"\x1e\x0f", 12, 128


class _Pieces:
    """The chunks of one message that came so far, as they were sent."""

    __slots__ = ("chunks", "due", "of", "sender")

    def __init__(self, sender: str, of: int, due: float) -> None:
        self.sender = sender
        self.of = of
        self.due = due
        self.chunks: dict[int, bytes] = {}


class Gelf:
    """Make messages of datagrams of which some are GELF."""

    def __init__(self, state: Say) -> None:
        self._state = state
        self._size = 0
        # By sender and message id, the eldest first: a dict looks for its first one behind all that went.
        self._waiting: OrderedDict[Hashable, _Pieces] = OrderedDict()

    @property
    def due(self) -> float:
        """When the eldest chunk has waited long enough; infinity if none waits."""
        return next((pieces.due for pieces in self._waiting.values()), float("inf"))

    def take(self, sender: str, datagram: bytes, now: float) -> Iterator[tuple[str, bytes]]:
        """Yield the messages that there are now, each with its sender; none while chunks are missing."""
        of = _chunks(datagram)
        if not of:
            yield sender, _unpacked(datagram) or datagram
            return
        key, number = (sender, datagram[2:10]), datagram[10]
        pieces = self._waiting.get(key)
        if pieces is None:
            pieces = self._waiting[key] = _Pieces(sender, of, now + WITHIN)
        elif pieces.of != of or pieces.chunks.get(number, datagram) != datagram:
            yield sender, datagram  # another message under the same name, which no chunk of GELF has
            return
        if number not in pieces.chunks:
            pieces.chunks[number] = datagram
            self._size += len(datagram) + ENTRY
        if len(pieces.chunks) == of:
            self._forget(key)
            chunks = [pieces.chunks[number] for number in range(of)]
            whole = b"".join(chunk[_HEADER:] for chunk in chunks)
            text = whole if whole.startswith(b"{") else _unpacked(whole)
            for message in [text] if text else chunks:
                yield sender, message
        while self._size > WAITING_MOST:
            yield from self._give_up(next(iter(self._waiting)), "memory")

    def hand_out(self, now: float = float("inf")) -> Iterator[tuple[str, bytes]]:
        """Yield all chunks that have waited long enough by `now`, each with its sender, as they were sent."""
        while self._waiting and self.due <= now:
            yield from self._give_up(next(iter(self._waiting)), "time")

    def wait_again(self, now: float) -> None:
        """Take note that nobody could be heard until `now`: the other chunks may wait at the kernel."""
        for pieces in self._waiting.values():
            pieces.due = now + WITHIN

    def _give_up(self, key: Hashable, why: str) -> Iterator[tuple[str, bytes]]:
        pieces = self._forget(key)
        chunks = [pieces.chunks[number] for number in sorted(pieces.chunks)]
        size = sum(map(len, chunks))
        self._state(
            "gelf incomplete", sender=pieces.sender, chunks=len(chunks), of=pieces.of, bytes=size, why=why
        )
        for chunk in chunks:
            yield pieces.sender, chunk

    def _forget(self, key: Hashable) -> _Pieces:
        pieces = self._waiting.pop(key)
        self._size -= sum(len(chunk) + ENTRY for chunk in pieces.chunks.values())
        return pieces


def _chunks(datagram: bytes) -> int:
    """Return of how many chunks this is one; 0 if it is none."""
    if len(datagram) < _HEADER or not datagram.startswith(_MAGIC):
        return 0
    number, of = datagram[10], datagram[11]
    return of if number < of <= _CHUNKS_MOST else 0


def _unpacked(data: bytes) -> bytes:
    """Return the JSON that zlib or gzip made `data` of; empty if it is none, or more than is allowed."""
    inflating = zlib.decompressobj(zlib.MAX_WBITS + 32)  # either header (zlib's manual, inflateInit2)
    try:
        text = inflating.decompress(data, UNPACKED_MOST)
    except zlib.error:
        return b""
    whole = inflating.eof and not inflating.unused_data
    return text if whole and text.startswith(b"{") else b""
