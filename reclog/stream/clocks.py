"""How far a publisher's clock is ahead of ours (pure).

Rules kept here:

- Only a message that was waited for tells: what waited in the stream itself was sent whenever.
- It was sent before it came, so the clock is ahead by what it says, or by more: of several the most counts,
  for a while, as clocks are set.
"""

from __future__ import annotations

#: Seconds for which what was heard counts; milliseconds that a message may be on its way, mostly.
A_WHILE, ON_ITS_WAY = 600.0, 2000


class Clock:
    """One publisher's."""

    def __init__(self) -> None:
        #: Milliseconds; None: it is not known.
        self.ahead: int | None = None
        self._since = 0.0

    def hear(self, sent: int, came: float) -> None:
        """Take that a message which was sent then (milliseconds) came at `came` (seconds)."""
        ahead = sent - round(came * 1000)
        if self.ahead is None or ahead > self.ahead or not 0 <= came - self._since < A_WHILE:
            self.ahead, self._since = ahead, came

    def facts(self) -> dict[str, int | None]:
        """Return what `status` shows of it."""
        return {"clock_ahead_ms": self.ahead, "clock_within_ms": None if self.ahead is None else ON_ITS_WAY}
