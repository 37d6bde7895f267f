"""Where the feed lands: its bytes into the file, and what is known to be there.

Rules kept here:

- Written, synced, checkpoint saved: in this order, and only then may the offset be acked.
- While this process lives it knows what it wrote; a new one finds out by its checkpoint (see resume).
- Whatever somebody does to the file, each byte of the feed is written once.
"""

from __future__ import annotations

import os
from typing import Callable, NamedTuple

from ..errors import FileUnusable
from ..feed.protocol import FeedError
from ..records.jsonfile import read_json, write_json
from ..stores.file import Sink
from ..system.disk import DISK, Disk
from .checkpoint import Checkpoint, Comparer

Report = Callable[..., None]


class Settling(NamedTuple):
    """What will be settled once `fd` is synced."""

    fd: int
    checkpoint: Checkpoint
    #: What `Landing` counted at that time.
    number: int


class Landing:
    """One file that is given the bytes of a spool, in order, from an offset on."""

    def __init__(self, path: str, checkpoint: str, say: Report, disk: Disk = DISK) -> None:
        """`checkpoint` is the path of the checkpoint's file; `say` is told what happens to `path`."""
        self.sink = Sink(path, say, disk)
        self.sink.before_leaving = self._leaving
        self.sink.on_touched = self._checkpoint_in_passing
        #: The spool's id; empty until one is known.
        self.spool = ""
        #: The offset of the next byte that is to land.
        self.position = 0
        #: Up to here all is on disk, and a checkpoint says so.
        self.settled = 0
        #: Whether a checkpoint on disk is about this spool: before that, nothing may be taken, or a new
        #: process would not know what it has of it.
        self.anchored = False
        # Counts what makes a settling that was begun before it worthless: checkpoints, another file.
        self._number = 0
        self._disk = disk
        self._path = checkpoint
        self._say = say
        # Who the texts of the feed are by: another after each jump, so that no line is joined over it.
        self._who = 0
        self._comparer: Comparer | None = None
        self._compared_fd = -1

    def open(self) -> None:
        """Open the file and find where to go on. Raises FileUnusable, FileTaken."""
        self.sink.open()
        try:
            self._read_checkpoint()
        except OSError as error:
            raise FileUnusable(f"{self.sink.path} can't be read ({error.strerror}).") from error

    def close(self) -> None:
        """Let go of the file."""
        self._end_comparing()
        self.sink.close()

    def begin(self, spool: str, offset: int) -> bool:
        """Take note from where a relay sends; True if it is not what was asked for."""
        if (spool, offset) == (self.spool, self.position):
            return False
        self._write_all_taken()
        self._end_comparing()
        self._number += 1
        self.spool = spool
        self.position = self.settled = offset
        self.anchored = False
        self._who += 1
        return True

    def take(self, offset: int, data: bytes) -> None:
        """Take the spool's bytes at `offset`. Raises FeedError if others were due."""
        if offset != self.position:
            raise FeedError(f"the feed jumped to {offset}, {self.position} was due")
        self.position += len(data)
        if self._comparer is not None:
            try:
                found = self._comparer.feed(data)
            except OSError as error:  # nobody can tell what is there: a new process is to find out
                raise FileUnusable(f"{self.sink.path} can't be read ({error.strerror}).") from error
            if found is None:
                return
            data, goes_on = found
            comparer, other = self._comparer, not self._comparing_own()
            self._end_comparing()
            if goes_on:
                self.sink.go_on(self._who)
            elif other or comparer.matched != self.sink.size:
                # Ours does not go on right behind what the checkpoint covers. Killed before the next one, we
                # would not find it again, and write all twice: so one is saved before anything is written.
                self.sink.touch()
                if not other:
                    there = self.sink.size - comparer.matched
                    self._say("file changed", how="added to while nobody recorded", bytes=there)
        self.sink.add(self._who, data)
        if self.sink.queued >= self.sink.FLUSH_AT:
            self.sink.flush()

    def jump(self, offset: int) -> None:
        """Take note that the spool has nothing before `offset`. Raises FeedError if that was taken."""
        if offset <= self.position:
            raise FeedError(f"the feed jumped back to {offset} from {self.position}")
        self._write_all_taken()
        if self._comparer is not None:
            self._comparer.break_line()
        self._number += 1
        self.position = offset
        self._who += 1  # what follows begins on a line of its own

    def settle(self) -> bool:
        """Sync the file and save the checkpoint, up to `settled`; False if nothing can be. Raises OSError."""
        if not self.spool or not self.sink.flush():
            return False
        comparer = self._comparer
        if comparer is not None and comparer.position == self.sink.size and self._comparing_own():
            # All that the file holds is ours. A half line at its end is settled, too: else a stop that finds
            # one waits for ever for the ack of it.
            self._end_comparing()
            if comparer.inside or comparer.held:
                self.sink.go_on(self._who)
        self.sink.sync()
        self.settled = self._save_checkpoint()
        return True

    def begin_settling(self) -> Settling | None:
        """Return what a sync of its `fd`, done elsewhere, will settle; None if `settle` must do it.

        Meanwhile more may be taken and written. Raises OSError.
        """
        if not self.spool or self._comparer is not None or not self.sink.named or not self.sink.flush():
            return None
        sink = self.sink
        inside = sink.is_open_by(self._who)
        checkpoint = self._checkpoint_of(sink.fd, sink.size, self.position, inside)
        return Settling(sink.fd, checkpoint, self._number)

    def end_settling(self, settling: Settling) -> bool:
        """Save the checkpoint of what is synced now; False if it is worth nothing any more.

        Raises OSError.
        """
        if settling.number != self._number or self.sink.touched:
            return False
        self._save(settling.checkpoint)
        self.settled = settling.checkpoint.offset
        return True

    # -- inside ---------------------------------------------------------------------------------

    def _leaving(self, fd: int) -> None:
        self._number += 1
        self._disk.fdatasync(fd)

    def _write_all_taken(self) -> None:
        # What is not written must be right before `position`, or a checkpoint could not say where it begins.
        if not self.sink.flush():
            raise FeedError(f"what came before can't be written now ({self.sink.paused})")

    def _save_checkpoint(self, touched: bool = False) -> int:
        """Save what the file holds; return the offset up to which it holds the spool. Raises OSError."""
        comparer = self._comparer
        if comparer is not None:
            # Still comparing: the file holds the spool up to the last whole line that was equal.
            offset = self.position - comparer.held
            self._save(self._checkpoint_of(self._compared_fd, comparer.matched, offset, comparer.inside))
        else:
            offset = self.position - self.sink.unwritten
            inside = not touched and self.sink.is_open_by(self._who)
            self._save(self._checkpoint_of(self.sink.fd, self.sink.size, offset, inside))
        return offset

    def _checkpoint_of(self, fd: int, size: int, offset: int, inside: bool) -> Checkpoint:
        return Checkpoint.of(fd, size, self.spool, offset, inside, self._disk)

    def _save(self, checkpoint: Checkpoint) -> None:
        self._number += 1
        write_json(self._path, checkpoint._asdict(), sync=True, disk=self._disk)
        self.anchored = True

    def _checkpoint_in_passing(self) -> None:
        # Somebody touched the file: what we wrote so far is behind us, wherever it is now.
        if self.spool and self._comparer is None:
            self.sink.sync()
            self._save_checkpoint(touched=True)

    def _read_checkpoint(self) -> None:
        try:
            saved = Checkpoint.from_json(read_json(self._path, self._disk))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._say("checkpoint lost", reason=str(error))
            return
        self.spool, self.position, self.settled = saved.spool, saved.offset, saved.offset
        self.anchored = True
        path = saved.find(self.sink.path, self._disk)
        if not path:
            self._say("file changed", how="truncated or replaced while nobody recorded", offset=saved.offset)
            return
        same = path == self.sink.path
        if not same:
            self._say("file changed", how="renamed while nobody recorded", now=path)
        fd = self._compared_fd = self._disk.open(path, os.O_RDONLY)
        self._disk.fdatasync(fd)  # whoever wrote it may have been killed before it synced
        self._comparer = Comparer(self._reader(fd), saved.size, same, saved.inside)

    def _reader(self, fd: int) -> Callable[[int, int], bytes]:
        return lambda position, count: self._disk.pread(fd, count, position)

    def _comparing_own(self) -> bool:
        """Tell whether the file compared is the one that is appended to."""
        return _same(self._disk, self._compared_fd, self.sink.fd)

    def _end_comparing(self) -> None:
        self._comparer = None
        if self._compared_fd >= 0:
            self._disk.close(self._compared_fd)
            self._compared_fd = -1


def _same(disk: Disk, one: int, other: int) -> bool:
    this, that = disk.fstat(one), disk.fstat(other)
    return (this.st_dev, this.st_ino) == (that.st_dev, that.st_ino)
