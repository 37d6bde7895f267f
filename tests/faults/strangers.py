"""Who else is at the recorded file: it is written to, renamed, removed, replaced beside the collector."""

from __future__ import annotations

import os

from ledger import FILES, Ledger
from simdisk import SimDisk

FILE = f"{FILES}/file.log"


class Strangers:
    """What they do, and what the ledger must know of it."""

    def __init__(self, laptop: SimDisk, ledger: Ledger) -> None:
        #: Whether they did anything yet.
        self.came = False
        self._laptop = laptop
        self._ledger = ledger
        self._rotations = 0
        self._texts = 0

    def truncate(self) -> None:
        self._destroy()
        if self._laptop.find(FILE) is not None:
            self._laptop.shorten(FILE)

    def write_beside(self, whole: bool) -> None:
        """Somebody appends to the recorded file: a line, or half a line."""
        if self._laptop.find(FILE) is not None:
            self._put(b"#%d#%s" % (self._texts, b"\n" if whole else b""))

    def rotate_anew(self) -> None:
        self.rotate(True)

    def rotate_away(self) -> None:
        self.rotate(False)

    def rotate(self, new: bool) -> None:
        """The file is renamed, and perhaps a new one made."""
        if self._laptop.find(FILE) is None:
            return
        self._rotations += 1
        self.came = True
        with self._laptop.outside() as disk:
            disk.replace(FILE, f"{FILE}.{self._rotations}")
        if new:
            self._put(b"")

    def remove(self) -> None:
        if self._laptop.find(FILE) is not None:
            self._destroy()
            with self._laptop.outside() as disk:
                disk.unlink(FILE)

    def replace(self) -> None:
        """The file is replaced by another one."""
        self._destroy()
        with self._laptop.outside() as disk:
            fd = disk.open(f"{FILE}.new", os.O_WRONLY | os.O_CREAT)
            disk.write_all(fd, b"#%d#\n" % self._texts)
            disk.close(fd)
            disk.replace(f"{FILE}.new", FILE)

    def _put(self, text: bytes) -> None:
        self.came = True
        self._texts += 1
        with self._laptop.outside() as disk:
            fd = disk.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            disk.write_all(fd, text)
            disk.close(fd)

    def _destroy(self) -> None:
        self.came = True
        self._texts += 1
        inode = self._laptop.find(FILE)
        if inode is not None:
            self._ledger.destroyed.update(tag for tag in inode.cache.tags if tag >= 0)
