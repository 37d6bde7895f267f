"""How much was said when, and by whom: a recording's lane of the timeline, counted once and then added to.

Rules kept here:

- An answer takes a bounded time and says how far it has come: who asks again gets more.
- What has been counted stays, while the recording goes on: only its last stretch is counted again.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from ..query import History

#: Seconds that one answer may take; that a piece of the work is to take.
WITHIN, _PIECE = 0.4, 0.15


class Lane:
    """Stretches of `step` milliseconds each from `begin` (of the epoch) on."""

    def __init__(self, history: History, begin: int, step: int) -> None:
        self._history = history
        self._begin = begin
        self._step = step
        self._lock = threading.Lock()
        self._size = 0
        self._counted: list[dict[str, int]] = []
        # How many stretches are counted at once: as many as go quickly.
        self._at_once = 64

    def until(self, count: int) -> dict[str, Any]:
        """Return the first `count` stretches, as far as the time is enough. Raises OSError."""
        with self._lock:
            size = self._history.end
            if size < self._size:
                self._counted.clear()  # the file is another one
            elif size > self._size:
                del self._counted[-2:]  # text that was under way when they were counted
            self._size = size
            until = time.monotonic() + WITHIN
            while len(self._counted) < count and time.monotonic() < until:
                self._count(min(self._at_once, count - len(self._counted)))
            told = self._counted[:count]
        return {"begin": self._begin, "step": self._step, "buckets": told, "done": len(told) == count}

    def _count(self, number: int) -> None:
        began = time.monotonic()
        at = self._begin + len(self._counted) * self._step
        self._counted += self._history.timeline(at, at + number * self._step, number)
        took = time.monotonic() - began
        self._at_once = max(1, self._at_once * 2 if took < _PIECE else self._at_once // 2)
