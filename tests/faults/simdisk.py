"""A disk in memory, which forgets what was not synced when the power goes, and fails when it is told to.

What it keeps apart, as a real one does:

- A file's content is on the platter after fsync(2) or fdatasync(2) of the file. Of what was changed since,
  a power cut leaves the first part, in the order of the changes, as long or short as it likes.
- A name is on the platter after fsync(2) of its folder, and not before: fsync(2) says that syncing a file
  need not sync its name. Of the changes since, a power cut leaves the first ones, again as many as it likes.
- A process that dies leaves all that it wrote. Its descriptors and locks are gone.

Simpler than real: folders are on the platter at once, a failed sync leaves its data to the next one, and what
a power cut leaves of a file was written to it (no zeros, no stale blocks).
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from reclog.engine.system.disk import Data, Disk

#: The tag of a byte that was written by nobody whom `on_write` knows.
UNKNOWN = -1

BEFORE, WITHIN, AFTER = "before", "within", "after"


class Died(BaseException):
    """The process was killed here: whatever it still tries to do has no effect."""


class Change(NamedTuple):
    """What happened to a file's content: bytes written at a position, or (None) the file cut there."""

    position: int
    data: bytes | None
    tags: Sequence[int]

    @property
    def units(self) -> int:
        """Return in how many steps it comes to the platter."""
        return 1 if self.data is None else len(self.data)


class Content:
    """Bytes, and a tag for each."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.tags = array("q")

    def copy(self) -> Content:
        other = Content()
        other.data[:] = self.data
        other.tags[:] = self.tags
        return other

    def apply(self, change: Change, most: int | None = None) -> None:
        """Do a change, or the first `most` bytes of it."""
        start = change.position
        if most == 0:
            return
        if change.data is None:
            del self.data[start:]
            del self.tags[start:]
            return
        data, tags = change.data[:most], array("q", change.tags[:most])
        hole = start - len(self.data)
        if hole > 0:
            self.data.extend(bytes(hole))
            self.tags.extend([UNKNOWN] * hole)
        self.data[start : start + len(data)] = data
        self.tags[start : start + len(data)] = tags


class Inode:
    """A file: what the system's cache holds, what the platter holds, and the changes between the two."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.cache = Content()
        self.platter = Content()
        self.log: list[Change] = []

    def change(self, change: Change) -> None:
        self.cache.apply(change)
        self.log.append(change)

    def sync(self) -> None:
        for change in self.log:
            self.platter.apply(change)
        self.log.clear()

    def cut(self, choice: Callable[[int], int]) -> None:
        """Lose the changes that were not synced, but for the first that `choice` leaves."""
        left = choice(sum(change.units for change in self.log)) if self.log else 0
        for change in self.log:
            self.platter.apply(change, min(left, change.units))
            left = max(0, left - change.units)
        self.cache = self.platter.copy()
        self.log.clear()


class Naming(NamedTuple):
    """What happened to a folder: a name given or (None) taken away, and the name it had before."""

    name: str
    inode: Inode | None
    before: str = ""

    def apply(self, names: dict[str, Inode]) -> None:
        if self.before:
            names.pop(self.before, None)
        if self.inode is None:
            names.pop(self.name, None)
        else:
            names[self.name] = self.inode


class Folder:
    """Names, in the cache and on the platter."""

    def __init__(self) -> None:
        self.cache: dict[str, Inode] = {}
        self.platter: dict[str, Inode] = {}
        self.log: list[Naming] = []

    def change(self, naming: Naming) -> None:
        naming.apply(self.cache)
        self.log.append(naming)

    def sync(self) -> None:
        for naming in self.log:
            naming.apply(self.platter)
        self.log.clear()

    def cut(self, choice: Callable[[int], int]) -> None:
        for naming in self.log[: choice(len(self.log)) if self.log else 0]:
            naming.apply(self.platter)
        self.cache = dict(self.platter)
        self.log.clear()


class Opened:
    """What a descriptor stands for."""

    def __init__(self, path: str, inode: Inode | None, flags: int) -> None:
        self.path = path
        #: None for a folder.
        self.inode = inode
        self.flags = flags
        self.position = 0


def _error(number: int, path: str = "") -> OSError:
    return OSError(number, os.strerror(number), path or None)


def _unknown(_opened: Opened, _at: int, data: bytes) -> Sequence[int]:
    return [UNKNOWN] * len(data)


def _nothing_survives(_most: int) -> int:
    return 0


class SimDisk(Disk):
    """One machine's disk, as the one process sees it that runs there at a time."""

    def __init__(self) -> None:
        self.folders: dict[str, Folder] = {"/": Folder()}
        #: Set once the process died, until `crash` or `power_cut`.
        self.dead = False
        #: Changes asked for so far: writes, creations, syncs, replacements, removals.
        self.changes = 0
        #: Which of them were writes of more than a byte.
        self.writes: list[int] = []
        self.reads = 0
        self.failed_reads = 0
        self.deaths = 0
        #: Whether a file can have a second name.
        self.links = True
        #: The next write takes only so many bytes (0: all).
        self.short = 0
        #: Called before bytes get into a file; gives a tag for each.
        self.on_write: Callable[[Opened, int, bytes], Sequence[int]] = _unknown
        #: Called before a name is taken away.
        self.on_unlink: Callable[[str, Inode], None] = lambda path, inode: None
        self._opened: dict[int, Opened] = {}
        self._locks: dict[Inode, Opened] = {}
        self._next_fd = 3
        self._capacity: int | None = None
        self._fail_change: tuple[int, int] | None = None
        self._fail_read: tuple[int, int] | None = None
        self._die: tuple[int, str] | None = None
        self._outside = False

    # -- what befalls it ------------------------------------------------------------------------

    def give_room(self, count: int | None) -> None:
        """Have room for `count` more bytes; None for as much as you like."""
        self._capacity = None if count is None else self._used() + count

    def fail_at(self, nth: int, number: int = errno.EIO, reads: bool = False) -> None:
        """Have the `nth` change (or read) from now fail with that errno, once; 1 is the next."""
        if reads:
            self._fail_read = self.reads + nth, number
        else:
            self._fail_change = self.changes + nth, number

    def die_at(self, nth: int, when: str = BEFORE) -> None:
        """Have the process die before, within or after the `nth` change from now."""
        self._die = self.changes + nth, when

    def mend(self) -> None:
        """Have room, and no failure or death ahead."""
        self._capacity = None
        self._fail_change = self._fail_read = self._die = None
        self.short = 0

    def crash(self) -> None:
        """The process is dead: it has no descriptors and locks any more. All that it wrote is still there."""
        self._opened.clear()
        self._locks.clear()
        self.dead = False
        self._fail_change = self._fail_read = None
        self.short = 0

    def power_cut(self, choice: Callable[[int], int] = _nothing_survives) -> None:
        """Lose what was not synced. `choice(n)` says how many of `n` steps, 0 to n, came to the platter."""
        self.crash()
        for folder in self.folders.values():
            folder.cut(choice)
        for inode in self._inodes():
            inode.cut(choice)

    @contextmanager
    def outside(self) -> Iterator[SimDisk]:
        """Do what somebody else does: not counted, never failing, whoever is dead."""
        before, self._outside = self._outside, True
        try:
            yield self
        finally:
            self._outside = before

    # -- what a test looks at -------------------------------------------------------------------

    def find(self, path: str, platter: bool = False) -> Inode | None:
        """Return the file of that name, if there is one."""
        folder = self.folders.get(os.path.dirname(path))
        if folder is None:
            return None
        return (folder.platter if platter else folder.cache).get(os.path.basename(path))

    def files(self, path: str, platter: bool = False) -> dict[str, Inode]:
        """Return the files of a folder, by name."""
        folder = self.folders.get(path)
        if folder is None:
            return {}
        return dict(folder.platter if platter else folder.cache)

    def has(self, inode: Inode) -> bool:
        """Tell whether the file has a name."""
        return any(inode in folder.cache.values() for folder in self.folders.values())

    def shorten(self, path: str, size: int = 0) -> None:
        """Cut a file; what somebody else does to it."""
        inode = self.find(path)
        assert inode is not None
        inode.change(Change(size, None, ()))

    # -- what it is as a disk -------------------------------------------------------------------

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._alive()
        access = flags & os.O_ACCMODE
        if path in self.folders:
            if access != os.O_RDONLY or flags & os.O_CREAT:
                raise _error(errno.EISDIR, path)
            return self._number(Opened(path, None, flags))
        folder = self._folder_of(path)
        inode = folder.cache.get(os.path.basename(path))
        death = ""
        if inode is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT, path)
            death = self._before()
            if not self._outside and self._free() == 0:
                self._after(death)
                raise _error(errno.ENOSPC, path)
            inode = Inode(self._free_number())
            folder.change(Naming(os.path.basename(path), inode))
        elif flags & os.O_TRUNC and inode.cache.data:
            death = self._before()
            inode.change(Change(0, None, ()))
        self._after(death)
        return self._number(Opened(path, inode, flags))

    def close(self, fd: int) -> None:
        self._alive()
        opened = self._get(fd)
        del self._opened[fd]
        if opened.inode is not None and self._locks.get(opened.inode) is opened:
            del self._locks[opened.inode]

    def write(self, fd: int, data: Data) -> int:
        self._alive()
        opened = self._get(fd)
        inode = opened.inode
        if inode is None or opened.flags & os.O_ACCMODE == os.O_RDONLY:
            raise _error(errno.EBADF)
        whole = bytes(data)
        death = self._before()
        position = len(inode.cache.data) if opened.flags & os.O_APPEND else opened.position
        if self._outside:
            tags: Sequence[int] = [UNKNOWN] * len(whole)
        else:
            if self.short:
                whole, self.short = whole[: self.short], 0
            free = self._free()
            if free is not None and whole:
                growth = max(0, position + len(whole) - len(inode.cache.data))
                whole = whole[: max(0, len(whole) - max(0, growth - free))]
                if not whole:
                    self._after(death)
                    raise _error(errno.ENOSPC)
            if death == WITHIN:  # a write of several pages can be killed between two of them
                whole = whole[: len(whole) // 2]
            tags = self.on_write(opened, position, whole)
        if len(whole) > 1:
            self.writes.append(self.changes)
        inode.change(Change(position, whole, tags))
        opened.position = position + len(whole)
        self._after(death)
        return len(whole)

    def tell(self, fd: int) -> int:
        self._alive()
        return self._get(fd).position

    def truncate(self, fd: int, size: int) -> None:
        self._alive()
        inode = self._get(fd).inode
        assert inode is not None
        death = self._before()
        inode.change(Change(size, None, ()))
        self._after(death)

    def pread(self, fd: int, count: int, position: int) -> bytes:
        self._read()
        opened = self._get(fd)
        if opened.inode is None:
            raise _error(errno.EISDIR)
        if opened.flags & os.O_ACCMODE == os.O_WRONLY:
            raise _error(errno.EBADF)
        return bytes(opened.inode.cache.data[position : position + count])

    def fstat(self, fd: int) -> os.stat_result:
        self._alive()
        return self._status(self._get(fd).inode)

    def stat(self, path: str) -> os.stat_result:
        self._alive()
        if path in self.folders:
            return self._status(None)
        inode = self._folder_of(path).cache.get(os.path.basename(path))
        if inode is None:
            raise _error(errno.ENOENT, path)
        return self._status(inode)

    def listdir(self, path: str) -> list[str]:
        self._alive()
        if path not in self.folders:
            raise self._no_folder(path)
        within = [os.path.split(other) for other in self.folders if other != "/"]
        names = [*self.folders[path].cache, *(name for parent, name in within if parent == path)]
        return sorted(names, reverse=True)  # in no order that anybody may count on

    def makedirs(self, path: str) -> None:
        self._alive()
        if path in self.folders:
            return
        if self.find(path) is not None:
            raise _error(errno.EEXIST, path)
        if self.find(os.path.dirname(path)) is not None:
            raise _error(errno.ENOTDIR, path)
        self.makedirs(os.path.dirname(path))
        death = self._before()
        self.folders[path] = Folder()
        self._after(death)

    def fsync(self, fd: int) -> None:
        self._alive()
        opened = self._get(fd)
        death = self._before()
        if opened.inode is not None:
            opened.inode.sync()
        elif opened.path in self.folders:
            self.folders[opened.path].sync()
        self._after(death)

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd)

    def replace(self, path: str, by: str) -> None:
        self._alive()
        folder, name = self._folder_of(path), os.path.basename(path)
        inode = folder.cache.get(name)
        if inode is None:
            raise _error(errno.ENOENT, path)
        if by in self.folders:
            raise _error(errno.EISDIR, path)
        if path == by:
            return
        death = self._before()
        other = self._folder_of(by)
        if other is folder:
            folder.change(Naming(os.path.basename(by), inode, before=name))
        else:  # a power cut may leave one, both or none: nothing counts on more
            other.change(Naming(os.path.basename(by), inode))
            folder.change(Naming(name, None))
        for opened in self._opened.values():
            if opened.inode is inode and opened.path == path:
                opened.path = by
        self._after(death)

    def link(self, path: str, by: str) -> None:
        self._alive()
        inode = self.find(path)
        if inode is None:
            raise _error(errno.ENOENT, path)
        if self.find(by) is not None:
            raise _error(errno.EEXIST, by)
        if not self.links:
            raise _error(errno.EPERM, by)
        death = self._before()
        self._folder_of(by).change(Naming(os.path.basename(by), inode))
        self._after(death)

    def be_like(self, fd: int, other: int) -> None:
        self._alive()

    def unlink(self, path: str) -> None:
        self._alive()
        if path in self.folders:
            raise _error(errno.EISDIR, path)
        folder, name = self._folder_of(path), os.path.basename(path)
        if name not in folder.cache:
            raise _error(errno.ENOENT, path)
        death = self._before()
        if not self._outside:
            self.on_unlink(path, folder.cache[name])
        folder.change(Naming(name, None))
        self._after(death)

    def rmdir(self, path: str) -> None:
        self._alive()
        if path not in self.folders:
            raise self._no_folder(path)
        if self.listdir(path):
            raise _error(errno.ENOTEMPTY, path)
        death = self._before()
        del self.folders[path]
        self._after(death)

    def lock(self, fd: int) -> None:
        self._alive()
        opened = self._get(fd)
        if opened.inode is None:
            return
        if self._locks.setdefault(opened.inode, opened) is not opened:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))

    # -- inside ---------------------------------------------------------------------------------

    def _alive(self) -> None:
        if self.dead and not self._outside:
            raise Died

    def _read(self) -> None:
        self._alive()
        if self._outside:
            return
        self.reads += 1
        if self._fail_read is not None and self.reads >= self._fail_read[0]:
            number, self._fail_read = self._fail_read[1], None
            self.failed_reads += 1
            raise _error(number)

    def _before(self) -> str:
        """Count a change, and fail or die if that is due; return when else it is to die."""
        if self._outside:
            return ""
        self.changes += 1
        if self._fail_change is not None and self.changes >= self._fail_change[0]:
            number, self._fail_change = self._fail_change[1], None
            raise _error(number)
        if self._die is None or self.changes < self._die[0]:
            return ""
        when, self._die = self._die[1], None
        if when == BEFORE:
            self._after(when)
        return when

    def _after(self, death: str) -> None:
        if death:
            self.dead = True
            self.deaths += 1
            raise Died

    def _no_folder(self, path: str) -> OSError:
        there = os.path.basename(path) in self._folder_of(path).cache
        return _error(errno.ENOTDIR if there else errno.ENOENT, path)

    def _folder_of(self, path: str) -> Folder:
        parent = os.path.dirname(path)
        folder = self.folders.get(parent)
        if folder is None:
            raise _error(errno.ENOENT if self.find(parent) is None else errno.ENOTDIR, path)
        return folder

    def _number(self, opened: Opened) -> int:
        fd, self._next_fd = self._next_fd, self._next_fd + 1
        self._opened[fd] = opened
        return fd

    def _get(self, fd: int) -> Opened:
        opened = self._opened.get(fd)
        if opened is None:
            raise _error(errno.EBADF)
        return opened

    def _inodes(self) -> list[Inode]:
        """Return all files there are, or may be again after a power cut."""
        found: dict[Inode, None] = {}
        for folder in self.folders.values():
            found.update(dict.fromkeys(folder.cache.values()))
            found.update(dict.fromkeys(folder.platter.values()))
            found.update(dict.fromkeys(naming.inode for naming in folder.log if naming.inode is not None))
        found.update(dict.fromkeys(one.inode for one in self._opened.values() if one.inode is not None))
        return list(found)

    def _free_number(self) -> int:
        # The lowest that is free, as ext4 does: a new file often has the number of one that was removed.
        taken = {inode.number for inode in self._inodes()}
        return next(number for number in range(2, len(taken) + 3) if number not in taken)

    def _used(self) -> int:
        named = {inode: None for folder in self.folders.values() for inode in folder.cache.values()}
        named.update(dict.fromkeys(one.inode for one in self._opened.values() if one.inode is not None))
        return sum(len(inode.cache.data) for inode in named)

    def _free(self) -> int | None:
        return None if self._capacity is None else max(0, self._capacity - self._used())

    def _status(self, inode: Inode | None) -> os.stat_result:
        if inode is None:
            return os.stat_result((stat.S_IFDIR | 0o700, 1, 1, 2, 0, 0, 0, 0, 0, 0))
        size = len(inode.cache.data)
        return os.stat_result((stat.S_IFREG | 0o600, inode.number, 1, 1, 0, 0, size, 0, 0, 0))
