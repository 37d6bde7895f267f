"""When a recorded file is cut: by its size, at midnight, or both (pure).

Rules kept here:

- A day ends at midnight, local time, by a clock that is passed in: whatever that does, midnight is never more
  than one long day ahead, and what is written counts for the day on which it was.
"""

from __future__ import annotations

from typing import Iterable, NamedTuple

from .retention import parse_size


class Rotating(NamedTuple):
    """When a file is cut; neither: never."""

    #: Bytes of a file from which on it is cut; 0: whatever it has.
    bytes: int = 0
    #: At midnight, too.
    daily: bool = False

    @classmethod
    def parse(cls, words: Iterable[str]) -> Rotating:
        """Return what `words` (as 100MiB, 1d) ask for; of several sizes the smallest. Raises ValueError."""
        words = [word.strip() for word in words]
        sizes = [parse_size(word) for word in words if word != "1d"]
        return cls(min(sizes, default=0), "1d" in words)
