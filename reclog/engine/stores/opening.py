"""A recorded file, opened and locked.

Rules kept here:

- A file has one writer: the lock is flock(2) on the file itself, so it ends with the process.
  A device has none.
- It is opened through no link that a stranger made, whatever was put in its place since the last look.
"""

from __future__ import annotations

import errno
import os
import stat

from ..system.disk import Disk
from ..system.locks import lock_holder


def open_recorded(disk: Disk, path: str) -> int:
    """Open the file to append to, and to read it if we may. Raises OSError."""
    # O_NONBLOCK: opening a FIFO that nobody reads must not hang before we can refuse it.
    flags = os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
    try:
        return disk.open(path, flags | os.O_RDWR)
    except PermissionError:
        return disk.open(path, flags | os.O_WRONLY)


def is_recordable(mode: int) -> bool:
    """Tell whether what is there, by its mode, can be recorded to."""
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)


def lock(disk: Disk, fd: int) -> None:
    """Become the only writer of the open file. Raises BlockingIOError, which names who is, and OSError."""
    file = disk.fstat(fd)
    if not stat.S_ISREG(file.st_mode):
        return  # a device has room for all
    try:
        disk.lock(fd)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, f"locked by {lock_holder(file)}") from error
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise  # some network file systems know no locks: there the registry alone refuses


def ends_inside_line(disk: Disk, fd: int, size: int) -> bool:
    """Tell whether the open file of that size ends in half a line."""
    if size == 0:
        return False
    try:
        return disk.pread(fd, 1, size - 1) != b"\n"
    except OSError:
        return True  # write-only for us: a newline too many beats two lines in one


def why_not(path: str, error: OSError) -> str:
    """Return, for a person to read, why the file can't be opened."""
    folder = os.path.dirname(path) or "."
    if error.errno == errno.EISDIR:
        return f"{path} is a directory: name a file in it with --file."
    if error.errno == errno.ENXIO:
        return f"{path} is not a regular file: name another with --file."
    if error.errno == errno.ENOENT:
        return f"The folder {folder} does not exist: make it (mkdir -p) or name another file with --file."
    if error.errno == errno.ENOTDIR:
        return f"{folder} is not a folder: name another file with --file."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path} is not writable for you ({error.strerror}): name another file with --file."
    return f"{path} can't be opened ({error.strerror}): name another file with --file."
