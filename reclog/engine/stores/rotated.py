"""The recorded file, set aside as a piece when that is due: what it held stays, and it goes on in a new one.

Rules kept here (each was paid for by an experiment):

- Cut after a write that leaves nothing queued. What the file holds is synced first, most of it beside the
  loop.
- Whoever keeps a checkpoint has one of the new file before anything is
  written to that, and only then is the piece noted as one: nothing else may become of it before.
- What fails is stated once and tried again; meanwhile the file goes on.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Hashable

from ..records.events import Say
from ..system.aside import Aside
from ..system.disk import DISK, Disk
from ..system.loop import Loop
from .cutting import Cutting
from .file import RecordedFile
from .index.writer import IndexWriter
from .kept import Kept
from .pieces import Journal, beside, is_made
from .rotation import NEVER, Plan, Rotating

#: Seconds between two looks at the clock at most, so that one that was set is noticed; and after which what
#: failed is tried again.
LOOK_EVERY, AGAIN = 60.0, 10.0


class RotatedFile(RecordedFile):
    """Append to one file, and cut it in time."""

    def __init__(
        self,
        loop: Loop,
        path: str,
        folder: str,
        say: Say,
        rotating: Rotating,
        disk: Disk = DISK,
        touched: Callable[[Hashable], None] = lambda goes_on: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`folder` is the recording's: it has index and journal. `clock` gives seconds of the epoch."""
        self.index = IndexWriter(loop, folder, say, disk)
        super().__init__(path, say, disk, touched, self.index)
        self.journal = Journal(folder, disk)
        self.kept = Kept(loop, folder, self.journal, say, self._takes, disk, clock)
        self._still = False
        self._cutting = Cutting(folder, self.journal, disk)
        self._rotating = rotating
        self._plan = Plan(rotating, 0.0)
        # Bytes from which on there may be something to do: all that a write costs where nothing is.
        self._least = NEVER
        self._clock = clock
        self._now = loop.now
        self._timer = loop.timer(self._look_at_clock)
        self._aside = Aside(loop)
        self._synced = False
        # Why it can't be cut; empty if it can.
        self._failing = ""

    def open(self) -> int:
        """Open the file, once what a kill has interrupted is mended. Raises FileUnusable, FileTaken."""
        try:
            self._mend()
        except OSError:
            pass  # before the next piece it is tried again
        fd = super().open()
        if self._regular and not self.size:
            self.batch.restart(self.journal.listed.inside)  # the last piece's end tells
        self._say_what_is_not_listed()
        self.kept.keep(self._rotating.keeping)
        return fd

    @property
    def base(self) -> int:
        """The recording offset of the file's first byte."""
        return self.journal.listed.base

    def rotate_as(self, rotating: Rotating) -> None:
        """Be cut so from now on."""
        self._rotating = rotating
        self._plan_anew()
        self.kept.keep(rotating.keeping)

    def hold_still(self, still: bool) -> None:
        """Stay as it is from now on, or no more: somebody compares it."""
        if self._still and not still and self.size >= self._least:
            self._timer.at(self._now())
        self._still = still

    def goes_on_from(self, path: str) -> bool:
        """Tell whether the file, in which nothing is yet, goes on where the one at `path` was cut."""
        pending, place = self.journal.listed.pending, self.journal.listed.file
        return pending is not None and path == beside(place, pending) and not self.size

    def close(self) -> None:
        """Let go of the file; what is still queued is given up."""
        self._still = True
        self._timer.off()
        self._aside.wait()
        self.kept.close()
        super().close()

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it, and of its pieces."""
        return {
            **super().facts(),
            **self.kept.facts(),
            "rotates_at": self._plan.until or None,
            "rotates_at_bytes": self._rotating.bytes or None,
            "not_rotated": self._failing,
        }

    def _takes(self) -> int:
        """Return the bytes that file and index are to have room for, and what is being compressed."""
        times = 2 if self._rotating.keeping.compress else 1
        return max(self.size, self._rotating.bytes * times) + self.index.size()

    def _say_what_is_not_listed(self) -> None:
        """Have it stated once what no --keep counts: it would grow in silence where the journal is lost."""
        try:
            names = self._cutting.not_listed(os.path.realpath(self.path))
        except OSError:
            return  # a folder that we may use, and not read
        if names:
            self._say("pieces not listed", pieces=len(names), first=names[0], last=names[-1])

    # -- when -----------------------------------------------------------------------------------

    def _write(self) -> None:
        super()._write()
        if self.size >= self._least:
            self._consider()

    def _take_up(self, fd: int) -> None:
        super()._take_up(fd)
        self._plan_anew()

    def _plan_anew(self) -> None:
        now, written = self._clock(), self._disk.fstat(self.fd).st_mtime
        self._plan = Plan(self._rotating, min(written, now) if self.size else now)
        self._synced = False
        self._set(now)
        if self.size >= self._least:
            self._timer.at(self._now())

    def _set(self, now: float) -> None:
        self._plan.look(self.size, now)
        self._least = self._plan.least(now) if self._regular else NEVER
        self._timer.off()
        if self._plan.until:
            wait = self._plan.until - now
            self._timer.at(self._now() + (wait if 0 < wait < LOOK_EVERY else LOOK_EVERY))

    def _look_at_clock(self) -> None:
        self._set(self._clock())
        if self.size >= self._least:
            self._consider()

    def _consider(self) -> None:
        """Cut the file if it is to be cut, and can be."""
        now, batch = self._clock(), self.batch
        if self._still or batch.queued or self._aside.busy:
            return
        if not self._plan.is_due(self.size, now, batch.open_by is not None):
            return
        if not self._synced:
            fd = self.fd
            self._aside.start(lambda: self._disk.fdatasync(fd), self._synced_aside)
            return
        try:
            self._cut(now)
            self._failing = ""
        except OSError as error:
            self._failed(error)

    def _synced_aside(self, error: OSError | None) -> None:
        self._synced = error is None
        if error is None:
            self._consider()
        else:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if not self._failing:
            self._say("not rotated", reason=reason)
        self._failing = reason
        self._synced = False
        self._least = NEVER
        self._timer.at(self._now() + AGAIN)

    # -- how ------------------------------------------------------------------------------------

    def _cut(self, now: float) -> None:
        """Set the file aside and go on in a new one. Raises OSError; then it goes on as it is by now."""
        self._mend()
        self._tell()
        if self.journal.listed.pending is not None:
            self.journal.made()
        self.index.flush()  # a kill meanwhile is to leave nothing of it unknown
        path, old, inode = os.path.realpath(self.path), self.fd, self._file[1]
        piece = self._cutting.next(path, self.size, inode, now)
        self.journal.begin(piece, path, self.batch.open_by is not None)
        try:
            fd = self._cutting.cut(path, piece, old)
        except OSError:
            self._mend()
            raise
        self.index.close(pack=True)
        self._cutting.set_index_aside(piece)
        self._say("rotated", piece=piece.name, bytes=piece.size, begin=piece.begin)
        goes_on = self.batch.open_by
        self._take_up(fd)
        self.batch.open_by = goes_on  # a line that had to be cut goes on
        try:
            self._disk.close(old)
        except OSError:
            pass  # it was synced
        try:
            self._disk.sync(os.path.dirname(path))
            self.named = True
        except OSError:
            pass  # whoever needs it there syncs it
        self.touch(goes_on)
        try:
            self._tell()
        except OSError:
            pass  # it is tried again before anything is written

    def _mend(self) -> None:
        if self._cutting.mend():
            self.touch(self.batch.open_by)

    def _tell(self) -> None:
        super()._tell()
        if is_made(self.journal.listed, self._disk):
            try:
                self.journal.made()
                self.kept.look()
            except OSError:
                pass  # before the next piece it is tried again
