"""Who said what when, as an index tells: read only, while it is written or after.

Rules kept here:

- The file is right, the index is asked. What that tells of another file, of text that is not there any more,
  or with a byte that is not as it was written, is unknown. Nothing that it holds is an error.
- Runs may be had that are written at the same moment: the latest are read before the heads of the blocks, so
  that what goes from there to here meanwhile is in both, and told once.
- Memory is flat: heads (50 bytes each), a few blocks, and the latest runs.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from itertools import accumulate, chain
from typing import Dict, Iterator, List, NamedTuple, Optional

from ...system.disk import DISK, Disk
from .files import BLOCKS, HEADS, LATEST, PLACED_SIZE, WHOSE_SIZE, heads_in, is_there, path_of, whose
from .format import HEADER_SIZE, NOTHING, Head, Run, Runs, blocks_in, names_of

__all__ = ["IndexReader", "Run"]

#: Blocks that are kept unpacked: some 500 KB each.
KEPT = 8
#: Addresses that are told apart, of those that said most.
MOST_SENDERS = 4096


class _Found(NamedTuple):
    """A block's runs, and where each ends."""

    runs: Runs
    ends: List[int]


class _Latest:
    """One of the latest blocks, and what it holds once that was asked for."""

    __slots__ = ("block", "found", "head", "looked")

    def __init__(self, head: Head, block: bytes) -> None:
        self.head = head
        self.block = block
        self.found: Optional[_Found] = None
        self.looked = False


class _Blocks:
    """Where the blocks are: of each its offsets, the latest time in it and before, its place and size."""

    def __init__(self) -> None:
        self.firsts, self.lasts, self.largest = array("Q"), array("Q"), array("Q")
        self.positions, self.sizes, self.names = array("Q"), array("I"), array("I")

    def __len__(self) -> int:
        return len(self.lasts)

    @property
    def end(self) -> int:
        return self.lasts[-1] if self.lasts else 0

    def add(self, head: Head, position: int) -> None:
        self.firsts.append(head.first)
        self.lasts.append(head.last)
        self.largest.append(max(head.largest_ms, self.largest[-1] if self.largest else 0))
        self.positions.append(position)
        self.sizes.append(head.size)
        self.names.append(head.names)


class IndexReader:
    """The index of one recorded file."""

    def __init__(
        self, folder: str, file: str, disk: Disk = DISK, inode: int = 0, size: int | None = None
    ) -> None:
        """`folder` is the recording's; if there is no index of `file`, all is unknown.

        With `inode` it is that of the file which had that. With `size` the file had so many bytes, is not
        changed any more, and not looked at: it may be compressed by now.
        """
        self._disk = disk
        self._inode = inode
        self._fixed = size
        self._folder = folder
        self._file = file
        self._forget(b"", -1)

    def runs(self, begin: int, end: int) -> Iterator[Run]:
        """Yield what covers the file from `begin` to `end`, ascending and without a hole."""
        self._look()
        at = begin
        for runs, ends in self._between(begin, end):
            start, stop = bisect_right(ends, at), bisect_left(ends, end) + 1
            for run in runs.between(start, stop, ends[start - 1] if start else runs.first):
                if run.begin > at:
                    yield Run(at, run.begin, None, None)
                yield run._replace(begin=max(run.begin, at), end=min(run.end, end))
                at = run.end
        if at < end:
            yield Run(at, end, None, None)

    def seek(self, ms: int) -> int:
        """Return the offset in the file before which all that is known came before `ms`.

        Where nothing came later that is where the last run ends that is known: what stands behind may have.
        """
        if self.latest_ms() >= ms:
            blocks = self._blocks
            number = bisect_left(blocks.largest, ms)
            begin = blocks.firsts[number] if number < len(blocks) else blocks.end
            for runs, _ in self._between(begin, self._size):
                for run in runs:
                    if run.ms is not None and run.ms >= ms:
                        return run.begin
        return min(self._end_of_known(), max(0, self._size))

    def latest_ms(self) -> int:
        """Return when the latest came of all that is known; 0 if nothing is."""
        self._look()
        return max([*self._blocks.largest[-1:], *(one.head.largest_ms for one in self._latest)], default=0)

    def senders(self) -> Dict[str, int]:
        """Return the senders' addresses, and how many bytes each said; of very many, those that said most."""
        self._look()
        totals: Dict[str, int] = {}
        for names in self._names():
            for name, size in names.items():
                totals[name] = totals.get(name, 0) + size
            if len(totals) > 2 * MOST_SENDERS:
                totals = _most(totals)
        return _most(totals)

    # -- inside ---------------------------------------------------------------------------------

    def _forget(self, whose_file: bytes, size: int) -> None:
        self._whose = whose_file
        self._size = size
        self._blocks = _Blocks()
        self._latest: List[_Latest] = []
        # How the latest begin, and how many bytes of their file are known.
        self._begins, self._known = b"", WHOSE_SIZE
        self._kept: "OrderedDict[int, Optional[_Found]]" = OrderedDict()

    def _look(self) -> None:
        """See what was written since the last look."""
        inode, size = self._inode, self._fixed
        if size is None:
            try:
                now = self._disk.stat(self._file)
            except (OSError, ValueError):
                self._forget(b"", -1)
                return
            if inode not in (0, now.st_ino):
                self._forget(b"", -1)
                return
            inode, size = now.st_ino, now.st_size
        mine = whose(inode)
        if mine != self._whose or size < self._size:
            self._forget(mine, size)
        self._size = size
        self._look_at_latest()
        blocks = self._blocks
        for head, position in heads_in(self._read(HEADS, WHOSE_SIZE + len(blocks) * PLACED_SIZE)):
            if head.first < blocks.end:
                break
            blocks.add(head, position)
        if self._latest and self._latest[0].head.first < blocks.end:
            self._latest = [one for one in self._latest if one.head.first >= blocks.end]

    def _look_at_latest(self) -> None:
        """See the latest that were added, or all if they begin anew."""
        begins = self._read(LATEST, WHOSE_SIZE, HEADER_SIZE)
        added = self._read(LATEST, self._known) if begins == self._begins else b""
        if begins != self._begins:
            self._begins, self._known, self._latest = begins, WHOSE_SIZE, []
            added = self._read(LATEST, WHOSE_SIZE)
        found = [_Latest(head, block) for head, block in blocks_in(added)]
        if found:
            self._known += sum(one.head.size for one in found)
            self._latest = [*self._latest, *found]

    def _read(self, name: str, position: int, size: int = -1) -> bytes:
        """Return what a file of ours holds from there on (or so much); nothing if it is another's."""
        try:
            fd = self._disk.open(path_of(self._folder, name), os.O_RDONLY)
        except OSError:
            return b""
        try:
            if self._disk.pread(fd, WHOSE_SIZE, 0) != self._whose:
                return b""
            if size < 0:
                size = max(0, self._disk.fstat(fd).st_size - position)
            return self._disk.pread(fd, size, position)
        except OSError:
            return b""
        finally:
            self._disk.close(fd)

    def _between(self, begin: int, end: int) -> Iterator[_Found]:
        """Yield what the blocks hold that are about a stretch, as they are now: others may be looked for."""
        blocks, latest = self._blocks, self._latest
        for number in range(bisect_right(blocks.lasts, begin), bisect_left(blocks.firsts, end)):
            found = self._block(blocks, number)
            if found is not None:
                yield found
        for one in latest:
            if one.head.last > begin and one.head.first < end:
                found = self._open(one)
                if found is not None:
                    yield found

    def _end_of_known(self) -> int:
        """Return where the last run ends of which is known when it came."""
        blocks = self._blocks
        latest = (self._open(one) for one in reversed(self._latest))
        packed = (self._block(blocks, number) for number in range(len(blocks) - 1, -1, -1))
        for found in chain(latest, packed):
            if found is not None:
                for number, end in zip(reversed(found.runs.numbers), reversed(found.ends)):
                    if number != NOTHING:
                        return end
        return 0

    def _block(self, blocks: _Blocks, number: int) -> Optional[_Found]:
        """Return what a block holds; None if that is not known to be so."""
        if blocks is not self._blocks:
            return None  # of a file that is another by now
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        block = self._read(BLOCKS, blocks.positions[number], blocks.sizes[number])
        found = self._kept[number] = self._unpacked(block)
        if found is not None and found.runs.first != blocks.firsts[number]:
            found = self._kept[number] = None
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def _open(self, one: _Latest) -> Optional[_Found]:
        if not one.looked:
            one.looked, one.found = True, self._unpacked(one.block)
        return one.found

    def _unpacked(self, block: bytes) -> Optional[_Found]:
        try:
            runs = Runs.of(block)
        except ValueError:
            return None
        if not self._is_there(Head.at(block)):
            return None
        return _Found(runs, list(accumulate(runs.sizes, initial=runs.first))[1:])

    def _is_there(self, head: Head) -> bool:
        """Tell whether the text that a block is about is in the file."""
        if self._fixed is not None:
            return head.last <= self._fixed
        try:
            fd = self._disk.open(self._file, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return is_there(head, fd, self._disk)
        except OSError:
            return False
        finally:
            self._disk.close(fd)

    def _names(self) -> Iterator[Dict[str, int]]:
        """Yield what is said by whom in each block that the file reaches to."""
        blocks = self._blocks
        for number in range(bisect_right(blocks.lasts, self._size)):
            head = self._read(BLOCKS, blocks.positions[number], HEADER_SIZE + blocks.names[number])
            try:
                yield names_of(head)
            except ValueError:
                continue
        for one in self._latest:
            found = self._open(one)
            if found is not None:
                yield found.runs.bytes_by_sender()


def _most(totals: Dict[str, int]) -> Dict[str, int]:
    """Return those of the greatest totals."""
    return dict(sorted(totals.items(), key=lambda item: -item[1])[:MOST_SENDERS])
