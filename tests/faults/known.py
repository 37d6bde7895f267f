"""Who said each byte that was spooled, and when; that the index of the recorded file never says otherwise."""

from __future__ import annotations

from typing import NamedTuple

from ledger import NEWLINE, Broken, Ledger
from simdisk import SimDisk
from strangers import FILE

from reclog.engine.stores.index.reader import IndexReader
from reclog.engine.stores.pieces import beside, index_folder, pieces


class Said(NamedTuple):
    """Who said a byte, and when."""

    sender: str
    ms: int


class Known:
    """What the index should say, by the labels of bytes."""

    def __init__(self, laptop: SimDisk, ledger: Ledger, folder: str) -> None:
        self.said: dict[int, Said] = {}
        self._laptop = laptop
        self._ledger = ledger
        self._folder = folder

    def check(self) -> float:
        """Check what the index says of the files; return how much it knows of the last, 0 to 1.

        Raises Broken.
        """
        with self._laptop.outside():
            listed = pieces(self._folder, self._laptop)
        for piece in listed:
            self._check(index_folder(self._folder, piece), beside(FILE, piece))
        return self._check(self._folder, FILE)

    def _check(self, folder: str, file: str) -> float:
        inode = self._laptop.find(file)
        if inode is None:
            return 1.0
        data, tags = inode.cache.data, inode.cache.tags
        known = 0
        with self._laptop.outside():
            runs = list(IndexReader(folder, file, self._laptop).runs(0, len(data)))
        at = 0
        for run in runs:
            if run.begin != at or run.end <= at:
                raise Broken(f"index: a run begins at {run.begin}, and {at} was due")
            at = run.end
            known += 0 if run.sender is None else run.end - run.begin
            for position in range(run.begin, run.end) if run.sender is not None else ():
                # A newline may be one that was put between two senders' texts.
                right = self.said.get(tags[position])
                if data[position] != NEWLINE and right != (run.sender, run.ms):
                    what = bytes(data[position : position + 12])
                    raise Broken(f"wrong sender: {what!r} at {position} is {right}, the index says {run}")
        if at != len(data):
            raise Broken(f"index: it ends at {at}, and the file at {len(data)}")
        return known / len(data) if data else 1.0
