"""Lines of a recording, by offset, in memory that does not grow with the file or with a line.

Rules kept here:

- A line is known by the offset of its first byte. It ends behind its newline; the last one may have none.
- Of a line longer than `LONGEST` the beginning is given, the rest is read over.
- What is cut off, or gone, while it is read is no error: there is nothing more then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .text import Text

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


def forward(text: Text, begin: int, end: int) -> Iterator[Raw]:
    """Yield the lines that begin in [begin, end), the last one whole, up to a hole; one begins at `begin`."""
    at = position = begin
    cut = b""
    while at < end and (block := text.pread(BLOCK, position)):
        *whole, rest = block.split(b"\n")
        behind = position
        for line in whole:
            behind += len(line) + 1
            if cut:
                line, cut = cut + line[: LONGEST - len(cut)], b""
            yield Raw(at, behind, line[:LONGEST] if len(line) > LONGEST else line)
            at = behind
            if at >= end:
                return
        position += len(block)
        cut += rest[: LONGEST - len(cut)]
    if at < min(end, position):
        yield Raw(at, position, cut)


def lines_at(text: Text, offsets: Iterable[int]) -> Iterator[Raw]:
    """Yield the lines that begin at ascending `offsets`."""
    base, block = 0, b""
    for offset in offsets:
        found = block.find(b"\n", offset - base) if 0 <= offset - base < len(block) else -1
        if found < 0:
            base, block = offset, text.pread(_ONE, offset)
            found = block.find(b"\n")
        if found >= 0:
            yield Raw(offset, base + found + 1, block[offset - base : found])
        else:
            yield from forward(text, offset, offset + 1)


def next_line(text: Text, offset: int, end: int) -> int:
    """Return where the first line begins that begins in [offset, end); `end` if none does."""
    run = text.run(offset)
    if run is None or offset <= run[0]:
        return end if run is None else min(end, run[0])
    position = offset - 1
    while position < end and (block := text.pread(BLOCK, position)):
        found = block.find(b"\n")
        if found >= 0:
            return min(end, position + found + 1)
        position += len(block)
    return end


def line_before(text: Text, offset: int) -> int:
    """Return where the line begins that the byte before `offset` is of."""
    return last_end(text, 0, offset - 1) or text.floor(offset)


def last_end(text: Text, begin: int, end: int) -> int:
    """Return where the last line ends of which the newline is in [begin, end), behind any hole; 0 if none."""
    begin, position = max(begin, text.floor(end)), end
    while position > begin:
        step = min(BLOCK, position - begin)
        found = text.pread(step, position - step).rfind(b"\n")
        if found >= 0:
            return position - step + found + 1
        position -= step
    return 0
