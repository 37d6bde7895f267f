"""The relay's disk buffer: whole lines in, kept until whoever reads it has them on its own disk.

Rules kept here:

- A byte has an offset, counted from the spool's beginning. No offset is ever used twice.
- Offsets are reserved ahead (see mark); what a start makes of that after a power cut: see recovery.
- A segment is a file named by the offset of its first byte. It is deleted when all of it is acked, and
  never the last one: its name alone tells, also on a full disk, which offsets were used.
- Segments are synced beside the loop. The next one is left only when the one before is synced: a disk that
  can't follow holds senders back in the end, and two segments at most are not on disk.
- Nothing is dropped: when the segments reach `limit` bytes, or the disk is full, `flush` takes no more.
"""

from __future__ import annotations

import errno
import os
import secrets
import zlib
from typing import Any, Callable

from ..intake.batch import STRANGER
from ..records.events import Say
from ..system.aside import AtOnce
from ..system.disk import DISK, Disk
from ..system.identity import boot_id
from . import recovery
from .cursor import Cursor
from .index.spooled import SHARE, Spooled
from .mark import Mark
from .recovery import STATE, VERSION, Found
from .segments import Jump, Segment, locate, name_of
from .store import PausingStore

#: Bytes of a segment at most: two of them may be lost with the machine's power.
SEGMENT = 4 * 1024 * 1024


class SpoolUnusable(Exception):
    """The spool's files can't be used; the message says why and what to do."""


class Spool(PausingStore):
    """Lines on disk, by offset."""

    def __init__(
        self,
        folder: str,
        limit: int,
        say: Say,
        disk: Disk = DISK,
        boot: str = "",
        beside: Callable[[], AtOnce] = AtOnce,
    ) -> None:
        """`limit` is in bytes; `boot` names this boot of the machine (default: as the system does).

        `beside` makes what does blocking work elsewhere; by default it is done at once.
        """
        super().__init__(say)
        self.folder = folder
        self.disk = disk
        self.id = ""
        #: The offset of the next byte to be written.
        self.end = 0
        #: Whoever reads the spool has all before this offset on its disk.
        self.acked = 0
        #: All before this offset is on our disk, or was lost and stated.
        self.synced = 0
        #: Where this run began. Its bytes' running CRC-32.
        self.begun = 0
        self.crc = 0
        #: Bytes of all segments on disk.
        self.size = 0
        self.cursors: set[Cursor] = set()
        #: Who said what in it, and when.
        self.runs = Spooled(folder, disk)
        self._boot = boot or boot_id()
        self._mark = Mark(os.path.join(folder, STATE), disk, self._state, beside)
        self._syncing = beside()
        # Whether the last byte before the end is no newline.
        self._inside_line = False
        # Segments by their start: (start, length), ascending; the last is the one that is written.
        self._segments: list[list[int]] = []
        self._fd = -1
        self.adopt(limit)

    def adopt(self, limit: int) -> None:
        """Have the segments reach so many bytes at most from now on."""
        self.limit = limit
        # Small limits need small segments, or deleting the oldest would free too much at a time.
        self._segment_size = max(64 * 1024, min(SEGMENT, limit // 8))
        self.runs.limit = limit // SHARE

    # -- life -----------------------------------------------------------------------------------

    def open(self) -> tuple[Jump, ...]:
        """Open the spool, or make it; return what a power cut made missing of it. Raises SpoolUnusable."""
        try:
            self.disk.makedirs(self.folder)
            found = recovery.find(self.folder, self._boot, self.disk)
            self._take_up(found)
        except (OSError, ValueError, KeyError) as error:
            raise SpoolUnusable(f"The spool {self.folder} can't be used ({error}).") from error
        return found.jumps

    def close(self) -> None:
        """Sync, and note that nothing is missing; on a full disk the next start finds out by itself."""
        try:
            self.sync()
            self._mark.save(clean=True)
        except OSError as error:
            self._say("spool state not saved", reason=error.strerror or str(error))
        self._let_go()

    def remove(self) -> None:
        """Delete the spool and all that is in it."""
        self._let_go()
        try:
            self._mark.save(clean=True)
        except OSError:
            pass  # a full disk: there is nothing to lose any more
        # The state last: killed in between, the next start finds a spool that it can open, and its end.
        for name in sorted(self.disk.listdir(self.folder), key=lambda name: name == STATE):
            self.disk.unlink(os.path.join(self.folder, name))
        self.disk.rmdir(self.folder)

    def _take_up(self, found: Found) -> None:
        if not found.id:
            self.id = secrets.token_hex(8)
            self._mark.save(clean=True)
            return
        self.id, self.acked, self._mark.offset = found.id, found.acked, found.mark
        self.end = self.synced = self.begun = found.end
        self._inside_line = found.inside_line
        if found.inside_line:
            self.batch.open_by = STRANGER
        for start, length in found.segments:
            if length or start == self.end:
                self._segments.append([start, length])
                self.size += length
            else:  # made, and lost its bytes with the machine's power
                self.disk.unlink(self.path(start))
        self.runs.open(self._segments[0][0] if self._segments else self.end, self.end)
        for start, _ in self._segments[-2:]:  # the last process may have died before it synced what it wrote
            self.disk.sync(self.path(start))
        try:
            self._mark.save(clean=False)
            if found.jumps and found.jumps[-1].end == self.end:
                self._open_segment(anew=True)  # its name tells the next start that this jump is known
                self.disk.sync(self.folder)
        except OSError:
            self._mark.offset = self.end  # a full disk: nothing is written before this is saved

    def _let_go(self) -> None:
        self._mark.wait()
        while self._syncing.busy:  # the end of one may begin another
            self._syncing.wait()
        self.runs.close(self.acked)
        if self._fd >= 0:
            self.disk.close(self._fd)
            self._fd = -1
        for cursor in list(self.cursors):
            cursor.close()

    # -- what is on disk ------------------------------------------------------------------------

    def sync(self) -> None:
        """Have all that was written so far on disk. Raises OSError."""
        self._syncing.wait()
        if self.synced < self.end:
            self._sync(self._unsynced())
            self.synced = self.end

    def sync_beside(self) -> None:
        """Begin with that beside the loop; a failure is said, and the next call tries again."""
        if self.synced < self.end and not self._syncing.busy:
            end, paths = self.end, self._unsynced()
            self._syncing.start(lambda: self._sync(paths), lambda error: self._synced(end, error))

    def _unsynced(self) -> list[str]:
        starts = [start for start, length in self._segments[-3:] if start + length > self.synced]
        # With its first bytes a segment's name has come to the disk.
        named = all(start < self.synced for start in starts)
        return [self.path(start) for start in starts] + ([] if named else [self.folder])

    def _sync(self, paths: list[str]) -> None:
        for path in paths:
            try:
                self.disk.sync(path)
            except FileNotFoundError:
                pass  # acked, and deleted meanwhile

    def _synced(self, end: int, error: OSError | None) -> None:
        if error is not None:
            self._say("sync failed", reason=error.strerror or str(error))
            return
        self.synced = max(self.synced, end)
        if self._segments and self.synced < self._segments[-1][0]:
            self.sync_beside()  # a segment was left meanwhile

    def _state(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "id": self.id,
            "begun": self.begun,
            "end": self.end,
            "acked": self.acked,
            "inside": self._inside_line,
            "boot": self._boot,
        }

    # -- in and out -----------------------------------------------------------------------------

    def ack(self, offset: int) -> None:
        """Take note that all before `offset` is on its reader's disk; delete what only holds that."""
        if self.acked < offset <= self.end:
            self.disk.reach("ack.before-take")
            self.acked = offset
            self._trim()
            self.disk.reach("ack.after-take")

    def cursor(self, offset: int, asks_for_runs: bool = False) -> Cursor:
        """Return one that reads from `offset` on, and is told who said what where it asks for that."""
        cursor = Cursor(self, offset, asks_for_runs)
        self.cursors.add(cursor)
        return cursor

    def locate(self, offset: int) -> Segment | Jump:
        """Return the segment that `offset` is in, or the jump that begins there (to itself at the end)."""
        return locate(self._segments, offset, self.end)

    def _write(self) -> None:
        if self.paused:
            self._trim()
        batch = self.batch
        while batch.queued:
            piece = batch.next(self._segment_size)
            if self.size + len(piece) > self.limit:
                raise OSError(errno.ENOSPC, f"spool full ({self.limit} bytes)")
            self._mark.reserve(self.end + len(piece))
            if self._fd < 0 or self._segments[-1][1] >= self._segment_size:
                self._open_segment()
            written = self.disk.write(self._fd, piece)
            self.crc = zlib.crc32(piece[:written], self.crc)
            self._inside_line = piece[written - 1] != 0x0A
            self._segments[-1][1] += written
            self.size += written
            self.end += written
            self.runs.told(self.end - written, self.end, batch.written(written))

    # -- segments -------------------------------------------------------------------------------

    def path(self, start: int) -> str:
        """Return the path of the segment that begins at offset `start`."""
        return os.path.join(self.folder, name_of(start))

    def _open_segment(self, anew: bool = False) -> None:
        last = self._segments[-1] if self._segments else None
        if self._fd >= 0 and last is not None:
            if max(self.synced, self.acked) < last[0]:
                self.sync()
            self.disk.close(self._fd)
            self._fd = -1
            self.runs.close(self.acked)
            self.sync_beside()
        # After a restart the last one is gone on with, if it ends where the spool does.
        if anew or last is None or sum(last) != self.end or last[1] >= self._segment_size:
            last = [self.end, 0]
        self._fd = self.disk.open(self.path(last[0]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        if not self._segments or self._segments[-1] is not last:
            self._segments.append(last)

    def _trim(self) -> None:
        """Delete the segments that are acked; where room is short, also what is acked of the last one."""
        try:
            if (self.paused or self.size > self.limit // 2) and self._segments:
                start, length = self._segments[-1]
                if length and start + length == self.end <= self.acked:
                    self._open_segment(anew=True)
            if len(self._segments) > 1 and not self._segments[-1][1]:
                # Soon no byte tells any more whether the spool ends inside a line.
                try:
                    self._mark.save(clean=False)
                except OSError:
                    pass  # the disk is full, and to delete makes room
            # Else nothing is saved: the names of those that stay tell what is gone, and that was acked.
            while len(self._segments) > 1 and sum(self._segments[0]) <= self.acked:
                self._delete_first()
        except OSError as error:
            self._say("spool not trimmed", reason=error.strerror or str(error))

    def _delete_first(self) -> None:
        start, length = self._segments[0]
        for cursor in self.cursors:
            cursor.deleted(start)
        self.disk.unlink(self.path(start))
        del self._segments[0]
        self.size -= length
        self.runs.forget(self._segments[0][0])
