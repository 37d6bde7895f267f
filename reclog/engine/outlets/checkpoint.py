"""Where a killed collector goes on: the checkpoint it left, and what the file holds behind it.

A checkpoint says: this file held, in its first `size` bytes, the spool up to `offset`; and whether that is
inside a line of the spool's, which then goes on there. It is saved after the file was synced and before the
relay may delete what it covers. What was written after it is found by comparing the file with the feed,
whole line by whole line: equal lines are skipped; at the first difference appending begins. A half line at
the file's end is completed if it begins the next line.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Callable, NamedTuple

from ..system.disk import DISK, Disk

#: Bytes before the checkpoint's size whose hash tells whether the file is still the same.
LOOK_BACK = 4096
_BLOCK = 256 * 1024


class Checkpoint(NamedTuple):
    """What a file held of a spool, and how to know the file again."""

    spool: str
    offset: int
    device: int
    inode: int
    size: int
    #: SHA-256 of the `LOOK_BACK` bytes before `size`.
    tail: str
    #: Whether the spool's line goes on at `size`, so that nothing comes between.
    inside: bool = False

    @classmethod
    def of(cls, fd: int, size: int, spool: str, offset: int, inside: bool, disk: Disk = DISK) -> Checkpoint:
        """Return the checkpoint of an open file whose first `size` bytes hold the spool up to `offset`."""
        now = disk.fstat(fd)
        return cls(spool, offset, now.st_dev, now.st_ino, size, tail_hash(fd, size, disk), inside)

    @classmethod
    def from_json(cls, value: Any) -> Checkpoint:
        """Return the checkpoint that `_asdict` was saved from. Raises ValueError."""
        try:
            saved = cls(*(value[name] for name in cls._fields))
        except (KeyError, TypeError) as error:
            raise ValueError("it is no checkpoint") from error
        numbers = (saved.offset, saved.device, saved.inode, saved.size)
        if (
            not all(type(one) is int and one >= 0 for one in numbers)
            or max(saved.offset, saved.size) >= 1 << 63
            or not isinstance(saved.spool, str)
            or not isinstance(saved.tail, str)
            or type(saved.inside) is not bool
        ):
            raise ValueError("it is no checkpoint")
        return saved

    def fits(self, path: str, disk: Disk = DISK) -> bool:
        """Tell whether the file at `path` is the one meant, with at least what it held."""
        try:
            fd = disk.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            now = disk.fstat(fd)
            same = (now.st_dev, now.st_ino) == (self.device, self.inode)
            return same and now.st_size >= self.size and tail_hash(fd, self.size, disk) == self.tail
        finally:
            disk.close(fd)

    def find(self, path: str, disk: Disk = DISK) -> str:
        """Return where the file meant is now: at `path`, or renamed beside it; empty if it is gone."""
        if self.fits(path, disk):
            return path
        folder = os.path.dirname(path)
        try:
            beside = [os.path.join(folder, name) for name in disk.listdir(folder)]
        except OSError:
            return ""
        return next((other for other in beside if other != path and self._may_be(other, disk)), "")

    def _may_be(self, path: str, disk: Disk) -> bool:
        try:
            # Before it is opened: a folder holds FIFOs and devices too.
            return disk.stat(path).st_ino == self.inode and self.fits(path, disk)
        except OSError:
            return False


def tail_hash(fd: int, size: int, disk: Disk = DISK) -> str:
    """Return the SHA-256 of the `LOOK_BACK` bytes that end at `size`."""
    start = max(0, size - LOOK_BACK)
    try:
        return hashlib.sha256(disk.pread(fd, size - start, start)).hexdigest()
    except OSError:
        return ""  # it can't be read, only written: then inode and size must do


class Comparer:
    """Skip what a file already holds of a stream. Pure but for `read`."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        start: int,
        same_file: bool = True,
        inside: bool = False,
    ) -> None:
        """`read(position, count)` gives the file's bytes; compare from `start` on.

        With `inside` the stream's line goes on at `start`. Without `same_file` what follows goes to another
        file, so a half line can't be completed.
        """
        self._read = read
        self._same_file = same_file
        #: Up to here the file holds what the stream said: all before `matched`, in whole lines.
        self.matched = start
        #: Whether the stream's line goes on at `matched`.
        self.inside = inside
        self._position = start
        # The bytes of the stream's current line that were equal so far.
        self._line = bytearray()
        self._begun = False

    @property
    def held(self) -> int:
        """Bytes of the stream that were compared and belong to a line not yet decided."""
        return len(self._line)

    @property
    def position(self) -> int:
        """Up to here the file holds what the stream said, whole lines or not."""
        return self._position

    def break_line(self) -> None:
        """Take note that the stream does not go on with its line: something is missing between."""
        self._line.clear()
        self.matched = self._position
        self.inside = False
        self._begun = False

    def feed(self, data: bytes) -> tuple[bytes, bool] | None:
        """Take the next bytes of the stream.

        Returns None while all of them are in the file already. Otherwise comparing is over, and these
        bytes are to be appended; the flag tells whether they go on with the half line at the file's end.
        """
        if data and not self._begun:
            self._begun = True
            self._skip_closing()
        taken = 0
        while taken < len(data):
            there = self._read(self._position, min(_BLOCK, len(data) - taken))
            equal = _common(there, data[taken : taken + len(there)])
            self._accept(data[taken : taken + equal])
            taken += equal
            if equal < len(there):
                return bytes(self._line) + data[taken:], False
            if not there:
                if self._same_file:
                    return data[taken:], self.inside or bool(self._line)
                return bytes(self._line) + data[taken:], False
        return None

    def _skip_closing(self) -> None:
        """Pass the newline that closed another's half line before the stream's first line."""
        start = self._position
        if self.inside or not start or self._read(start - 1, 1) == b"\n":
            return
        if self._read(start, 1) == b"\n":
            self._position = self.matched = start + 1

    def _accept(self, equal: bytes) -> None:
        self._position += len(equal)
        end = equal.rfind(b"\n") + 1
        if end:
            self._line[:] = equal[end:]
            self.matched = self._position - len(self._line)
            self.inside = False
        else:
            self._line += equal


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning of both are equal."""
    if one == other:
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:  # the longest equal beginning, by halves: comparing slices is quick
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
