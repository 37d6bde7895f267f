"""Who said what when, as an index tells: read only, while it is written or after.

Rules kept here:

- The file is right, the index is asked. What that tells of another file, of text that is not there any more,
  or with a byte that is not as it was written, is unknown. Nothing that it holds is an error.
- Runs may be had that are written at the same moment: the latest are read before the blocks, so that what
  goes from there to here meanwhile is in both.
- Memory is flat: heads, and a few blocks.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from itertools import accumulate
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ...system.disk import DISK, Disk
from .files import BLOCKS, HEADS, LATEST, PLACED_SIZE, WHOSE_SIZE, heads_in, path_of, whose, witness
from .format import HEADER_SIZE, Head, Run, Runs, blocks_in, names_of

__all__ = ["IndexReader", "Run"]

#: Blocks that are kept unpacked: some 500 KB each.
KEPT = 8
#: Addresses that are told apart, of those that said most.
MOST_SENDERS = 4096


class _Unpacked(NamedTuple):
    """A block's runs, and where each ends."""

    runs: Runs
    ends: List[int]


class IndexReader:
    """The index of one recorded file."""

    def __init__(self, folder: str, file: str, disk: Disk = DISK) -> None:
        """`folder` is the recording's; if there is no index of `file`, all is unknown."""
        self._disk = disk
        self._folder = folder
        self._file = file
        self._forget(b"", -1)

    def runs(self, begin: int, end: int) -> Iterator[Run]:
        """Yield what covers the file from `begin` to `end`, ascending and without a hole."""
        self._look()
        at = begin
        for number in range(bisect_right(self._lasts, begin), len(self._lasts)):
            if at >= end or self._firsts[number] >= end:
                break
            found = self._block(number)
            if found is None:
                continue
            ends = found.ends
            start, stop = bisect_right(ends, at), bisect_left(ends, end) + 1
            for run in found.runs.between(start, stop, ends[start - 1] if start else found.runs.first):
                if run.begin > at:
                    yield Run(at, run.begin, None, None)
                yield run._replace(begin=max(run.begin, begin), end=min(run.end, end))
                at = run.end
        if at < end:
            yield Run(at, end, None, None)

    def seek(self, ms: int) -> int:
        """Return the offset in the file before which all that is known came before `ms`."""
        self._look()
        for number in range(bisect_left(self._largest, ms), len(self._largest)):
            found = self._block(number)
            if found is not None:
                for run in found.runs:
                    if run.ms is not None and run.ms >= ms:
                        return run.begin
        return min(self._lasts[-1], self._size) if self._lasts else 0

    def senders(self) -> Dict[str, int]:
        """Return the senders' addresses, and how many bytes each said; of very many, those that said most."""
        self._look()
        totals: Dict[str, int] = {}
        for number in range(len(self._lasts)):
            for name, size in self._names(number).items():
                totals[name] = totals.get(name, 0) + size
            if len(totals) > 2 * MOST_SENDERS:
                totals = _most(totals)
        return _most(totals)

    # -- inside ---------------------------------------------------------------------------------

    def _forget(self, whose_file: bytes, size: int) -> None:
        self._whose = whose_file
        self._size = size
        # Of each block: its offsets, the latest time of it and all before, where it is.
        self._firsts, self._lasts, self._largest = array("Q"), array("Q"), array("Q")
        self._places: List[Tuple[int, int, int]] = []
        # Heads known, bytes of their file; the latest blocks.
        self._heads = 0
        self._latest: List[bytes] = []
        self._kept: "OrderedDict[int, Optional[_Unpacked]]" = OrderedDict()

    def _look(self) -> None:
        """See what was written since the last look."""
        try:
            now = self._disk.stat(self._file)
        except (OSError, ValueError):
            self._forget(b"", -1)
            return
        mine = whose(now.st_ino)
        if mine != self._whose or now.st_size < self._size:
            self._forget(mine, now.st_size)
        self._size = now.st_size
        latest = self._read(LATEST, 0)
        heads = self._read(HEADS, WHOSE_SIZE + self._heads * PLACED_SIZE)
        self._drop_latest()
        for head, position in heads_in(heads):
            if self._lasts and head.first < self._lasts[-1]:
                break
            self._heads += 1
            self._add(head, position)
        for head, block in blocks_in(latest[WHOSE_SIZE:]):
            if not self._lasts or head.first >= self._lasts[-1]:
                self._latest.append(block)
                self._add(head, -1)

    def _add(self, head: Head, position: int) -> None:
        self._firsts.append(head.first)
        self._lasts.append(head.last)
        self._largest.append(max(head.largest_ms, self._largest[-1] if self._largest else 0))
        self._places.append((position, head.size, head.names))

    def _drop_latest(self) -> None:
        for column in (self._firsts, self._lasts, self._largest, self._places):
            del column[self._heads :]
        for number in [number for number in self._kept if number >= self._heads]:
            del self._kept[number]
        self._latest = []

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

    def _block(self, number: int) -> Optional[_Unpacked]:
        """Return what a block holds; None if that is not known to be so."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        found = self._kept[number] = self._unpacked(number)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def _unpacked(self, number: int) -> Optional[_Unpacked]:
        position, size, _ = self._places[number]
        block = self._read(BLOCKS, position, size) if position >= 0 else self._latest[number - self._heads]
        try:
            runs = Runs.of(block)
        except ValueError:
            return None
        if (runs.first, runs.last) != (self._firsts[number], self._lasts[number]):
            return None
        if not self._is_witnessed(block):
            return None
        return _Unpacked(runs, list(accumulate(runs.sizes, initial=runs.first))[1:])

    def _is_witnessed(self, block: bytes) -> bool:
        head = Head.at(block)
        if head.last > self._size:
            return False
        try:
            fd = self._disk.open(self._file, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return head.witness in (0, witness(fd, head.last, self._disk))
        finally:
            self._disk.close(fd)

    def _names(self, number: int) -> Dict[str, int]:
        position, _, names = self._places[number]
        if self._lasts[number] > self._size:
            return {}
        if position >= 0:
            block = self._read(BLOCKS, position, HEADER_SIZE + names)
        else:
            block = self._latest[number - self._heads]
        try:
            return names_of(block)
        except ValueError:
            return {}


def _most(totals: Dict[str, int]) -> Dict[str, int]:
    """Return those of the greatest totals."""
    return dict(sorted(totals.items(), key=lambda item: -item[1])[:MOST_SENDERS])
