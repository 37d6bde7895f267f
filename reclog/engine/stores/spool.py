"""The relay's disk buffer: whole lines in, kept until the collector has them on its own disk.

Rules kept here:

- A byte has an offset, counted from the spool's beginning. No offset is ever used twice.
- Offsets are reserved ahead: before a byte is written at or beyond the mark, a higher mark is on disk. A
  start after the machine lost power begins at the mark; a start after the process alone died begins
  where the files end, for what was written is in the system's cache.
- A segment is a file named by the offset of its first byte. It is deleted when all of it is acked, and
  never the last one: its name alone tells, also on a full disk, which offsets were used.
- Nothing is dropped: when the segments reach `limit` bytes, or the disk is full, `flush` takes no more.
"""

from __future__ import annotations

import bisect
import errno
import os
import secrets
import stat
import time
import zlib
from typing import Callable, Hashable, NamedTuple

from ..intake.batch import STRANGER, Batch, Bytes
from ..records.jsonfile import read_json, write_json
from ..system.disk import DISK, Disk
from ..system.faultpoints import reach
from ..system.identity import boot_id
from .segments import name_of, start_of

#: Bytes of offsets that are reserved at a time.
RESERVE = 8 * 1024 * 1024
SEGMENT = 8 * 1024 * 1024
#: Bytes that one read hands out at most.
CHUNK = 256 * 1024
VERSION = 1
_STATE = "spool.json"

Report = Callable[..., None]


class SpoolUnusable(Exception):
    """The spool's files can't be used; the message says why and what to do."""


class Jump(NamedTuple):
    """Offsets that hold nothing: what was lost with the machine's power, or never was."""

    start: int
    end: int


class Spool:
    """Lines on disk, by offset."""

    FLUSH_AT = 256 * 1024

    def __init__(self, folder: str, limit: int, report: Report, disk: Disk = DISK, boot: str = "") -> None:
        """`limit` is in bytes; `boot` names this boot of the machine (default: as the system does)."""
        self.folder = folder
        self.limit = limit
        self._disk = disk
        self._boot = boot or boot_id()
        self.id = ""
        #: The offset of the next byte to be written.
        self.end = 0
        #: The collector has all before this offset on its disk.
        self.acked = 0
        self.synced = 0
        #: Bytes of all segments on disk.
        self.size = 0
        #: What is to be written, and what was taken in so far.
        self.batch = Batch()
        self.paused = ""
        #: Running CRC-32 of every byte from offset `crc_from` on.
        self.crc = 0
        self.crc_from = 0
        self._paused_at = 0.0
        self._report = report
        self._mark = 0
        # Whether the last byte before the end is no newline.
        self._inside_line = False
        # Segments by their start: (start, length), ascending; the last is the one that is written.
        self._segments: list[list[int]] = []
        self._fd = -1
        self._read_fd = -1
        self._read_start = -1
        # Small limits need small segments, or deleting the oldest would free too much at a time.
        self._segment_size = max(64 * 1024, min(SEGMENT, limit // 8))

    # -- life -----------------------------------------------------------------------------------

    def open(self) -> Jump | None:
        """Open the spool, or make it; return the jump if a power cut made one. Raises SpoolUnusable."""
        try:
            self._disk.makedirs(self.folder)
            return self._recover()
        except (OSError, ValueError, KeyError) as error:
            raise SpoolUnusable(f"The spool {self.folder} can't be used ({error}).") from error

    def close(self) -> None:
        """Sync, and note that nothing is missing; on a full disk the next start finds out by itself."""
        try:
            self.sync()
            self._save(clean=True)
        except OSError as error:
            self._report("spool state not saved", reason=error.strerror or str(error))
        for fd in (self._fd, self._read_fd):
            if fd >= 0:
                self._disk.close(fd)
        self._fd = self._read_fd = -1

    def remove(self) -> None:
        """Delete the spool and all that is in it."""
        for fd in (self._fd, self._read_fd):
            if fd >= 0:
                self._disk.close(fd)
        self._fd = self._read_fd = -1
        try:
            self._save(clean=True)
        except OSError:
            pass  # a full disk: there is nothing to lose any more
        # The state last: killed in between, the next start finds a spool that it can open, and its end.
        for name in sorted(self._disk.listdir(self.folder), key=lambda name: name == _STATE):
            self._disk.unlink(os.path.join(self.folder, name))
        self._disk.rmdir(self.folder)

    # -- in -------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Bytes taken in and not yet written."""
        return self.batch.queued

    def add(self, who: Hashable, text: Bytes, stamp: bytes = b"") -> None:
        """Queue `text` of `who`; `stamp` goes before each line that begins in it."""
        self.batch.add(who, text, stamp)

    def flush(self) -> bool:
        """Write all that is queued; False if there is no room now (`paused` says why)."""
        if self.paused:
            self._trim()
        try:
            self._write()
        except OSError as error:
            if not self.paused:
                self._paused_at = time.monotonic()
                self._report("paused", reason=error.strerror or str(error))
            self.paused = error.strerror or str(error)
            return False
        if self.paused:
            self.paused = ""
            self._report("resumed", paused_seconds=round(time.monotonic() - self._paused_at, 3))
        return True

    def sync(self) -> None:
        """Have all that was written so far on disk. Raises OSError."""
        if self.synced < self.end and self._fd >= 0:
            self._disk.fdatasync(self._fd)
            self.synced = self.end

    @property
    def unsynced(self) -> tuple[str, int] | None:
        """Return the file to sync elsewhere, and the `end` for `note_synced` then; None if all is on disk."""
        if self.synced < self.end and self._fd >= 0:
            return self._path(self._segments[-1][0]), self.end  # one that is full was synced when it was left
        return None

    def note_synced(self, end: int) -> None:
        """Take note that all before offset `end` is on disk."""
        self.synced = max(self.synced, end)

    def ack(self, offset: int) -> None:
        """Take note that all before `offset` is on the collector's disk; delete what only holds that."""
        if self.acked < offset <= self.end:
            reach(self._disk, "ack.before-take")
            self.acked = offset
            self._trim()
            reach(self._disk, "ack.after-take")

    # -- out ------------------------------------------------------------------------------------

    @property
    def start(self) -> int:
        """The offset of the oldest byte still here."""
        return self._segments[0][0] if self._segments else self.end

    def read(self, offset: int, most: int = CHUNK) -> bytes | Jump:
        """Return bytes from `offset` on, or the jump that begins there; empty at the end.

        A chunk ends in a newline where there is one, unless it ends where the spool does. Raises OSError.
        """
        segments = self._segments
        # The last one that begins at `offset` or before it: a spool may have thousands.
        at = bisect.bisect_right(segments, [offset, self.end + 1]) - 1
        if at >= 0 and offset < sum(segments[at]):
            start, length = segments[at]
            data = self._pread(start, offset - start, min(most, start + length - offset))
            if offset + len(data) < self.end:
                cut = data.rfind(b"\n") + 1
                data = data[:cut] if cut else data
            return data
        if at + 1 < len(segments):
            return Jump(offset, segments[at + 1][0])
        return Jump(offset, self.end) if offset < self.end else b""

    # -- inside ---------------------------------------------------------------------------------

    def _recover(self) -> Jump | None:
        path = os.path.join(self.folder, _STATE)
        self._segments = [[start, size] for start, size in self._found()]
        for one, other in zip(self._segments, self._segments[1:]):
            if sum(one) > other[0]:
                raise ValueError(f"two of its files hold offset {other[0]}")
        self.size = sum(length for _, length in self._segments)
        try:
            state = read_json(path, self._disk)
        except FileNotFoundError:
            if self._segments:
                raise ValueError("its state is missing") from None
            self.id = secrets.token_hex(8)
            self._save(clean=True)
            return None
        if state["version"] != VERSION:
            raise ValueError(f"it was written by another version of reclog ({state['version']})")
        if not isinstance(state["id"], str) or type(state["clean"]) is not bool:
            raise ValueError("its state makes no sense")
        self.id = state["id"]
        self._mark = _offset(state["mark"])
        # What is gone was acked, even if a full disk kept us from saving that.
        self.acked = max(_offset(state["acked"]), self._segments[0][0] if self._segments else 0)
        found = sum(self._segments[-1]) if self._segments else 0
        known = _offset(state["end"])
        same_boot = bool(state["boot"]) and state["boot"] == self._boot
        if state["clean"]:
            self.end = max(found, known)
        elif same_boot:
            self.end = max(found, known, self.acked)
        else:
            self.end = max(found, self._mark)
        if self.acked > self.end:  # what comes next would count as acked, and never be sent
            raise ValueError(f"its end is {self.end}, and {self.acked} is acked")
        if self._segments:  # the last process may have died before it synced what it wrote
            self._disk.sync(self._path(self._segments[-1][0]))
        self.synced = self.end
        jump = Jump(max(found, self.acked), self.end) if self.end > max(found, self.acked) else None
        for start, length in self._segments:
            if not length and start != self.end:  # made, and lost its bytes with the machine's power
                self._disk.unlink(self._path(start))
        self._segments = [one for one in self._segments if one[1] or one[0] == self.end]
        self._inside_line = bool(state["inside"]) if known == self.end else self.end > 0
        if found == self.end:
            self._inside_line = self._ends_inside_line()
        if jump is not None:
            self._inside_line = False  # the collector closes the line itself
        elif self._inside_line:
            self.batch.open_by = STRANGER
        self.crc_from = self.end
        try:
            self._save(clean=False)
            if jump is not None:
                self._open_segment(anew=True)  # its name tells the next start that this jump is known
        except OSError:
            self._mark = self.end  # a full disk: nothing is written before this is saved
        return jump

    def _found(self) -> list[tuple[int, int]]:
        disk = self._disk
        found = []
        for name in sorted(name for name in disk.listdir(self.folder) if name.endswith(".seg")):
            now = disk.stat(os.path.join(self.folder, name))
            if not stat.S_ISREG(now.st_mode):
                raise ValueError(f"{name!r} in it is no segment")
            start = start_of(name)
            _offset(start + now.st_size)
            found.append((start, now.st_size))
        return found

    def _ends_inside_line(self) -> bool:
        # The last one may be empty: made by a process that died before it deleted those before.
        for start, length in reversed(self._segments):
            if length:
                return start + length == self.end and self._pread(start, length - 1, 1) != b"\n"
        return self._inside_line

    def _save(self, clean: bool, mark: int | None = None) -> None:
        path = os.path.join(self.folder, _STATE)
        state = {
            "version": VERSION,
            "id": self.id,
            "mark": self._mark if mark is None else mark,
            "end": self.end,
            "acked": self.acked,
            "inside": self._inside_line,
            "clean": clean,
            "boot": self._boot,
        }
        write_json(path, state, sync=True, disk=self._disk)

    def _write(self) -> None:
        batch = self.batch
        while batch.queued:
            piece = batch.next(self._segment_size)
            if self.size + len(piece) > self.limit:
                raise OSError(errno.ENOSPC, f"spool full ({self.limit} bytes)")
            if self.end + len(piece) > self._mark:
                mark = self.end + len(piece) + RESERVE
                self._save(clean=False, mark=mark)
                self._mark = mark  # not before: a full disk must not let us write beyond what is reserved
            if self._fd < 0 or self._segments[-1][1] >= self._segment_size:
                self._open_segment()
            written = self._disk.write(self._fd, piece)
            self.crc = zlib.crc32(piece[:written], self.crc)
            self._inside_line = piece[written - 1] != 0x0A
            self._segments[-1][1] += written
            self.size += written
            self.end += written
            batch.written(written)

    def _path(self, start: int) -> str:
        return os.path.join(self.folder, name_of(start))

    def _open_segment(self, anew: bool = False) -> None:
        self._close_segment()
        last = self._segments[-1] if self._segments else None
        # After a restart the last one is gone on with, if it ends where the spool does.
        if anew or last is None or sum(last) != self.end or last[1] >= self._segment_size:
            last = [self.end, 0]
        self._fd = self._disk.open(self._path(last[0]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        if not self._segments or self._segments[-1] is not last:
            self._segments.append(last)
            self._disk.sync(self.folder)

    def _close_segment(self) -> None:
        if self._fd >= 0:
            self.sync()
            self._disk.close(self._fd)
            self._fd = -1

    def _trim(self) -> None:
        """Delete the segments that are acked; where room is short, also what is acked of the last one."""
        try:
            if (self.paused or self.size > self.limit // 2) and self._segments:
                start, length = self._segments[-1]
                if length and start + length == self.end <= self.acked:
                    self._close_segment()
                    self._open_segment(anew=True)
            if len(self._segments) > 1 and not self._segments[-1][1]:
                # Soon no byte tells any more whether the spool ends inside a line.
                try:
                    self._save(clean=False)
                except OSError:
                    pass  # the disk is full, and to delete makes room
            # Else nothing is saved: the names of those that stay tell what is gone, and that was acked.
            while len(self._segments) > 1 and sum(self._segments[0]) <= self.acked:
                self._delete_first()
        except OSError as error:
            self._report("spool not trimmed", reason=error.strerror or str(error))

    def _delete_first(self) -> None:
        start, length = self._segments[0]
        if start == self._read_start:
            self._disk.close(self._read_fd)
            self._read_fd, self._read_start = -1, -1
        self._disk.unlink(self._path(start))
        del self._segments[0]
        self.size -= length

    def _pread(self, start: int, position: int, count: int) -> bytes:
        if start != self._read_start:
            if self._read_fd >= 0:
                self._disk.close(self._read_fd)
                self._read_start = -1
            self._read_fd = self._disk.open(self._path(start), os.O_RDONLY)
            self._read_start = start
        return self._disk.pread(self._read_fd, count, position)


def _offset(value: object) -> int:
    """Return `value` if it can be an offset: those of all time to come still fit into 63 bits."""
    if type(value) is not int or not 0 <= value <= 1 << 62:
        raise ValueError(f"{value!r} is no offset"[:100])
    return value
