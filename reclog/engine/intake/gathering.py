"""When to let small input gather for a moment before the next turn of the loop.

Rules kept here:

- A line that comes after a quiet moment is written at once.
- When turns follow each other thick, and bring little each, a rest of `GATHER` seconds lets one bring more.
"""

from __future__ import annotations

#: Seconds of a rest.
GATHER = 0.001
#: Turns that follow each other within this many seconds count as busy.
BUSY_WITHIN = 0.003
#: Bytes of one read from which on nothing is gained: a sender of so much fills its queue, and waits.
THICK = 32 * 1024


class Gathering:
    """How thick the turns are that bring something."""

    def __init__(self) -> None:
        self._busy_at = 0.0

    def pays(self, now: float, largest: int) -> bool:
        """Tell whether to rest after a turn that ended `now`; its `largest` read in bytes."""
        pays = largest < THICK and now - self._busy_at < BUSY_WITHIN
        self._busy_at = now + GATHER if pays else now
        return pays
