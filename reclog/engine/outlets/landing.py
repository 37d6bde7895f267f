"""Where the feed lands: its bytes into the file, and what is known to be there.

Rules kept here:

- Written, synced, checkpoint saved: in this order, and only then may the offset be acked.
- While this process lives it knows what it wrote; a new one finds out by its checkpoint (see comparer).
- Whatever somebody does to the file, each byte of the feed is written once.
- The index is told who said what, also of what the file was found to hold. It is written before a checkpoint:
  what that covers does not come again.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Hashable, List

from ..errors import FileUnusable
from ..feed.protocol import FeedError
from ..records.events import Say
from ..records.jsonfile import read_json, write_json
from ..records.names import CHECKPOINT
from ..stores.index.format import Run
from ..stores.index.packet import notes_of
from ..stores.rotated import RotatedFile
from ..stores.rotation import NOT_AT_ALL, Rotating
from ..system.disk import DISK, Disk
from ..system.loop import Loop
from .arrivals import Arrivals
from .checkpoint import Checkpoint
from .comparer import Comparer
from .outlet import Settling


class Landing:
    """One file that is given the bytes of a spool, in order, from an offset on: an `Outlet`."""

    def __init__(
        self,
        loop: Loop,
        path: str,
        folder: str,
        say: Say,
        disk: Disk = DISK,
        rotating: Rotating = NOT_AT_ALL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Checkpoint and index are kept in `folder`; `say` is told what happens to `path`."""
        self.path = path
        self.file = RotatedFile(loop, path, folder, say, rotating, disk, self._touched, clock)
        self._index = self.file.index
        self.spool = ""
        self.offset = 0
        self.settled = 0
        self.anchored = False
        # Counts what makes a settling that was begun before it worthless: checkpoints, another file.
        self._generation = 0
        self._disk = disk
        self._checkpoint_path = os.path.join(folder, CHECKPOINT)
        self._say = say
        # Who the texts of the feed are by: another after each jump, so that no line is joined over it.
        self._who = 0
        self._comparer: Comparer | None = None
        self._compared_fd = -1
        # Who said what comes; and what was compared, and may not be what the file holds.
        self._arrivals = Arrivals()
        self._undecided: list[Run] = []

    @property
    def queued(self) -> int:
        """Bytes taken that are not in the file."""
        return self.file.queued

    @property
    def paused(self) -> str:
        """Why nothing can be written now; empty while it can."""
        return self.file.paused

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        return self.file.facts()

    def flush(self) -> bool:
        """Write all that was taken; False if that isn't possible now."""
        return self.file.flush()

    def open(self) -> None:
        """Open the file and find where to go on. Raises FileUnusable, FileTaken."""
        self.file.open()
        try:
            self._read_checkpoint()
        except OSError as error:
            raise FileUnusable(f"{self.file.path} can't be read ({error.strerror}).") from error

    def rotate_as(self, rotating: Rotating) -> None:
        """Have the file cut so from now on."""
        self.file.rotate_as(rotating)

    def close(self) -> None:
        """Let go of the file."""
        self._end_comparing()
        self.file.close()

    def begin(self, spool: str, offset: int) -> bool:
        """Take note from where a relay sends; True if it is not what was asked for."""
        self._arrivals.forget()
        if (spool, offset) == (self.spool, self.offset):
            return False
        self._write_all_taken()
        self._end_comparing()
        self._generation += 1
        self.spool = spool
        self.offset = self.settled = offset
        self.anchored = False
        self._who += 1
        return True

    def hear(self, offset: int, packet: bytes) -> None:
        """Take what the relay says of who said the bytes from `offset` on, and when. Raises FeedError."""
        self._arrivals.hear(offset, packet)

    def know(self, runs: List[Run]) -> None:
        """Take note who said the bytes that are taken next, and when."""
        self._arrivals.add(runs)

    def take(self, offset: int, data: bytes) -> None:
        """Take the spool's bytes at `offset`. Raises FeedError if others were due."""
        if offset != self.offset:
            raise FeedError(f"the feed jumped to {offset}, {self.offset} was due")
        self.offset += len(data)
        runs = self._arrivals.about(offset, self.offset)
        if self._comparer is not None:
            self._undecided += runs
            try:
                found = self._comparer.feed(data)
            except OSError as error:  # nobody can tell what is there: a new process is to find out
                raise FileUnusable(f"{self.file.path} can't be read ({error.strerror}).") from error
            comparer, other = self._comparer, not self._comparing_own()
            if found is None:
                self._is_there(self.offset - comparer.undecided, comparer.matched)
                return
            data, goes_on = found
            self._is_there(self.offset - len(data), comparer.compared if goes_on else comparer.matched)
            runs = self._undecided
            self._end_comparing()
            if goes_on:
                self.file.go_on(self._who)
            if other or (not goes_on and comparer.matched != self.file.size):
                # Ours does not go on right behind what the checkpoint covers. Killed before the next one, we
                # would not find it again, and write all twice: so one is saved before anything is written.
                self._generation += 1
                self.file.touch(self._who if goes_on else None)
                if not other:
                    there = self.file.size - comparer.matched
                    self._say("file changed", how="added to while nobody recorded", bytes=there)
        self.file.batch.add(self._who, data)
        said = notes_of(runs, self.offset - len(data))
        self.file.batch.note_each(said.sizes, said.times, said.whos)
        if self.file.queued >= self.file.FLUSH_AT:
            self.file.flush()

    def jump(self, offset: int) -> None:
        """Take note that the spool has nothing before `offset`. Raises FeedError if that was taken."""
        if offset <= self.offset:
            raise FeedError(f"the feed jumped back to {offset} from {self.offset}")
        self._write_all_taken()
        if self._comparer is not None:
            self._is_there(self.offset, self._comparer.compared)
            self._comparer.break_line()
        self._generation += 1
        self.offset = offset
        self._who += 1  # what follows begins on a line of its own

    def settle(self) -> Settling | None:
        """Begin to settle what was taken; None if nothing can be settled now. Raises OSError."""
        if not self.spool or not self.file.flush():
            return None
        comparer = self._comparer
        if comparer is not None and comparer.compared == self.file.size and self._comparing_own():
            # All that the file holds is ours. A half line at its end is settled, too: else a stop that finds
            # one waits for ever for the ack of it.
            self._is_there(self.offset, comparer.compared)
            self._end_comparing()
            if comparer.inside or comparer.undecided:
                self.file.go_on(self._who)
        return self._settling(self.file.batch.open_by == self._who)

    # -- inside ---------------------------------------------------------------------------------

    def _touched(self, goes_on: Hashable) -> None:
        # Not as we left it: what we wrote so far is behind us, wherever it is now.
        self._generation += 1
        if self.spool and self._comparer is None:
            settling = self._settling(inside=goes_on == self._who)
            settling.sync()
            settling.end()

    def _write_all_taken(self) -> None:
        # What is not written must be right before `offset`, or a checkpoint could not say where it begins.
        if not self.file.flush():
            raise FeedError(f"what came before can't be written now ({self.file.paused})")

    def _settling(self, inside: bool) -> Settling:
        """Begin with what the file holds; `inside` tells whether that ends in a half line of the spool's."""
        file, comparer = self.file, self._comparer
        fd, size, offset = file.fd, file.size, self.offset - file.batch.unwritten
        compared = fd
        if comparer is not None:
            # Still comparing: the file holds the spool up to the last whole line that was equal.
            compared, size, inside = self._compared_fd, comparer.matched, comparer.inside
            offset = self.offset - comparer.undecided
        checkpoint = Checkpoint.of(compared, size, self.spool, offset, inside, self._disk)
        generation, named = self._generation, file.named

        def end() -> bool:
            if generation != self._generation:
                return False
            file.named = True
            self._generation += 1
            self._index.flush()
            write_json(self._checkpoint_path, checkpoint._asdict(), sync=True, disk=self._disk)
            self.anchored = True
            self.settled = offset
            return True

        return Settling(lambda: file.sync(fd, named), end)

    def _read_checkpoint(self) -> None:
        try:
            saved = Checkpoint.from_json(read_json(self._checkpoint_path, self._disk))
        except FileNotFoundError:
            return
        except OSError as error:  # whoever went on without it would write twice what it covers
            raise FileUnusable(f"{self._checkpoint_path} can't be read ({error.strerror}).") from error
        except ValueError as error:
            self._say("checkpoint lost", reason=str(error))
            return
        self.spool, self.offset, self.settled = saved.spool, saved.offset, saved.offset
        self.anchored = True
        own = os.path.realpath(self.file.path)  # what is renamed, or cut, is beside that
        path = saved.find(own, self._disk)
        if not path:
            self._say("file changed", how="truncated or replaced while nobody recorded", offset=saved.offset)
            return
        goes_on = self.file.goes_on_from(path)
        same = path == own or goes_on
        if not same:
            self._say("file changed", how="renamed while nobody recorded", now=path)
        fd = self._compared_fd = self._disk.open(path, os.O_RDONLY)
        self._disk.fdatasync(fd)  # whoever wrote it may have been killed before it synced
        self._comparer = Comparer(
            lambda position, count: self._disk.pread(fd, count, position), saved.size, same, saved.inside
        )
        self.file.hold_still(True)

    def _comparing_own(self) -> bool:
        """Tell whether the file compared is the one that is appended to."""
        this, that = self._disk.fstat(self._compared_fd), self._disk.fstat(self.file.fd)
        return (this.st_dev, this.st_ino) == (that.st_dev, that.st_ino)

    def _is_there(self, offset: int, position: int) -> None:
        """Tell the index who said what the file holds, before `position`, of the spool before `offset`."""
        undecided, there = self._undecided, position - offset
        self._undecided = [
            run._replace(begin=max(run.begin, offset)) for run in undecided if run.end > offset
        ]
        # What a killed process had told it already is in it.
        begin = max(self._index.end - there, undecided[0].begin) if undecided else offset
        if begin < offset and self._comparing_own():
            decided = (run._replace(end=min(run.end, offset)) for run in undecided if run.begin < offset)
            self._index.tell(begin + there, position, notes_of(decided, begin))

    def _end_comparing(self) -> None:
        self._comparer = None
        self._undecided = []
        self.file.hold_still(False)
        if self._compared_fd >= 0:
            self._disk.close(self._compared_fd)
            self._compared_fd = -1
