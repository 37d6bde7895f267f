"""Where a killed collector goes on: the checkpoint that it left.

It says: this file held, in its first `size` bytes, the spool up to `offset`; and whether that is inside a
line of the spool's, which then goes on there. It is saved after the file was synced and before the relay may
delete what it covers. What was written after it, a comparer finds out.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, NamedTuple

from ..system.disk import DISK, Disk

#: Bytes before the checkpoint's size whose hash tells whether the file is still the same.
LOOK_BACK = 4096


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
