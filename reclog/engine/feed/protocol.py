"""The feed's frames, which follow the handshake.

A frame is a header of 17 bytes, big-endian: kind (1 byte), length of the payload (4), offset (8), CRC-32 of
the header before it and the payload (4); then the payload.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Iterator, NamedTuple

from ..records.jsonfile import parse_json

_HEADER = struct.Struct("!cIQI")
#: What the checksum covers beside the payload: D and E, H and J differ in one bit.
_COVERED = struct.Struct("!cIQ")
#: Bytes of a payload at most; more is no frame of ours.
PAYLOAD_MAX = 1024 * 1024
#: No offset is larger: a file has no more (off_t), and an ack of more would not fit into its header.
OFFSET_MAX = 2**63 - 1
#: Characters of a name: a collector's has an account's and a host's in it.
NAME_MAX = 500

# From the relay:
DATA = b"D"  #: bytes of the spool, from `offset` on
RUNS = b"R"  #: who said the bytes from `offset` on, and when; before the DATA, and only to one who asked
JUMP = b"J"  #: the spool has nothing up to `offset`; the payload says from where
BEAT = b"H"  #: it lives; `offset` is the spool's end, the payload its counters
LAST = b"E"  #: the relay stops, and `offset` is all there will ever be
# From the collector:
ACK = b"A"  #: all before `offset` is on its disk
STOP = b"S"  #: listen no more, send the rest, end
KINDS = frozenset((DATA, RUNS, JUMP, BEAT, LAST, ACK, STOP))


class FeedError(Exception):
    """The other side does not speak our protocol, or does not know the secret."""


def why(error: Exception) -> str:
    """Return what ended a connection, for a person."""
    return getattr(error, "strerror", None) or str(error)


class Frame(NamedTuple):
    """One message."""

    kind: bytes
    offset: int
    payload: bytes = b""

    def json(self) -> dict[str, Any]:
        """Return the payload's object. Raises FeedError."""
        try:
            return parse_json(self.payload or b"{}")
        except ValueError as error:
            raise FeedError("a payload is no JSON object") from error


def encode(kind: bytes, offset: int, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    return header(kind, offset, payload) + payload


def header(kind: bytes, offset: int, payload: bytes) -> bytes:
    """Return the bytes of a frame that come before its payload."""
    return _HEADER.pack(kind, len(payload), offset, _crc(kind, len(payload), offset, payload))


def _crc(kind: bytes, length: int, offset: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_COVERED.pack(kind, length, offset)))


class Decoder:
    """Frames out of a byte stream, each copied once, out of the buffer that a socket received into."""

    def __init__(self, room: int = 4096) -> None:
        """`room` is the bytes that one read can bring, to begin with; a longer frame makes more."""
        self._buffer = bytearray(max(room, _HEADER.size))
        # What is in the buffer and no complete frame yet.
        self._begin = self._end = 0
        self._due = _HEADER.size

    def space(self) -> memoryview:
        """Return where the next bytes are to be put; release it before `filled` is called."""
        held = self._end - self._begin
        if self._begin:
            self._buffer[:held] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, held
        if len(self._buffer) < self._due:
            self._buffer.extend(bytes(self._due - len(self._buffer)))
        return memoryview(self._buffer)[held:]

    def filled(self, count: int) -> Iterator[Frame]:
        """Yield each frame that is complete with the `count` bytes that were put into `space`.

        Raises FeedError at the first byte of nonsense.
        """
        self._end += count
        while self._end - self._begin >= _HEADER.size:
            kind, length, offset, crc = _HEADER.unpack_from(self._buffer, self._begin)
            if kind not in KINDS or length > PAYLOAD_MAX:
                raise FeedError("what came is no frame")
            begin = self._begin + _HEADER.size
            if self._end < begin + length:
                self._due = _HEADER.size + length
                return
            with memoryview(self._buffer) as view:
                payload = bytes(view[begin : begin + length])
            if _crc(kind, length, offset, payload) != crc:
                raise FeedError("a frame was damaged on its way")
            self._begin = begin + length
            self._due = _HEADER.size
            yield Frame(kind, offset, payload)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield each frame that is complete with `data`. Raises FeedError at the first byte of nonsense."""
        taken = 0
        while taken < len(data):
            with self.space() as space:
                count = min(len(space), len(data) - taken)
                space[:count] = data[taken : taken + count]
            taken += count
            yield from self.filled(count)


def checked_offset(value: Any) -> int:
    """Return `value` if it is an offset. Raises FeedError."""
    if type(value) is not int or not 0 <= value <= OFFSET_MAX:
        raise FeedError("an offset makes no sense")
    return value


def checked_name(value: Any) -> str:
    """Return `value` if it is the name of a collector or a spool. Raises FeedError."""
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MAX:
        raise FeedError("a name makes no sense")
    return value


def checked_secret(value: Any) -> str:
    """Return `value` if it can be a secret: 16 bytes at least, in hex. Raises ValueError."""
    if not isinstance(value, str) or len(bytes.fromhex(value)) < 16:
        raise ValueError("the secret is none")
    return value
