"""What a recording holds, its pieces and its file, as one line of bytes by recording offset.

Rules kept here:

- It is what was there when it was opened: a file that is set aside, compressed or removed meanwhile is read
  on, if it is open. The file itself may grow.
- Only what is read is opened, and of a piece that we compressed only the MiB in which that stands.
- What is gone is a hole, and stated. Nothing that is read raises: behind what can't be had there is nothing.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from reclog.engine.stores import pieces
from reclog.engine.stores.pieces import Listed, Piece

from .packed import Packed

#: Pieces that are open at once.
_OPEN = 8
#: Times that one looks again because the file was set aside at that very moment.
_LOOKS = 20


class Part(NamedTuple):
    """A piece, or the file (None)."""

    begin: int
    #: Behind its last byte; of the file when it was opened.
    end: int
    inode: int
    piece: Piece | None


class Hole(NamedTuple):
    """A stretch that is not there."""

    begin: int
    end: int
    why: str


class Text:
    """The bytes of one recording, by offset; close it."""

    def __init__(self, folder: str, file: str) -> None:
        """Open what is there. Raises OSError if nothing is."""
        self._folder, self._file = folder, file
        self._lock = threading.RLock()
        self._open: OrderedDict[int, int | Packed] = OrderedDict()
        listed, self._fd = _opened(folder, file)
        inode = os.fstat(self._fd).st_ino if self._fd >= 0 else 0
        made = [*listed.pieces]
        if listed.pending and listed.pending.inode != inode and pieces.is_made(listed):
            made.append(listed.pending)
        #: The recording offset of the file's first byte.
        self.base = made[-1].end if made else listed.base
        self._held = listed.held
        self._parts = [Part(one.begin, one.end, one.inode, one) for one in made]
        if self._fd >= 0:
            self._parts.append(Part(self.base, self.end, inode, None))
        self._runs = _runs(self._parts)

    def close(self) -> None:
        """Let go of all that is open."""
        with self._lock:
            for reader in self._open.values():
                _close(reader)
            self._open.clear()
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    @property
    def begin(self) -> int:
        """Where the oldest byte is that is there."""
        return self._runs[0][0] if self._runs else self.base

    @property
    def end(self) -> int:
        """Where the next byte will be."""
        return self.base + (os.fstat(self._fd).st_size if self._fd >= 0 else 0)

    @property
    def is_current(self) -> bool:
        """Tell whether no other file has its name by now; if none has, or can be had, one is waited for."""
        try:
            now = os.stat(self._file)
        except OSError:
            return True
        return self._fd >= 0 and os.path.samestat(os.fstat(self._fd), now)

    def pread(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset` on: fewer before a hole and at the end."""
        if offset >= self.base:
            return os.pread(self._fd, size, offset - self.base) if self._fd >= 0 else b""
        found: list[bytes] = []
        while size > 0:
            part = self._part(offset)
            if part is None:
                break
            if part.piece is None:
                data = self.pread(size, offset)
            else:
                data = self._of_piece(part, min(size, part.end - offset), offset - part.begin)
            if not data:
                break
            found.append(data)
            size, offset = size - len(data), offset + len(data)
        return found[0] if len(found) == 1 else b"".join(found)

    def run(self, offset: int) -> tuple[int, int] | None:
        """Return the stretch without a hole that `offset` is in, or the next one; None if there is none."""
        for begin, end in self._runs[max(0, bisect_right(self._runs, (offset, math.inf)) - 1) :]:
            if end >= self.base and self._fd >= 0:
                end = self.end
            if end > offset:
                return begin, end
        return None

    def floor(self, offset: int) -> int:
        """Return where the stretch without a hole begins that the byte before `offset` is in."""
        run = self.run(offset - 1)
        return min(run[0], offset) if run else offset

    def parts(self, begin: int, end: int) -> Iterator[Part]:
        """Yield the parts that [begin, end) touches."""
        for part in self._parts[max(0, bisect_right(self._parts, (begin, math.inf)) - 1) :]:
            if part.begin >= end:
                return
            if part.piece is None:
                part = part._replace(end=self.end)
            if part.end > begin:
                yield part

    def set_aside(self, part: Part) -> Part | None:
        """Return the piece that the file has become since it was opened, if it is one."""
        if part.piece is not None or self.is_current:
            return None
        listed = pieces.pieces(self._folder)
        found = next((one for one in listed if (one.inode, one.begin) == (part.inode, part.begin)), None)
        return Part(found.begin, found.end, found.inode, found) if found else None

    def holes(self) -> list[Hole]:
        """Return what is not there, as far as that is known by now."""
        found, at = [], 0
        for begin, end in [*self._runs, (self.base, self.base)]:
            if begin > at:
                found.append(self.hole(at, begin))
            at = max(at, end)
        return found

    def hole(self, begin: int, end: int) -> Hole:
        """Return a hole, and why it is there."""
        return Hole(begin, end, "removed by --keep" if begin < self._held else "gone: a piece is not there")

    def lacks(self, offset: int) -> bool:
        """Take note that nothing could be read at `offset`; False if a file was cut off there."""
        part = self._part(offset)
        if part is None or part.piece is None:
            return part is None
        with self._lock:
            self._parts = [one for one in self._parts if one != part]
            self._runs = _runs(self._parts)
            self._held = _listed(self._folder, _version(self._folder)).held
        return True

    def descriptor(self, begin: int, end: int) -> tuple[int, int] | None:
        """Return the file that has [begin, end) as it is, and where it begins; None if no single one does."""
        with self._lock:
            part = self._part(begin)
            if part is None or (part.piece is not None and part.end < end):
                return None
            reader = self._fd if part.piece is None else self._reader(part)
            return (reader, part.begin) if isinstance(reader, int) and reader >= 0 else None

    def _part(self, offset: int) -> Part | None:
        number = bisect_right(self._parts, (offset, math.inf)) - 1
        part = self._parts[number] if number >= 0 else None
        return part if part is not None and (part.piece is None or offset < part.end) else None

    def _of_piece(self, part: Part, size: int, offset: int) -> bytes:
        with self._lock:
            reader = self._reader(part)
            try:
                if isinstance(reader, int):
                    return os.pread(reader, size, offset) if reader >= 0 else b""
                return reader.pread(size, offset)
            except OSError:
                return b""

    def _reader(self, part: Part) -> int | Packed:
        """Return what reads a piece: its descriptor if it is plain; -1 if it is gone."""
        if part.begin in self._open:
            self._open.move_to_end(part.begin)
            return self._open[part.begin]
        assert part.piece is not None
        reader = _open(self._file, part.piece)
        if reader != -1:
            self._open[part.begin] = reader
            if len(self._open) > _OPEN:
                _close(self._open.popitem(last=False)[1])
        return reader


def _opened(folder: str, file: str) -> tuple[Listed, int]:
    """Return what a journal says of the file that is open now; -1 if there is only what it lists."""
    for _ in range(_LOOKS):
        version = _version(folder)
        listed = _listed(folder, version)
        try:
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            if not listed.pieces:
                raise
            fd = -1
        if version == _version(folder):
            break
        if fd >= 0:
            os.close(fd)
    return listed, fd


@functools.lru_cache(maxsize=64)
def _listed(folder: str, version: object) -> Listed:
    """Return what a journal of that version says: who looks again and again does not read it again."""
    return pieces.read(folder)


def _version(folder: str) -> object:
    with contextlib.suppress(OSError):
        now = os.stat(pieces.journal_of(folder))
        return now.st_ino, now.st_size
    return None


def _open(file: str, piece: Piece) -> int | Packed:
    for _ in range(2):  # it may be compressed just now
        path = pieces.path_of(file, piece)
        with contextlib.suppress(OSError, ValueError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            return Packed(fd, piece.size) if path.endswith(".gz") else fd
    return -1


def _close(reader: int | Packed) -> None:
    if isinstance(reader, int):
        os.close(reader)
    else:
        reader.close()


def _runs(parts: list[Part]) -> list[tuple[int, int]]:
    """Return the stretches that parts make without a hole."""
    found: list[tuple[int, int]] = []
    for part in parts:
        if found and found[-1][1] == part.begin:
            found[-1] = found[-1][0], part.end
        else:
            found.append((part.begin, part.end))
    return found
