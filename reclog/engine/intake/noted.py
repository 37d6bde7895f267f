"""Who said what of a batch, and when: noted as it comes in, told once it is written.

Rules kept here:

- What stands between a note and the one before was said by whom it names: the batch's end tells how much that
  is, whatever was added on the way (stamps, newlines).
- A line belongs to whoever said its first byte, and to the moment when that was read, however long the rest
  was waited for.
- What nobody noted is nobody's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import Iterable, Iterator, List, Optional, Protocol, Tuple, Union


class Asked(Protocol):
    """A sender who is known by name only when it is asked for."""

    def address(self) -> str:
        """Return its address; empty if nobody can tell."""


#: A sender's address, without a port, or who can tell it.
Who = Union[str, Asked]


class Notes:
    """Who said bytes that lie end to end, and when, in columns.

    (Columns: a receive makes no object, and a thousand datagrams are three calls.)
    """

    __slots__ = ("sizes", "times", "whos")

    def __init__(self) -> None:
        #: How many bytes, one at least; milliseconds since 1970 (None: unknown); and who said them.
        self.sizes: List[int] = []
        self.times: List[Optional[int]] = []
        self.whos: List[Who] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.sizes)

    def add(self, size: int, ms: Optional[int], who: Who) -> None:
        """Add one; what one sender said at one moment becomes one."""
        if self.sizes and self.times[-1] == ms and self.whos[-1] == who:
            self.sizes[-1] += size
        elif size:
            self.sizes.append(size)
            self.times.append(ms)
            self.whos.append(who)

    def extend(self, sizes: Iterable[int], times: Iterable[Optional[int]], whos: Iterable[Who]) -> None:
        """Add as many as there are."""
        self.sizes.extend(sizes)
        self.times.extend(times)
        self.whos.extend(whos)

    def join(self, others: Notes) -> None:
        """Add others, at least one, to what is not empty."""
        sizes, times, whos = others.sizes, others.times, others.whos
        if len(sizes) == 1 and self.times[-1] == times[0] and self.whos[-1] == whos[0]:
            self.sizes[-1] += sizes[0]  # lines by themselves, a dozen in a millisecond
        else:
            self.sizes += sizes
            self.times += times
            self.whos += whos

    def by(self, most: int) -> Iterator[Notes]:
        """Yield them, so many at a time."""
        count = len(self.sizes)
        if count <= most:
            yield self
            return
        for at in range(0, count, most):
            some, chosen = Notes(), slice(at, at + most)
            some.extend(self.sizes[chosen], self.times[chosen], self.whos[chosen])
            yield some

    def part(self, begin: int, end: int) -> Notes:
        """Return those of the bytes from `begin` to `end`, as if that were all."""
        part = Notes()
        if begin < end:
            ends = list(accumulate(self.sizes))
            first, last = bisect_right(ends, begin), bisect_left(ends, end)
            chosen = slice(first, last + 1)
            part.extend(self.sizes[chosen], self.times[chosen], self.whos[chosen])
            if part.sizes:
                part.sizes[-1] -= max(ends[min(last, len(ends) - 1)] - end, 0)
                part.sizes[0] -= begin - (ends[first - 1] if first else 0)
        return part


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
