"""A recorded file is cut: it becomes a piece, and another has its name.

Rules kept here (they were paid for by experiments):

- The new file is there, like the old one and locked, before the old one has its piece's name too (link(2)).
  Then it takes the recorded one's name (rename(2)): there is no moment without a file. Where a file system
  has no links there is one, and whatever ends in it is mended at the next start.
- The index of a piece goes with it.
- Whatever a kill leaves, `mend` makes it a piece, or undoes it.
- What is named as a piece and is not listed, as where the journal was lost, may be somebody's: it is told of.
"""

from __future__ import annotations

import errno
import os
import re
import time
from typing import List

from ..system.disk import Disk
from .index.files import set_aside
from .opening import lock
from .pieces import NO_LINKS, Journal, Piece, beside, index_folder, is_made, is_there

#: Behind the name of a piece, while there is none: the file that goes on.
NEW = ".new"


class Cutting:
    """How the files of one recording are cut."""

    def __init__(self, folder: str, journal: Journal, disk: Disk) -> None:
        self._folder = folder
        self._journal = journal
        self._disk = disk

    def next(self, path: str, size: int, inode: int, now: float) -> Piece:
        """Return the piece that the file is to be: its name sorts behind the others', and is nobody's.

        Raises OSError where that can't be told.
        """
        listed = self._journal.listed
        root, ending = os.path.splitext(os.path.basename(path))
        ended = max(int(now * 1000), listed.pieces[-1].ended + 1 if listed.pieces else 0)
        while True:
            moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(ended // 1000))
            piece = Piece(f"{root}.{moment}.{ended % 1000:03}Z{ending}", listed.base, size, ended, inode)
            if not any(self._is_taken(f"{beside(path, piece)}{behind}") for behind in ("", ".gz", NEW)):
                return piece
            ended += 1

    def cut(self, path: str, piece: Piece, old: int) -> int:
        """Give the file, open as `old`, the piece's name, and a new one its own: its descriptor.

        Raises OSError; what there is then is for `mend`.
        """
        disk, place = self._disk, beside(path, piece)
        new = f"{place}{NEW}"
        fd = disk.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
        try:
            disk.be_like(fd, old)
            lock(disk, fd)
            disk.fdatasync(old)
            if disk.stat(path).st_ino != piece.inode or disk.fstat(old).st_size != piece.size:
                raise OSError(errno.EBUSY, "somebody else has changed the file")
            try:
                disk.link(path, place)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                disk.replace(path, place)
            if disk.stat(place).st_ino != piece.inode:
                raise OSError(errno.EBUSY, "somebody else has replaced the file")
            disk.replace(new, path)
        except OSError:
            disk.close(fd)
            raise
        return fd

    def mend(self) -> bool:
        """Have what is pending be a piece, or nothing, whatever it was interrupted by. Raises OSError.

        Tell whether it is one, which is still to be noted.
        """
        listed = self._journal.listed
        if listed.pending is None:
            return False
        place = beside(listed.file, listed.pending)
        self._remove(f"{place}{NEW}")
        if is_made(listed, self._disk):
            self.set_index_aside(listed.pending)
            return True
        if is_there(place, self._disk):
            both = [self._disk.stat(path) for path in (place, listed.file)]
            if both[0].st_ino != both[1].st_ino:
                raise OSError(errno.EBUSY, "somebody else has replaced the file")
            self._remove(place)
        self._journal.not_made()
        return False

    def not_listed(self, path: str) -> List[str]:
        """Return what is named as the file's pieces are, and is not listed. Raises OSError."""
        listed = self._journal.listed
        known = {piece.name for piece in (*listed.pieces, *listed.gone, listed.pending) if piece}
        root, ending = map(re.escape, os.path.splitext(os.path.basename(path)))
        named = re.compile(rf"({root}\.\d{{8}}T\d{{6}}\.\d{{3}}Z{ending})(\.gz)?")
        found = map(named.fullmatch, self._disk.listdir(os.path.dirname(path)))
        return sorted(one[0] for one in found if one and one[1] not in known)

    def set_index_aside(self, piece: Piece) -> None:
        """Put the index that is about a piece where it is looked for."""
        try:
            set_aside(self._folder, index_folder(self._folder, piece), piece.inode, self._disk)
        except OSError:
            pass  # then it is unknown who said it

    # -- inside ---------------------------------------------------------------------------------

    def _is_taken(self, path: str) -> bool:
        # Not `is_there`: where nothing can be told, as of a name that is too long, no other does better.
        try:
            self._disk.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _remove(self, path: str) -> None:
        try:
            self._disk.unlink(path)
        except FileNotFoundError:
            pass
