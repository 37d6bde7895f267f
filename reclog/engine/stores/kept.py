"""What becomes of the pieces of a recording: those that are too many go, the others are compressed if asked.

Rules kept here:

- Only a piece that the journal notes as one is touched: by then a checkpoint names the file behind it.
- What is let go of is noted first, so that nobody looks for it, then removed. Where that can't be noted, as
  the disk is full, it is removed first: that makes room.
- Bounds are looked at when a piece is made, when they change, and by the clock: a full disk, which lets
  nothing be written, holds up none of it.
- All that takes long is done in a thread of its own, which yields to everything else on the machine. (A child
  would cost 30 ms a piece to start, and be one more to reap; the loop was not slower beside a thread of
  nice 19, as zlib runs without the interpreter's lock.) The newest is compressed first: it stays longest.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import Any, Callable

from ..records.events import Say
from ..system.aside import Aside, AtOnce
from ..system.disk import DISK, Disk
from ..system.kernel import LINUX
from ..system.loop import Loop
from .packing import bytes_on_disk, compress, mend, remove
from .pieces import Journal, Piece
from .retention import Keeping

#: Seconds between two looks at the bounds, and after which what failed is tried again.
LOOK_EVERY = 10.0
#: What a disk says that is full: what needs room is tried again then.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Kept:
    """The pieces behind one recorded file."""

    def __init__(
        self,
        loop: Loop,
        folder: str,
        journal: Journal,
        say: Say,
        of_file: Callable[[], int],
        disk: Disk = DISK,
        clock: Callable[[], float] = time.time,
        aside: AtOnce | None = None,
    ) -> None:
        """`folder` is the recording's; `of_file` gives the bytes that its file is to have room for."""
        self._folder = folder
        self._journal = journal
        self._say = say
        self._of_file = of_file
        self._disk = disk
        self._clock = clock
        self._now = loop.now
        self._aside = aside or Aside(loop)
        self._timer = loop.timer(self.look)
        self._keeping = Keeping()
        # Let go of and perhaps there, and what each of the others takes, once that is known: by offset.
        self._going: list[Piece] = list(journal.listed.gone)
        self._sizes: dict[int, int] = {}
        # By offset: those that are compressed, or can't be.
        self._done: set[int] = set()
        self._given_up = threading.Event()
        self._closed = self._failing = self._mended = False
        self._removed = self._packed = 0

    def keep(self, keeping: Keeping) -> None:
        """Keep so much from now on."""
        self._keeping = keeping
        self.look()

    def look(self) -> None:
        """Have what is due done, as far as nothing else is being done."""
        if self._closed:
            return
        if self._keeping.bytes or self._keeping.seconds:
            self._timer.at(self._now() + LOOK_EVERY)
        over = self._over()
        if self._aside.busy:
            if over or self._going:
                self._given_up.set()
        elif over or self._going:
            self._let_go(over)
        elif not self._mended:
            self._mended = True
            self._mend()
        elif self._keeping.compress:
            self._pack()

    def close(self) -> None:
        """Leave off, with nothing unfinished and no more than is to be kept."""
        self._closed = True
        self._timer.off()
        self._given_up.set()
        self._aside.wait()
        over = self._over()
        if over or self._going:
            self._aside = AtOnce()
            self._let_go(over)

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        listed = self._journal.listed
        return {
            "pieces": len(listed.pieces),
            "pieces_bytes": listed.base - listed.pieces[0].begin if listed.pieces else 0,
            "pieces_removed": self._removed,
            "pieces_compressed": self._packed,
        }

    # -- what goes --------------------------------------------------------------------------------

    def _over(self) -> list[Piece]:
        """Return those that are too many: the oldest."""
        pieces, keeping = self._journal.listed.pieces, self._keeping
        number = max(0, len(pieces) - keeping.pieces) if keeping.pieces else 0
        if keeping.seconds:
            oldest = (self._clock() - keeping.seconds) * 1000
            number = max(number, sum(piece.ended < oldest for piece in pieces))
        if keeping.bytes:
            room = keeping.bytes - self._of_file()
            for at in range(len(pieces) - 1, number - 1, -1):
                room -= self._size(pieces[at])
                if room < 0:
                    return pieces[: at + 1]
        return pieces[:number]

    def _size(self, piece: Piece) -> int:
        if piece.begin not in self._sizes:
            self._sizes[piece.begin] = bytes_on_disk(
                self._journal.listed.file, self._folder, piece, self._disk
            )
        return self._sizes[piece.begin]

    def _let_go(self, over: list[Piece]) -> None:
        going = [*self._going, *over]
        self._note(over)
        file = self._journal.listed.file
        there: list[Piece] = []
        left: list[Piece] = []

        def work() -> None:
            failed: OSError | None = None
            for piece in going:
                try:
                    if remove(file, self._folder, piece, self._disk):
                        there.append(piece)
                except OSError as error:  # the others go all the same
                    left.append(piece)
                    failed = failed or error
            if failed is not None:
                raise failed

        def done(error: OSError | None) -> None:
            for piece in there:
                self._removed += 1
                self._say("piece removed", piece=piece.name, begin=piece.begin, bytes=piece.size)
            for piece in going:
                self._sizes.pop(piece.begin, None)
                self._done.discard(piece.begin)
            self._going = left
            self._after(error or self._note(over, True), "pieces not removed")

        self._start(work, done)

    def _note(self, over: list[Piece], removed: bool = False) -> OSError | None:
        """Have it noted that those are let go of, unless it is, or all `removed`; return what goes wrong."""
        try:
            if over and over[-1].end > self._journal.listed.held:
                self._journal.hold_from(over[-1].end)
            if removed:
                self._journal.removed()
        except OSError as error:
            return error
        return None

    # -- what stays -------------------------------------------------------------------------------

    def _mend(self) -> None:
        file, pieces = self._journal.listed.file, [*self._journal.listed.pieces]

        def work() -> None:
            for piece in pieces:
                mend(file, piece, self._disk)

        self._start(work, lambda error: self._after(error, "pieces not compressed"))

    def _pack(self) -> None:
        listed = self._journal.listed
        piece = next((one for one in reversed(listed.pieces) if one.begin not in self._done), None)
        if piece is None:
            return
        packed = False

        def work() -> None:
            nonlocal packed
            yield_to_all()
            packed = compress(listed.file, piece, self._disk, self._given_up.is_set)

        def done(error: OSError | None) -> None:
            self._sizes.pop(piece.begin, None)
            if error is None or error.errno not in (*NO_ROOM, errno.EINTR):
                self._done.add(piece.begin)
            if packed:
                self._packed += 1
                size = self._size(piece)
                self._say("piece compressed", piece=piece.name, bytes=piece.size, to_bytes=size)
            self._after(None if isinstance(error, InterruptedError) else error, "pieces not compressed")

        self._start(work, done)

    # -- beside the loop --------------------------------------------------------------------------

    def _start(self, work: Callable[[], None], done: Callable[[OSError | None], None]) -> None:
        self._given_up.clear()
        self._aside.start(work, done)

    def _after(self, error: OSError | None, what: str) -> None:
        """Go on with what is due next, or in a while."""
        if error is None:
            self._failing = False
            self.look()
        elif not self._closed:
            if not self._failing:
                self._say(what, reason=error.strerror or str(error))
            self._failing = True
            self._timer.at(self._now() + LOOK_EVERY)


def yield_to_all() -> None:
    """Have this thread run only where nothing else wants to: on Linux each has a nice value of its own."""
    if LINUX and threading.current_thread() is not threading.main_thread():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
