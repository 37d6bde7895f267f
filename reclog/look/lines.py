"""Lines of a file, by offset, in memory that does not grow with the file or with a line.

Rules kept here:

- A line is known by the offset of its first byte. It ends behind its newline; the last one may have none.
- Of a line longer than `LONGEST` the beginning is given, the rest is read over.
- What is cut off while it is read is no error: there is nothing more then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Bytes of a line that are given.
LONGEST = 1024 * 1024
#: Bytes that are read at a time.
BLOCK = 256 * 1024
#: Bytes that are read where one line is wanted, and the next ones may be.
_ONE = 16 * 1024


class Raw(NamedTuple):
    """A line as the file has it."""

    offset: int
    end: int
    #: Without its newline, and cut to `LONGEST` bytes.
    text: bytes


def forward(fd: int, begin: int, end: int) -> Iterator[Raw]:
    """Yield the lines that begin in [begin, end), the last one whole; `begin` is where one begins."""
    at = position = begin
    text = b""
    while at < end and (block := os.pread(fd, BLOCK, position)):
        *whole, rest = block.split(b"\n")
        behind = position
        for line in whole:
            behind += len(line) + 1
            if text:
                line, text = text + line[: LONGEST - len(text)], b""
            yield Raw(at, behind, line[:LONGEST] if len(line) > LONGEST else line)
            at = behind
            if at >= end:
                return
        position += len(block)
        text += rest[: LONGEST - len(text)]
    if at < min(end, position):
        yield Raw(at, position, text)


def lines_at(fd: int, offsets: Iterable[int]) -> Iterator[Raw]:
    """Yield the lines that begin at ascending `offsets`."""
    base, block = 0, b""
    for offset in offsets:
        found = block.find(b"\n", offset - base) if 0 <= offset - base < len(block) else -1
        if found < 0:
            base, block = offset, os.pread(fd, _ONE, offset)
            found = block.find(b"\n")
        if found >= 0:
            yield Raw(offset, base + found + 1, block[offset - base : found])
        else:
            yield from forward(fd, offset, offset + 1)


def next_line(fd: int, offset: int, end: int) -> int:
    """Return where the first line begins that begins in [offset, end); `end` if none does."""
    if offset <= 0:
        return 0
    position = offset - 1
    while position < end and (block := os.pread(fd, BLOCK, position)):
        found = block.find(b"\n")
        if found >= 0:
            return min(end, position + found + 1)
        position += len(block)
    return end


def line_before(fd: int, offset: int) -> int:
    """Return where the line begins that the byte before `offset` is of."""
    return last_end(fd, 0, offset - 1)


def last_end(fd: int, begin: int, end: int) -> int:
    """Return where the last line ends of which the newline is in [begin, end); 0 if there is none."""
    position = end
    while position > begin:
        step = min(BLOCK, position - begin)
        found = os.pread(fd, step, position - step).rfind(b"\n")
        if found >= 0:
            return position - step + found + 1
        position -= step
    return 0
