"""A piece that is compressed, read from wherever one likes.

Rules kept here:

- Of one that we compressed only the members are unpacked that are asked for; a few are kept.
- One that somebody else compressed is unpacked from its beginning up to what is asked for, and from there on.
- It gives no more bytes than the piece had, and memory is flat.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import OrderedDict

from reclog.engine.stores.members import TEXT, Members

#: Members that are kept unpacked.
_KEPT = 4
_BLOCK = 256 * 1024


class Packed:
    """A gzip file that is open, and holds `size` bytes of text; close it."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self._size = fd, size
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._members: Members | None = None
        self._begin_anew()
        with contextlib.suppress(ValueError, OSError):
            members = Members(lambda number, place: os.pread(fd, number, place))
            self._members = members if members.size == size else None

    def pread(self, size: int, offset: int) -> bytes:
        """Return some of the `size` bytes from `offset` on; nothing if they can't be had."""
        if not 0 <= offset < self._size:
            return b""
        if self._members is None:
            begin, text = self._streamed(offset)
        else:
            begin, text = self._member(self._members, offset)
        return text[offset - begin : min(offset - begin + size, self._size - begin)]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _member(self, members: Members, offset: int) -> tuple[int, bytes]:
        number, begin = members.at(offset)
        if number not in self._kept:
            try:
                self._kept[number] = members.text(number)
            except ValueError:
                return begin, b""
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return begin, self._kept[number]

    # -- somebody else's -----------------------------------------------------------------------

    def _begin_anew(self) -> None:
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._place = self._at = 0
        self._kept.clear()

    def _streamed(self, offset: int) -> tuple[int, bytes]:
        """Return a block of text that has the byte at `offset`, and where it begins."""
        for begin, text in self._kept.items():
            if begin <= offset < begin + len(text):
                return begin, text
        if offset < self._at:
            self._begin_anew()
        while text := self._more():
            begin, self._at = self._at, self._at + len(text)
            self._kept[begin] = text
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            if offset < self._at:
                return begin, text
        return offset, b""

    def _more(self) -> bytes:
        """Return the next text, at most as much as a member holds; nothing where it ends, or is not whole."""
        while True:
            packed = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if not packed:
                packed = os.pread(self._fd, _BLOCK, self._place)
                self._place += len(packed)
            if self._unpacker.eof:
                self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                text = self._unpacker.decompress(packed, TEXT)
            except zlib.error:
                return b""
            if text or not packed:
                return text
