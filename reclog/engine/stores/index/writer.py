"""Write down what came when and from whom, behind the file that it is about.

Rules kept here:

- The file comes first: what is told here stands in it already, and nothing that goes wrong here stops that.
  Then what came meanwhile is unknown; it is stated once, and tried again.
- What was told is written `WITHIN` seconds later, as a small block of the latest; once these are many they
  are packed together. A kill leaves unknown what was not written yet.
- Where somebody has cut or changed the file, only blocks count whose text is still there (`witness`).
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Optional, Tuple, cast

from ...intake.noted import Notes, Who
from ...records.events import Say
from ...system.disk import DISK, Disk
from ...system.loop import Loop
from .files import (
    BLOCKS,
    HEADS,
    LATEST,
    NAMES,
    PLACED_SIZE,
    WHOSE_SIZE,
    heads_in,
    is_there,
    path_of,
    placed,
    whose,
    witness,
)
from .format import HEADER_SIZE, LAST_MS, Head, Runs, blocks_in, called, number_each

#: Seconds after which what was told is written; and after which what failed is tried again.
WITHIN, AGAIN = 0.05, 1.0
#: Runs that are packed together, or bytes of the latest (there are few runs in each where little comes).
PACKED, LATEST_MOST = 20_000, 256 * 1024
#: Runs that are worth a block at once: they would be written twice.
MANY = 2000
#: Notes that wait, at most.
WAITING = 8192


class IndexWriter:
    """The index of one recorded file, whichever that is by now."""

    def __init__(self, loop: Loop, folder: str, say: Say, disk: Disk = DISK) -> None:
        """`folder` is the recording's."""
        self._now = loop.now
        self._timer = loop.timer(self.flush)
        self._folder = folder
        self._say = say
        self._disk = disk
        # The recorded file: its descriptor, and how our files begin that are about it.
        self._fd = -1
        self._whose = b""
        # Of each of our files, by its name: its descriptor, and its size. None is open where that failed.
        self._fds: Dict[str, int] = {}
        self._sizes: Dict[str, int] = {}
        # The latest runs, as they will be packed: the index goes on behind them.
        self._open = Runs(0)
        # The head of the last block.
        self._last: Optional[Head] = None
        # What was told, and is not written: where it begins and ends in the file, and who said it.
        self._begin = self._end = 0
        self._told = Notes()
        self._failed_at = 0.0

    @property
    def end(self) -> int:
        """The offset in the file behind all that is written down."""
        return self._open.last

    def size(self) -> int:
        """Return the bytes of all that it has written of this file."""
        return sum(self._sizes.values())

    def take_up(self, fd: int) -> None:
        """Be the index of that open file from now on, as far as it is one of its text."""
        self._told = Notes()
        self._fd = fd
        self._attempt(self._take_up)

    def touched(self) -> None:
        """Take note that somebody else has changed the file: what is not there any more is not known."""
        size = self._disk.fstat(self._fd).st_size
        if self._end > size:
            self._told = Notes()
        if self._last is not None and not is_there(self._last, self._fd, self._disk):
            self._attempt(self._take_up)

    def tell(self, begin: int, end: int, notes: Notes) -> None:
        """Take note of who said what was written into the file from `begin` to `end`."""
        if begin != self._end:
            self.flush()
        if self._told.sizes:
            self._told.join(notes)
        else:
            self._begin, self._told = begin, notes
            self._timer.at(self._now() + WITHIN)
        self._end = end
        if len(self._told.sizes) >= WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what was told; what can't be written is unknown."""
        told, self._told = self._told, Notes()
        self._timer.off()
        if told.sizes and not self._fds and self._now() - self._failed_at >= AGAIN:
            self._attempt(self._take_up)
        if told.sizes and self._fds:
            self._attempt(lambda: self._write(told))

    def close(self, pack: bool = False) -> None:
        """Write what was told, in blocks with `pack`, as nothing more will be; let go of the files."""
        self.flush()
        if pack and self._fds and len(self._open):
            self._attempt(self._pack)
        self._close()

    # -- inside ---------------------------------------------------------------------------------

    def _attempt(self, what: Callable[[], None]) -> None:
        """Do something; if it fails, the index is taken up again later, as far as it is written."""
        try:
            what()
        except OSError as error:
            self._close()
            if not self._failed_at:
                self._say("index not written", reason=error.strerror or str(error))
            self._failed_at = self._now()
        else:
            if self._failed_at:
                self._say("index written again")
            self._failed_at = 0.0

    def _close(self) -> None:
        for fd in self._fds.values():
            try:
                self._disk.close(fd)
            except OSError:
                pass
        self._fds = {}

    def _write(self, told: Notes) -> None:
        begin = self._begin
        if begin < self._open.last:  # the file was cut before this was written
            self._take_up()
            if begin < self._open.last:
                self._begin_anew()
        latest = Runs(begin)
        add_notes(latest, self._end - begin, told)
        self._keep(latest)
        if len(latest) >= MANY or len(self._open) >= PACKED or self._sizes[LATEST] >= LATEST_MOST:
            self._pack()
            return
        block = latest.pack(0, witness(self._fd, latest.last, self._disk))
        self._last = Head.at(block)
        self._append(LATEST, block)

    def _keep(self, latest: Runs) -> None:
        if len(self._open):
            self._open.extend(latest)
        else:
            self._open = latest

    def _pack(self) -> None:
        """Put the latest runs into one block."""
        block = self._open.pack(1, witness(self._fd, self._open.last, self._disk))
        self._last = Head.at(block)
        position = self._sizes[BLOCKS]
        self._append(BLOCKS, block)
        self._append(HEADS, placed(block[:HEADER_SIZE], position))
        self._open = Runs(self._open.last)
        self._cut(LATEST, WHOSE_SIZE)

    def _append(self, name: str, data: bytes) -> None:
        self._disk.write_all(self._fds[name], data)
        self._sizes[name] += len(data)

    def _cut(self, name: str, size: int) -> None:
        if size < self._sizes[name]:
            self._disk.truncate(self._fds[name], size)
            self._sizes[name] = size

    # -- taken up -------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on behind what there is of this file's text; begin anew if there is nothing."""
        self._close()
        self._whose = whose(self._disk.fstat(self._fd).st_ino)
        try:
            for name in NAMES:
                path = path_of(self._folder, name)
                self._fds[name] = self._disk.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            self._begin_anew()
            return
        self._sizes = {name: self._disk.fstat(fd).st_size for name, fd in self._fds.items()}
        if not all(self._read(name, WHOSE_SIZE) == self._whose for name in NAMES):
            self._begin_anew()
            return
        blocks = self._blocks()
        latest = self._latest(blocks[-1][0].last if blocks else 0)
        while latest and not is_there(latest[-1][0], self._fd, self._disk):
            latest.pop()
        while not latest and blocks and not is_there(blocks[-1][0], self._fd, self._disk):
            blocks.pop()
        self._cut(LATEST, latest[-1][1] if latest else WHOSE_SIZE)
        self._cut(HEADS, WHOSE_SIZE + len(blocks) * PLACED_SIZE)
        self._cut(BLOCKS, blocks[-1][1] if blocks else WHOSE_SIZE)
        self._open = Runs(blocks[-1][0].last if blocks else 0)
        self._last = latest[-1][0] if latest else blocks[-1][0] if blocks else None
        for _, _, runs in latest:
            self._keep(runs)

    def _blocks(self) -> List[Tuple[Head, int]]:
        """Return the heads of the blocks there are, and where in their file each ends."""
        found = heads_in(self._read(HEADS, self._sizes[HEADS])[WHOSE_SIZE:])
        ends = ((head, position + head.size) for head, position in found)
        return [(head, end) for head, end in ends if end <= self._sizes[BLOCKS]]

    def _latest(self, begin: int) -> List[Tuple[Head, int, Runs]]:
        """Return the small blocks about what stands behind `begin`, where each ends, and their runs."""
        found = []
        at = WHOSE_SIZE
        for head, block in blocks_in(self._read(LATEST, self._sizes[LATEST])[WHOSE_SIZE:]):
            at += head.size
            if head.first >= begin:
                try:
                    found.append((head, at, Runs.of(block)))
                except ValueError:
                    break
                begin = head.last
        return found

    def _begin_anew(self) -> None:
        self._close()
        self._open, self._last = Runs(0), None
        for name in NAMES:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
            self._fds[name] = self._disk.open(path_of(self._folder, name), flags)
            self._sizes[name] = 0
            self._append(name, self._whose)

    def _read(self, name: str, size: int) -> bytes:
        return self._disk.pread(self._fds[name], size, 0)


def add_notes(runs: Runs, size: int, notes: Notes) -> None:
    """Add who said the next `size` bytes."""
    if all(ms is not None and 0 <= ms <= LAST_MS for ms in set(notes.times)):
        numbers: Dict[Who, int] = {}
        number_each(notes.whos, runs.names, numbers)
        times = cast(List[int], notes.times)
        runs.add_all(size, map(numbers.__getitem__, notes.whos), times, notes.sizes)
    else:
        for one, ms, who in zip(notes.sizes, notes.times, notes.whos):
            runs.add(one, ms, called(who))
