"""Datagrams that a kernel dropped, on their way to the event log.

Strangers can cause them at will, and yet they are holes: they are stated where no flood of connections washes
them away, at once, and as a sum over ever longer stretches while it goes on, so that they wash nothing away
either. Nothing of the sum is left out.
"""

from __future__ import annotations

from ..system.loop import Loop
from .events import Say, timestamp

#: Seconds between two statements: the first ones, and at most.
SOON, LATE = 1.0, 600.0


class Losses:
    """What was dropped, and how much of it is stated."""

    def __init__(self, loop: Loop, say: Say, told: int = 0) -> None:
        """`told`: how far another's count had come that was stated before."""
        self.total = 0
        self._told = told
        self._now = loop.now
        self._say = say
        self._timer = loop.timer(self.state)
        self._stated = 0
        self._stated_at = float("-inf")
        self._gap = SOON
        # When the first of what is not stated yet was noticed.
        self._since = ""

    def reach(self, told: int) -> None:
        """Take note how far another's count has come, which begins anew when that is started again."""
        self.add(told - self._told if told >= self._told else told)
        self._told = told

    def add(self, count: int) -> None:
        """Take note that so many more were dropped."""
        if not count:
            return
        self.total += count
        if self._since:
            return
        self._since = timestamp()
        if self._now() - self._stated_at < LATE:
            self._timer.at(self._stated_at + self._gap)
            return
        self._gap = SOON / 2  # they are the first for long
        self.state()

    def state(self) -> None:
        """State what is not stated yet."""
        self._timer.off()
        if self._since:
            new, since = self.total - self._stated, self._since
            self._stated, self._stated_at, self._since = self.total, self._now(), ""
            self._gap = min(2 * self._gap, LATE)
            self._say("datagrams dropped", datagrams=new, since=since)
