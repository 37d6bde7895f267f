"""What the engine asks of the system for its files, in one place: a test can hand in another disk.

The methods are those of `os` and mean what they mean there; all raise OSError.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import List, Union

from .links import open_trusted

Data = Union[bytes, bytearray, memoryview]


class Disk:
    """The real one."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        """Open a file; O_NOFOLLOW forbids the links that `links` does, wherever in `path`."""
        if flags & os.O_NOFOLLOW:
            return open_trusted(path, flags | os.O_CLOEXEC, mode)
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def close(self, fd: int) -> None:
        os.close(fd)

    def write(self, fd: int, data: Data) -> int:
        return os.write(fd, data)

    def pread(self, fd: int, count: int, position: int) -> bytes:
        return os.pread(fd, count, position)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path)

    def listdir(self, path: str) -> List[str]:
        return os.listdir(path)

    def makedirs(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def tell(self, fd: int) -> int:
        """Return the offset behind what was read or written last; of O_APPEND, where that came to stand."""
        return os.lseek(fd, 0, os.SEEK_CUR)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
        else:  # macOS: its fsync(2) leaves bytes in the drive
            fcntl.fcntl(fd, getattr(fcntl, "F_FULLFSYNC"))  # noqa: B009 Linux's has none

    def replace(self, path: str, by: str) -> None:
        """Give the file at `path` the name `by`, in the place of what had it."""
        os.replace(path, by)

    def link(self, path: str, by: str) -> None:
        """Give the file at `path` the name `by`, too."""
        os.link(path, by, follow_symlinks=False)

    def be_like(self, fd: int, other: int) -> None:
        """Give the open file the mode of another, and the owner as far as we may."""
        now, wanted = os.fstat(fd), os.fstat(other)
        if (now.st_uid, now.st_gid) != (wanted.st_uid, wanted.st_gid):
            try:
                os.fchown(fd, wanted.st_uid, wanted.st_gid)
            except PermissionError:
                pass
        os.fchmod(fd, stat.S_IMODE(wanted.st_mode))

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def lock(self, fd: int) -> None:
        """Become the only one with a lock on that file. Raises BlockingIOError if another has it."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def reach(self, point: str) -> str:
        """Come to a point that is no operation: only a disk with fault points does anything there."""
        return ""

    # -- of the above -----------------------------------------------------------------------------

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.unlink(path)
        except FileNotFoundError:
            pass

    def sync(self, path: str) -> None:
        """Have a file's or a folder's content on disk."""
        fd = self.open(path, os.O_RDONLY)
        try:
            self.fsync(fd)
        finally:
            self.close(fd)

    def write_all(self, fd: int, data: Data) -> None:
        """Write all of `data`."""
        done = 0
        while done < len(data):
            done += self.write(fd, memoryview(data)[done:])

    def read_all(self, path: str) -> bytes:
        """Return all that the file at `path` holds."""
        fd = self.open(path, os.O_RDONLY)
        try:
            data = b""
            while True:
                more = self.pread(fd, 1 << 20, len(data))
                if not more:
                    return data
                data += more
        finally:
            self.close(fd)


DISK = Disk()
