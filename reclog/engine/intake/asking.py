"""Ask who it is whose bytes another process passes on: while that lives, and no oftener than it pays.

Who stays connected is asked for the index, once. Most say one line and are gone by then, a moment after that
has come: they are asked as they come, before anything is read, as long as they come one by one; of a burst
only the first ones are, for it costs a tenth of what such a connection does.
"""

from __future__ import annotations

from typing import Callable

from .sender import Sender

#: Seconds between two who are asked, and how far one may be ahead of that: some 2 % of the time.
EACH, AHEAD = 0.002, 0.05


class Asking:
    """Who was asked, and when the next one may be."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._next = 0.0

    def ask(self, sender: Sender) -> None:
        """Ask a sender for its address, if nobody told it, unless many were asked just now."""
        if sender.origin is not sender:
            return
        now = self._now()
        if self._next - now < AHEAD:
            self._next = max(self._next, now) + EACH
            sender.address()
