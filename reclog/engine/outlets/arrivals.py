"""What a relay says of who said what when, until the bytes come that it is about.

Rules kept here:

- It is a stranger's word: bounded, checked, and used for no more than the index. What it says of bytes that
  are here already, or of none that come, is nothing.
- Of what it does not speak of nothing is known.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, List

from ..feed.protocol import FeedError
from ..stores.index.format import Run
from ..stores.index.packet import MOST, unpack

#: Runs that wait for their bytes at most; of more nothing is known. An honest relay sends a packet when its
#: first bytes are next: it has fewer, but of lines of three bytes by turns.
AHEAD = 4 * MOST


class Arrivals:
    """Runs by the spool's offsets, ascending."""

    def __init__(self) -> None:
        self._runs: Deque[Run] = deque()

    def forget(self) -> None:
        """Take note that the relay begins anew to tell."""
        self._runs.clear()

    def hear(self, begin: int, packet: bytes) -> None:
        """Take a packet about the bytes from `begin` on. Raises FeedError if it makes no sense."""
        if len(self._runs) > AHEAD:
            return
        try:
            self.add(unpack(begin, packet))
        except ValueError as error:
            raise FeedError(f"what the relay says of its senders makes no sense: {error}") from error

    def add(self, runs: List[Run]) -> None:
        """Take what is known of some bytes, ascending."""
        known = self._runs[-1].end if self._runs else 0
        fresh = [run for run in runs if run.end > known]
        if fresh and fresh[0].begin < known:
            fresh[0] = fresh[0]._replace(begin=known)
        self._runs.extend(fresh)

    def about(self, begin: int, end: int) -> List[Run]:
        """Return what is known of the bytes from `begin` to `end`, without a hole; once."""
        runs, found = self._runs, []
        if runs and runs[0].begin == begin and runs[0].end == end:  # a line by itself
            return [runs.popleft()]
        at = begin
        while at < end and runs and runs[0].begin < end:
            run = runs[0]
            if run.begin > at:
                found.append(Run(at, run.begin, None, None))
                at = run.begin
            if run.end > at:
                whole = run.begin == at and run.end <= end
                found.append(run if whole else Run(at, min(run.end, end), run.ms, run.sender))
                at = found[-1].end
            if run.end > end:
                break
            runs.popleft()
        if at < end:
            found.append(Run(at, end, None, None))
        return found
