"""A piece, compressed; and whatever is left of one, removed. Nothing but what is ours is touched.

Rules kept here:

- A plain piece is known by its inode and its size, a compressed one by members of ours alone, which together
  hold what the piece had. What else has such a name is somebody's: it is neither overwritten nor removed.
- The compressed one is made under another name, synced, named, and that synced, before the plain one goes.
  Whatever a kill leaves of that is taken up by doing it again. A plain one that somebody has added to stays.
- It may be done beside the loop, and takes a bounded memory. All raise OSError.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Callable

from ..system.disk import DISK, Disk
from .index.files import NAMES
from .index.files import path_of as index_path
from .members import HEADER_SIZE, TEXT, Members, member, sizes
from .pieces import NO_LINKS, Piece, beside, index_folder

#: Behind the name of a piece that is compressed, and of one that is being.
PACKED, UNFINISHED = ".gz", ".gz.tmp"


def compress(
    file: str, piece: Piece, disk: Disk = DISK, given_up: Callable[[], bool] = lambda: False
) -> bool:
    """Compress a piece of the recorded `file`; False if it is. Raises InterruptedError if it was given up."""
    plain = beside(file, piece)
    fd = _opened(plain, piece, disk, grown=False)
    if fd < 0:
        return False
    try:
        if not mended(plain, piece, disk):
            _write(fd, plain, piece, disk, given_up)
            _name(plain, disk)
            disk.sync(os.path.dirname(plain) or ".")
        if disk.fstat(fd).st_size != piece.size:
            raise OSError(errno.ESTALE, "somebody has added to it")
    finally:
        disk.close(fd)
    _unlink(plain, disk)
    return True


def mend(file: str, piece: Piece, disk: Disk = DISK) -> None:
    """Finish, or undo, what a kill has left of a compression."""
    plain = beside(file, piece)
    fd = _opened(plain, piece, disk, grown=False)
    if fd >= 0:
        disk.close(fd)
        if mended(plain, piece, disk):
            _unlink(plain, disk)


def mended(plain: str, piece: Piece, disk: Disk) -> bool:
    """Tell whether the compressed one is there for good; nothing unfinished is then."""
    _remove_unfinished(plain, disk)
    if not _is_whole(plain + PACKED, piece, disk):
        return False
    disk.sync(os.path.dirname(plain) or ".")
    return True


def remove(file: str, folder: str, piece: Piece, disk: Disk = DISK) -> bool:
    """Remove what is ours of a piece of the recorded `file`, and its index; False if nothing was there."""
    plain, there = beside(file, piece), False
    fd = _opened(plain, piece, disk)
    if fd >= 0:
        disk.close(fd)
        disk.unlink(plain)
        there = True
    if _is_whole(plain + PACKED, piece, disk):
        disk.unlink(plain + PACKED)
        there = True
    _remove_unfinished(plain, disk)
    index = index_folder(folder, piece)
    for name in NAMES:
        _unlink(index_path(index, name), disk)
    try:
        disk.rmdir(index)
    except OSError:
        pass  # there is none, or something else is in it
    return there


def bytes_on_disk(file: str, folder: str, piece: Piece, disk: Disk = DISK) -> int:
    """Return the bytes that a piece takes on disk, plain or compressed, with its index."""
    plain, index = beside(file, piece), index_folder(folder, piece)
    there = plain, plain + PACKED, *(index_path(index, name) for name in NAMES)
    return sum(bytes_of(path, disk) for path in there)


def _opened(plain: str, piece: Piece, disk: Disk, grown: bool = True) -> int:
    """Open a piece that is plain; -1 if there is none, or it is not what was recorded any more.

    It may have `grown`: whoever had the file open before it was cut goes on in it.
    """
    try:
        fd = disk.open(plain, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return -1
    now = disk.fstat(fd)
    ours = stat.S_ISREG(now.st_mode) and now.st_ino == piece.inode and now.st_size >= piece.size
    if ours and (grown or now.st_size == piece.size):
        return fd
    disk.close(fd)
    return -1


def _write(fd: int, plain: str, piece: Piece, disk: Disk, given_up: Callable[[], bool]) -> None:
    """Write the text of an open file, compressed, to a file that nothing else is."""
    packed = disk.open(plain + UNFINISHED, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
    try:
        disk.be_like(packed, fd)
        for at in range(0, piece.size, TEXT):
            if given_up():
                raise InterruptedError(errno.EINTR, "given up")
            text = disk.pread(fd, TEXT, at)[: piece.size - at]
            if len(text) != min(TEXT, piece.size - at):
                raise OSError(errno.ESTALE, "it was cut off")
            disk.write_all(packed, member(text))
        disk.fsync(packed)
    except OSError:
        _unlink(plain + UNFINISHED, disk)
        raise
    finally:
        disk.close(packed)


def _name(plain: str, disk: Disk) -> None:
    """Give what was written its name, unless something has that."""
    try:
        disk.link(plain + UNFINISHED, plain + PACKED)
    except OSError as error:
        if error.errno not in NO_LINKS or bytes_of(plain + PACKED, disk, missing=-1) >= 0:
            _unlink(plain + UNFINISHED, disk)
            raise
        disk.replace(plain + UNFINISHED, plain + PACKED)
    else:
        disk.unlink(plain + UNFINISHED)


def _is_whole(path: str, piece: Piece, disk: Disk) -> bool:
    """Tell whether a file holds a piece, compressed by us."""
    try:
        fd = disk.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        members = Members(lambda size, place: disk.pread(fd, size, place))
        now = disk.fstat(fd)
        return stat.S_ISREG(now.st_mode) and (members.size, members.end) == (piece.size, now.st_size)
    except (OSError, ValueError):
        return False
    finally:
        disk.close(fd)


def _remove_unfinished(plain: str, disk: Disk) -> None:
    """Remove what a kill has left of a compression: nothing yet, or what begins as ours do."""
    path = plain + UNFINISHED
    try:
        fd = disk.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        begins = disk.pread(fd, HEADER_SIZE, 0)
        if len(begins) == HEADER_SIZE:
            sizes(begins)
    except ValueError:
        return  # somebody else's
    finally:
        disk.close(fd)
    _unlink(path, disk)


def _unlink(path: str, disk: Disk) -> None:
    try:
        disk.unlink(path)
    except FileNotFoundError:
        pass


def bytes_of(path: str, disk: Disk, missing: int = 0) -> int:
    """Return how long a file is, or `missing`."""
    try:
        return disk.stat(path).st_size
    except OSError:
        return missing
