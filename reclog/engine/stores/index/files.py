"""The files of an index, in a recording's folder: blocks, their heads, and the latest runs.

Rules kept here:

- Each begins with whose index it is: the inode of the recorded file. (No device: its number may be another
  after each boot, on btrfs or a network's file system.) What that is about is known by the text itself: a
  block has a CRC-32 of the bytes before its end in the file, its witness.
- A block is in the index once its head is: what stands behind the last of them was cut by a kill.
- The latest runs are small blocks in a file of their own, until they are packed together; those that are in
  a block by now count no more.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import Iterator, Tuple

from ...system.disk import DISK, Disk
from .format import HEADER_SIZE, Head

BLOCKS, HEADS, LATEST = "index.blocks", "index.heads", "index.latest"
NAMES = (BLOCKS, HEADS, LATEST)
#: Bytes before a block's end that its witness is of.
WITNESSED = 64

_WHOSE = struct.Struct("<8sQ")
_MAGIC = b"reclogi1"
WHOSE_SIZE = _WHOSE.size
#: A head with where its block is, and a CRC-32 of both.
_PLACED = struct.Struct(f"<{HEADER_SIZE}sQI")
PLACED_SIZE = _PLACED.size


def whose(inode: int) -> bytes:
    """Return how each file begins."""
    return _WHOSE.pack(_MAGIC, inode)


def placed(header: bytes, position: int) -> bytes:
    """Return what is written of a block at that position, with that head."""
    body = header + position.to_bytes(8, "little")
    return body + zlib.crc32(body).to_bytes(4, "little")


def heads_in(data: bytes) -> Iterator[Tuple[Head, int]]:
    """Yield the heads that stand one behind the other, and where their blocks are, until one is not whole."""
    last = 0
    for at in range(0, len(data) - PLACED_SIZE + 1, PLACED_SIZE):
        header, position, crc = _PLACED.unpack_from(data, at)
        if zlib.crc32(data[at : at + PLACED_SIZE - 4]) != crc:
            return
        try:
            head = Head.at(header)
        except ValueError:
            return
        if head.first < last:
            return
        last = head.last
        yield head, position


def witness(fd: int, last: int, disk: Disk = DISK) -> int:
    """Return what the text before offset `last` of the open file is known by; 0 if it can't be read."""
    begin = max(0, last - WITNESSED)
    try:
        text = disk.pread(fd, last - begin, begin)
    except OSError:
        return 0  # we may only write it
    return zlib.crc32(text) or 1


def is_there(head: Head, fd: int, disk: Disk = DISK) -> bool:
    """Tell whether the text that a block is about is still in the open file. Raises OSError."""
    return head.last <= disk.fstat(fd).st_size and head.witness in (0, witness(fd, head.last, disk))


def path_of(folder: str, name: str) -> str:
    """Return the path of one of them."""
    return os.path.join(folder, name)


def set_aside(folder: str, to: str, inode: int, disk: Disk = DISK) -> None:
    """Move the index of the file with that inode to a folder, as far as it is there. Raises OSError."""
    mine = [name for name in NAMES if _begins_with(whose(inode), path_of(folder, name), disk)]
    if mine:
        disk.makedirs(to)
    for name in mine:
        disk.replace(path_of(folder, name), path_of(to, name))


def _begins_with(data: bytes, path: str, disk: Disk) -> bool:
    try:
        fd = disk.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return disk.pread(fd, len(data), 0) == data
    finally:
        disk.close(fd)
