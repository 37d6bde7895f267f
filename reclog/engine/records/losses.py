"""Datagrams that a kernel dropped, on their way to the event log.

Strangers can cause them at will, and yet they are holes: they are stated where no flood of connections washes
them away, at once, and as a sum over ever longer stretches while it goes on, so that they wash nothing away
either. Nothing of the sum is left out, nothing is in it twice: a statement about another's count (a relay's)
says how far that has come, and who is started next goes on from there, whatever ended the one before.
"""

from __future__ import annotations

from typing import Any, Mapping

from ..system.loop import Loop
from .events import Say, timestamp

#: What states them.
DROPPED = "datagrams dropped"

#: Seconds between two statements: the first ones, and at most.
SOON, LATE = 1.0, 600.0


class Losses:
    """What was dropped, and how much of it is stated."""

    def __init__(self, loop: Loop, say: Say, last: Mapping[str, Any] | None = None) -> None:
        """`last` is the last statement about another's count, of whoever made it."""
        self.total = 0
        # How far another's count has come, and which one that is: it begins anew with that.
        told = last.get("counted") if last else None
        self._told = told if type(told) is int else 0
        self._of = last.get("of") if last else None
        self._now = loop.now
        self._say = say
        self._timer = loop.timer(self.state)
        self._stated = 0
        self._stated_at = float("-inf")
        self._gap = SOON
        # When the first of what is not stated yet was noticed.
        self._since = ""

    def reach(self, told: int, of: str) -> None:
        """Take note how far the count `of` another has come."""
        known = self._told if of == self._of and told >= self._told else 0
        self._told, self._of = told, of
        self.add(told - known)

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
            reached = {} if self._of is None else {"counted": self._told, "of": self._of}
            self._say(DROPPED, datagrams=new, since=since, **reached)
