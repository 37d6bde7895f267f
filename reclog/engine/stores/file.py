"""The recorded file: whole lines in, appended in batches, through everything that happens to a file.

Rules kept here:

- Text added is written once, in order. What a write cut short is completed, not repeated.
- Before each batch the file is looked at by name: renamed or removed, a new one is opened; changed by
  somebody else, the next line begins on a line of its own. Nobody's text is overwritten (O_APPEND).
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Any, Callable, Hashable

from ..errors import FileTaken, FileUnusable
from ..records.events import Say
from ..system.disk import DISK, Disk
from .index.writer import IndexWriter
from .opening import ends_inside_line, is_recordable, lock, open_recorded, why_not
from .store import PausingStore

#: Bytes of one write at most.
WRITE_SIZE = 16 * 1024 * 1024


class RecordedFile(PausingStore):
    """Append the texts of many senders to one file."""

    def __init__(
        self,
        path: str,
        say: Say,
        disk: Disk = DISK,
        touched: Callable[[Hashable], None] = lambda goes_on: None,
        index: IndexWriter | None = None,
    ) -> None:
        """`touched` is called when the file is not as we left it, before anything is written behind that.

        It is given whoever goes on with the half line at the file's end. `index` is told what was written.
        """
        super().__init__(say)
        self.path = path
        #: When lines were last written (seconds of the epoch).
        self.last_time = 0.0
        self._disk = disk
        self._on_touched = touched
        self._index = index
        #: The file's descriptor, and its bytes after our last write.
        self.fd = -1
        self.size = 0
        self._file: tuple[int, int] = (0, 0)
        self._regular = True
        #: Whether the folder was synced since the file was opened: it may be we who made it.
        self.named = False
        # Whether the file is not as we left it, and nobody was told yet; who goes on at its end.
        self._touched = False
        self._goes_on: Hashable = None

    def open(self) -> int:
        """Open the file and become its only writer; its descriptor. Raises FileUnusable, FileTaken."""
        try:
            fd = open_recorded(self._disk, self.path)
        except OSError as error:
            raise FileUnusable(why_not(self.path, error)) from error
        if not is_recordable(self._disk.fstat(fd).st_mode):
            self._disk.close(fd)
            raise FileUnusable(f"{self.path} is not a regular file: name another with --file.")
        try:
            lock(self._disk, fd)
        except BlockingIOError as error:
            self._disk.close(fd)
            raise FileTaken(
                f"{self.path} is {error.strerror}, as a recording locks its file: "
                "stop that, or name another file with --file."
            ) from error
        self._take_up(fd)
        return fd

    def sync(self, fd: int, named: bool = False) -> None:
        """Have what `fd`, the file's descriptor, was given on disk, and its name unless that is `named`.

        May be called beside the loop. Raises OSError.
        """
        self._disk.fdatasync(fd)
        if self._regular and not named:
            # fsync(2): "does not necessarily ensure that the entry in the directory has also reached disk".
            try:
                self._disk.sync(os.path.dirname(self.path) or ".")
            except PermissionError:
                pass  # a folder that we may use, and not read

    def touch(self, goes_on: Hashable = None) -> None:
        """Have it told that the file was touched before anything more is written.

        Who `goes_on` does so with the half line at its end.
        """
        self._touched, self._goes_on = True, goes_on

    def go_on(self, who: Hashable) -> None:
        """Take the half line at the file's end for one of `who`."""
        self.batch.open_by = who
        self._goes_on = who

    def close(self) -> None:
        """Let go of the file; what is still queued is given up."""
        if self._index is not None:
            self._index.close()
        if self.fd >= 0:
            self._disk.close(self.fd)
            self.fd = -1

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        return {**super().facts(), "last_line_at": self.last_time or None}

    def _write(self) -> None:
        if self._regular:
            self._look()
        batch, disk, fd = self.batch, self._disk, self.fd
        index = self._index if self._regular else None
        while batch.queued:
            written = disk.write(fd, batch.next(WRITE_SIZE))
            notes = batch.written(written)
            self.size += written
            if index is not None:
                # Not the size that we count: somebody may have appended since we looked.
                end = disk.tell(fd)
                index.tell(end - written, end, notes)
        self.last_time = time.time()

    def _look(self) -> None:
        """Notice what others did to the file since the last batch."""
        try:
            now = self._disk.stat(self.path)
        except FileNotFoundError:
            self._reopen("removed")
            now = self._disk.fstat(self.fd)
        if (now.st_dev, now.st_ino) != self._file:
            self._reopen("replaced")
        elif now.st_size != self.size:
            how = "truncated" if now.st_size < self.size else "added to"
            self._say("file changed", how=how, expected_bytes=self.size, bytes=now.st_size)
            self.size = now.st_size
            self.touch()
            if self._index is not None:
                self._index.touched()
            self._begin_anew()
        if self._touched:
            self._tell()

    def _tell(self) -> None:
        """Have it told that the file was touched: if that fails nothing is written, and it is tried again."""
        if self._touched:
            self._on_touched(self._goes_on)
            self._touched = False

    def _reopen(self, how: str) -> None:
        fd = open_recorded(self._disk, self.path)
        try:
            if not is_recordable(self._disk.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file any more")
            lock(self._disk, fd)
            self._disk.fdatasync(self.fd)  # nobody comes back to it
        except OSError:
            self._disk.close(fd)
            raise
        try:
            self._disk.close(self.fd)
        except OSError:
            pass
        self._say("file reopened", how=how)
        self.touch()
        self._take_up(fd)

    def _take_up(self, fd: int) -> None:
        now = self._disk.fstat(fd)
        self.fd = fd
        self._file = (now.st_dev, now.st_ino)
        self._regular = stat.S_ISREG(now.st_mode)
        self.size = now.st_size if self._regular else 0
        self.named = False
        self._take_up_index()
        self._begin_anew()

    def _take_up_index(self) -> None:
        if self._index is not None and self._regular:
            self._index.take_up(self.fd)

    def _begin_anew(self) -> None:
        """Go on at the file's end as it is now, without joining lines."""
        self.batch.restart(self._regular and ends_inside_line(self._disk, self.fd, self.size))
