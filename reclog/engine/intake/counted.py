"""Messages that are counted: each follows a header with the number of its bytes (RFC 6587, 3.4.1)."""

from __future__ import annotations

import re
from typing import Match

from .batch import Bytes
from .binary import Buffer, NoText

#: Below a million, so that a first message, with the header behind it, is settled before it is too long to be
#: held; and its beginnings.
HEADER = re.compile(rb"([1-9]\d{0,5}) (<\d{1,3}>)")
HEADER_BEGUN = re.compile(rb"(?:[1-9]\d{0,5}(?: (?:<\d{0,3})?)?)?")
#: Bytes of the longest header.
_MOST = 12


def size_of(header: Match[bytes] | None) -> int:
    """Return the bytes of the message behind a header; 0 if that is none, or they hold no beginning."""
    size = int(header[1]) if header else 0
    return size if header and size >= len(header[2]) else 0


class Counted:
    """Each message follows a header that counts its bytes; a newline is added where it has none at its end.

    What is no header where one has to be is text, and lines are what follows.
    """

    settled = True
    verbatim = False
    refusal: NoText | None = None

    def __init__(self) -> None:
        # All by the bytes that came since the last whole message: how many were seen; where a header begins,
        # and what there is of it; where the message behind it begins and ends (0: not known yet).
        self._seen = 0
        self._at = 0
        self._head = b""
        self._begin = 0
        self._end = 0
        # The whole messages that `strip` will see, and whether there was a header that is none.
        self._whole: list[tuple[int, int]] = []
        self._lost = False

    def settle(self, buffer: Buffer, begin: int, end: int, last: bool) -> Counted:
        """Return itself."""
        return self

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where the last whole message ends."""
        base, stop, whole = begin - self._seen, self._seen + end - begin, 0
        while not self._lost:
            if self._end:
                if self._end > stop:
                    break
                self._whole.append((self._begin, self._end))
                whole = self._at = self._end
                self._end = 0
            if self._head:
                header = HEADER.match(self._head + buffer[begin : min(begin + _MOST, end)])
            else:
                header = HEADER.match(buffer, base + self._at, end)
            size = size_of(header)
            if header and size:
                self._begin = self._at + len(header[1]) + 1
                self._end = self._begin + size
                self._head = b""
                continue
            at = base + self._at + len(self._head)
            self._head += buffer[at : min(at + _MOST, end)]
            if HEADER_BEGUN.fullmatch(self._head):
                break
            self._lost = True
        if self._lost:
            newline = buffer.rfind(b"\n", max(base + self._at, begin), end) + 1
            if newline:
                self._whole.append((self._at, newline - base))
                whole = self._at = newline - base
        self._seen = stop - whole
        self._at -= whole
        if self._end:
            self._begin -= whole
            self._end -= whole
        return base + whole if whole else begin

    def strip(self, text: bytes) -> bytes:
        """Return messages without headers."""
        lines = []
        for begin, end in self._whole:
            lines.append(text[begin:end])
            if text[end - 1] != 0x0A:
                lines.append(b"\n")
        self._whole.clear()
        return b"".join(lines)

    def part(self, text: Bytes, last: bool) -> Bytes | None:
        """Return the beginning of a message without its header, which stays as long as it is not whole."""
        begin = self._begin if self._end else 0
        if not (self._end or self._lost or last):
            return None
        if self._end:
            self._begin, self._end = 0, self._end - len(text)
        self._seen = self._at = 0
        self._head = b""
        return text[begin:]
