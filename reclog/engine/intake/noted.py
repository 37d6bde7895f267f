"""Who said what of a batch, and when: noted as it comes in, told once it is written.

Rules kept here:

- What stands between a note and the one before was said by whom it names: the batch's end tells how much that
  is, whatever was added on the way (stamps, newlines).
- A line belongs to whoever said its first byte, and to the moment when that was read, however long the rest
  was waited for.
- What nobody noted is nobody's.
"""

from __future__ import annotations

from typing import Iterable, Iterator, List, Optional, Protocol, Sequence, Tuple, Union


class Asked(Protocol):
    """A sender who is known by name only when it is asked for."""

    def address(self) -> str:
        """Return its address; empty if nobody can tell."""


class Several:
    """Who said texts that were read at once: one note for a thousand datagrams, in columns."""

    __slots__ = ("begin", "ends", "whos")

    def __init__(self, begin: int, ends: Sequence[int], whos: Sequence[str]) -> None:
        #: Where the first begins in the batch; where each ends, counted from there.
        self.begin = begin
        self.ends = ends
        self.whos = whos


#: A sender's address, without a port, or who can tell it.
Who = Union[str, Asked]


#: Up to where something was said; when (milliseconds since 1970, None: unknown), and by whom. (No class: one
#: is made for each receive, and a bare tuple in a fifth of the time.)
Note = Tuple[int, Optional[int], Union[str, Asked, Several]]
One = Tuple[int, Optional[int], Who]


def each(notes: Iterable[Note]) -> Iterator[One]:
    """Yield a note of each text."""
    for end, ms, who in notes:
        if isinstance(who, Several):
            yield from ((who.begin + one, ms, by) for one, by in zip(who.ends, who.whos))
        else:
            yield end, ms, who


def between(notes: Iterable[Note], begin: int, end: int) -> List[Note]:
    """Return the notes of what stands from `begin` to `end`, as if that were all."""
    found: List[Note] = []
    for stop, ms, who in each(notes):
        if stop > begin:
            found.append((min(stop, end) - begin, ms, who))
        if stop >= end:
            break
    return found


#: Moments that are told apart of one sender's text, which comes byte by byte if somebody likes.
MOMENTS = 256


class Came:
    """When the lines of a text that is held of a sender began."""

    __slots__ = ("lines", "since")

    def __init__(self, lines: int = 0, ms: int = 0) -> None:
        """So many began, all at `ms`."""
        #: How many lines began.
        self.lines = lines
        #: From which of them on (from 0) they began when.
        self.since: List[Tuple[int, int]] = [(0, ms)] if lines else []

    def add(self, lines: int, ms: int) -> None:
        """Take note that so many more lines begin."""
        if lines and (not self.since or self.since[-1][1] != ms) and len(self.since) < MOMENTS:
            self.since.append((self.lines, ms))
        self.lines += lines

    def rest(self, lines: int) -> Came:
        """Return what is true of all but the first lines."""
        rest = Came()
        rest.lines = self.lines - lines
        before = [ms for line, ms in self.since if line <= lines]
        later = [(line - lines, ms) for line, ms in self.since if line > lines]
        rest.since = [(0, before[-1]), *later] if rest.lines > 0 and before else later
        return rest


#: Of a sender of whom nothing is held.
NOTHING_HELD = Came()
