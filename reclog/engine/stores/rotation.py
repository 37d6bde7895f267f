"""When a recorded file is cut: by its size, at midnight, or both (pure).

Rules kept here:

- Cut where a message ends; where none does, at twice the size, or an hour after midnight.
- A day ends at midnight, local time, by a clock that is passed in: whatever that does, midnight is never more
  than one long day ahead, and not twice at the same moment.
- A file in which nothing is stays.
"""

from __future__ import annotations

import time
from typing import Iterable, NamedTuple

from .retention import DAY, Keeping, parse_size

#: Bytes that no file has.
NEVER = 1 << 62
#: Seconds of the longest day: the one on which clocks are put back.
LONG_DAY = DAY + 3600
#: Seconds that an unfinished line is waited for after midnight.
PATIENCE = 3600


class Rotating(NamedTuple):
    """When a file is cut, neither: never; and what becomes of its pieces."""

    #: Bytes of a file from which on it is cut; 0: whatever it has.
    bytes: int = 0
    #: At midnight, too.
    daily: bool = False
    keeping: Keeping = Keeping()

    @classmethod
    def parse(cls, words: Iterable[str]) -> Rotating:
        """Return what `words` (as 100MiB, 1d) ask for; of several sizes the smallest. Raises ValueError."""
        words = [word.strip() for word in words]
        sizes = [parse_size(word) for word in words if word != "1d"]
        return cls(min(sizes, default=0), "1d" in words)


NOT_AT_ALL = Rotating()


class Plan:
    """When one file is to be cut. Times are seconds of the epoch."""

    def __init__(self, rotating: Rotating, since: float) -> None:
        """The file was last written at `since`, or begins then."""
        self._rotating = rotating
        #: When its day ends; 0: never.
        self.until = next_midnight(since) if rotating.daily else 0.0

    def look(self, size: int, now: float) -> None:
        """See what the clock says: an empty file has the day that it is, and no day is too long."""
        if self.until and (self.until - now > LONG_DAY or (not size and now >= self.until)):
            self.until = next_midnight(now)

    def least(self, now: float) -> int:
        """Return how many bytes the file has, at least, if it is to be cut."""
        if self.until and now >= self.until:
            return 1
        return self._rotating.bytes or NEVER

    def is_due(self, size: int, now: float, inside: bool) -> bool:
        """Tell whether to cut the file; `inside` tells whether it ends in half a line."""
        if not inside:
            return size >= self.least(now)
        late = bool(size and self.until) and now >= self.until + PATIENCE
        return late or 0 < 2 * self._rotating.bytes <= size


def next_midnight(now: float) -> float:
    """Return when the next day begins, local time, whatever is done to clocks that night."""
    time.tzset()  # the machine may have moved
    year, month, day = time.localtime(now)[:3]
    midnight = time.mktime((year, month, day + 1, 0, 0, 0, 0, 0, -1))
    while midnight <= now or time.localtime(midnight)[:3] == (year, month, day):
        midnight += 3600  # there is no midnight that night: the day begins with a later hour
    return midnight
