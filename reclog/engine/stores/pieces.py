"""The pieces that rotation has set aside of a recorded file, as our own journal lists them.

Rules kept here:

- A recording is one line of bytes: its pieces, and behind them the file. Where one begins in it is its
  *recording offset*; what is let go of takes no offset along.
- A piece is listed before it is made. It is one once another file has the recorded one's name: the rename is
  the moment, whatever is killed before or after. What was told apart so is noted, as inodes are used again.
- Only what is listed is ours: nothing else beside the file is looked at, and so never compressed or deleted.
- The journal is added to, a line for each change, and written anew when few of its lines still count.
  Nothing that it holds is an error: what makes no sense is passed over.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass, field
from typing import Any, List, NamedTuple, Optional

from ..system.disk import DISK, Disk

#: The folder of the pieces in a recording's own; in that the journal, and a folder for each piece's index.
PIECES, JOURNAL = "pieces", "journal"
#: What is read of a journal at most (bytes): a line is some 150.
MOST = 1 << 28
#: Lines of a journal, beside three for each piece, from which on it is written anew.
SPARE = 1000
#: Of what was let go of, what a journal written anew still lists: it may not be removed yet.
LAST = 100
#: What link(2) says where there are none, or not of this file.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


class Piece(NamedTuple):
    """What was the recorded file, and has another name by now."""

    #: Of the plain file, beside the recorded one; compressed it is called so with `.gz` behind.
    name: str
    #: The recording offset of its first byte.
    begin: int
    #: Bytes, uncompressed.
    size: int
    #: When it ended: milliseconds since 1970.
    ended: int
    #: Of the plain file.
    inode: int

    @property
    def end(self) -> int:
        """The recording offset behind its last byte."""
        return self.begin + self.size


@dataclass
class Listed:
    """What a journal says."""

    #: Those that are still to be held, ascending.
    pieces: List[Piece] = field(default_factory=list)
    #: One more that is listed, and may not be one yet; and the recorded file that it is made of.
    pending: Optional[Piece] = None
    file: str = ""
    #: Where the recorded file begins, and what is held at all, if what is pending is none.
    base: int = 0
    held: int = 0
    #: What was let go of, and may not be removed yet.
    gone: List[Piece] = field(default_factory=list)
    #: Whether the last of them, and the one before, had to be cut inside a line, which goes on in the next.
    inside: bool = False
    before: bool = False
    #: Lines that say so.
    lines: int = field(default=0, compare=False)

    def take(self, told: Any) -> None:
        """Take what a line says, as far as it makes sense."""
        self.lines += 1
        if "piece" in told:
            piece, named = _piece(told["piece"]), told.get("file")
            self.pending = piece if piece and _is_path(named) and piece.begin >= self.base else None
            self.file = named if self.pending else self.file
            self.before, self.inside = self.inside, told.get("inside") is True
        elif self.pending and told.get("made") == self.pending.begin:
            self.pieces.append(self.pending)
            self.base, self.pending = self.pending.end, None
        elif self.pending and told.get("none") == self.pending.begin:
            self.pending, self.inside = None, self.before
        elif _is_offset(told.get("held")):
            self.held = max(self.held, told["held"])
            self.base = max(self.base, self.held)
            number = sum(piece.end <= self.held for piece in self.pieces)
            self.gone += self.pieces[:number]
            del self.pieces[:number]
        elif _is_offset(told.get("removed")):
            self.gone = [piece for piece in self.gone if piece.end > told["removed"]]


def pieces(folder: str, disk: Disk = DISK) -> List[Piece]:
    """Return the pieces of the recording with that folder that are still to be held, ascending."""
    listed = read(folder, disk)
    return [*listed.pieces, *([listed.pending] if listed.pending and is_made(listed, disk) else [])]


def base(folder: str, disk: Disk = DISK) -> int:
    """Return the recording offset of the recorded file's first byte: 0 where nothing was rotated."""
    listed = read(folder, disk)
    return listed.pending.end if listed.pending and is_made(listed, disk) else listed.base


def path_of(file: str, piece: Piece, disk: Disk = DISK) -> str:
    """Return where a piece of the recorded `file` is, plain or compressed; empty if it is gone."""
    plain = beside(os.path.realpath(file), piece)
    try:
        if disk.stat(plain).st_size >= piece.size:
            return plain
    except OSError:
        pass
    try:
        disk.stat(f"{plain}.gz")  # it gets that name once it is whole
    except OSError:
        return ""
    return f"{plain}.gz"


def beside(file: str, piece: Piece) -> str:
    """Return where a piece is while it is plain: beside the recorded `file`, itself and no link to it."""
    return os.path.join(os.path.dirname(file), piece.name)


def index_folder(folder: str, piece: Piece) -> str:
    """Return where the index of a piece lies."""
    return os.path.join(folder, PIECES, piece.name)


def journal_of(folder: str) -> str:
    """Return the path of the journal."""
    return os.path.join(folder, PIECES, JOURNAL)


def read(folder: str, disk: Disk = DISK) -> Listed:
    """Return what the journal of a recording says."""
    listed = Listed()
    for told in _lines(journal_of(folder), disk):
        listed.take(told)
    return listed


def is_made(listed: Listed, disk: Disk = DISK) -> bool:
    """Tell whether what is pending is a piece: the recorded file is another by now."""
    if listed.pending is None:
        return False
    place = beside(listed.file, listed.pending)
    try:
        there = disk.stat(place)
        now = disk.stat(listed.file)
    except FileNotFoundError:
        # Where there are no links there is a moment without a file; and only a piece is compressed.
        return is_there(place, disk) or is_there(f"{place}.gz", disk)
    except (OSError, ValueError):
        return False
    return (there.st_dev, there.st_ino) != (now.st_dev, now.st_ino)


def is_there(path: str, disk: Disk) -> bool:
    """Tell whether there is something of that name, as far as that can be told."""
    try:
        disk.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True


class Journal:
    """What is written of the pieces: by the one daemon of the recording, in its loop. All raise OSError."""

    def __init__(self, folder: str, disk: Disk = DISK) -> None:
        """`folder` is the recording's."""
        self._folder = folder
        self._disk = disk
        #: What it says by now.
        self.listed = read(folder, disk)

    def begin(self, piece: Piece, file: str, inside: bool = False) -> None:
        """Take note that `file` is about to become that piece, and whether it ends `inside` a line."""
        self._add({"piece": [*piece], "file": file, "inside": inside})

    def made(self) -> None:
        """Take note that what was pending is a piece now: if a power cut takes that, `is_made` tells."""
        assert self.listed.pending is not None
        self._add({"made": self.listed.pending.begin}, sync=False)

    def not_made(self) -> None:
        """Take note that what was pending did not become one."""
        assert self.listed.pending is not None
        self._add({"none": self.listed.pending.begin})

    def hold_from(self, offset: int) -> None:
        """Take note that what ends there or before is not to be held any more: it may be deleted then."""
        self._add({"held": offset})

    def removed(self) -> None:
        """Take note that nothing is there any more of what was let go of."""
        if self.listed.gone:
            self._add({"removed": self.listed.held}, sync=False)

    # -- inside ---------------------------------------------------------------------------------

    def _add(self, told: Any, sync: bool = True) -> None:
        disk, path = self._disk, journal_of(self._folder)
        if self.listed.lines > SPARE + 3 * len(self.listed.pieces):
            self._write_anew()
        try:
            fd = disk.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            disk.makedirs(os.path.dirname(path))
            self._write_anew()  # it has what we know: somebody may have removed it
            disk.sync(self._folder)
            fd = disk.open(path, os.O_RDWR | os.O_APPEND)
        try:
            # A newline first: a line that a kill, or a full disk, has cut must not take this one along.
            disk.write_all(fd, b"\n" + json.dumps(told).encode("ascii") + b"\n")
            if sync:
                disk.fdatasync(fd)
        finally:
            disk.close(fd)
        self.listed.take(told)

    def _write_anew(self) -> None:
        disk, path, listed = self._disk, journal_of(self._folder), self.listed
        gone = listed.gone[-LAST:]
        inside = listed.before if listed.pending else listed.inside
        lines: List[Any] = [{"held": gone[0].begin if gone else listed.held}]
        for piece in gone + listed.pieces:
            lines += {"piece": piece, "file": listed.file, "inside": inside}, {"made": piece.begin}
        lines.append({"held": listed.held})
        if listed.pending:
            lines.append({"piece": listed.pending, "file": listed.file, "inside": listed.inside})
        fd = disk.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            disk.write_all(fd, b"".join(json.dumps(line).encode("ascii") + b"\n" for line in lines))
            disk.fdatasync(fd)
        finally:
            disk.close(fd)
        disk.replace(f"{path}.new", path)
        disk.sync(os.path.dirname(path))
        listed.lines, listed.gone = len(lines), gone


def _lines(path: str, disk: Disk) -> List[Any]:
    try:
        fd = disk.open(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        text = disk.pread(fd, min(MOST, disk.fstat(fd).st_size), 0)
    except OSError:
        return []
    finally:
        disk.close(fd)
    found = []
    for line in text.split(b"\n"):
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict):
            found.append(told)
    return found


def _piece(told: Any) -> Optional[Piece]:
    if not isinstance(told, list) or len(told) != len(Piece._fields):
        return None
    name, *numbers = told
    if not _is_path(name) or "/" in name or name in ("", ".", ".."):
        return None
    return Piece(name, *numbers) if all(map(_is_offset, numbers)) else None


def _is_path(value: Any) -> bool:
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _is_offset(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63
