"""The recordings that a page may show, and what is known of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ...console import visible
from ...recordings.registry import Recording, Registry
from ..history import bytes_of
from ..query import Gap, History, Question
from .asked import WrongQuestionError
from .lane import Lane
from .stretch import back, onward, shown

#: Seconds for which what was seen of them counts: each is asked itself.
_FRESH = 1.0
#: Lanes of timelines that are kept; a page has one for each of its recordings.
_LANES = 24
#: Senders and gaps of a recording that are told.
MOST_SENDERS, MOST_GAPS = 100, 500
#: Lines at each end of a file of which one may tell when it came.
_FEW = 50


class Shelf:
    """Every recording of this user on this machine, by name."""

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, Recording] = {}
        self._seen_at = float("-inf")
        self._lanes: dict[tuple[str, str, int, int], Lane] = {}

    def recordings(self) -> dict[str, Recording]:
        """Return them by name, those that run first. Raises StateError."""
        with self._lock:
            if self._clock() - self._seen_at > _FRESH:
                every = [one for one in self._registry.known() if one.file]
                every.sort(key=lambda one: not one.is_alive())
                self._seen = {one.name: one for one in every}
                self._seen_at = self._clock()
            return self._seen

    def history(self, name: str) -> History:
        """Return what a recording has. Raises WrongQuestionError if there is none of that name."""
        recording = self.recordings().get(name)
        if recording is None:
            raise WrongQuestionError(f"There is no recording {visible(name[:100])} on this machine.")
        return History(recording)

    def lane(self, name: str, begin: int, step: int) -> Lane:
        """Return a lane of the timeline, the same one for as long as it is asked for. Raises as `history`."""
        history = self.history(name)
        with self._lock:
            key = name, history.file, begin, step
            lane = self._lanes.pop(key, None) or Lane(history, begin, step)
            self._lanes[key] = lane
            if len(self._lanes) > _LANES:
                del self._lanes[next(iter(self._lanes))]
            return lane

    def listed(self) -> list[dict[str, Any]]:
        """Return what the page lists."""
        return [
            {
                "name": one.name,
                "state": one.state,
                "live": one.is_alive(),
                "file": visible(one.file),
                "host": visible(one.host),
                "size": bytes_of(one) or 0,
            }
            for one in self.recordings().values()
        ]


def about(history: History) -> dict[str, Any]:
    """Return what is known of a recording as a whole. Raises OSError."""
    senders = sorted(history.senders().items(), key=lambda one: -one[1])
    gaps: list[Gap] = [gap for gap in history.gaps() if gap.offset >= 0][-MOST_GAPS:]
    ends = onward(history, Question(), 0, _FEW)["items"], back(history, Question(), None, _FEW)["items"]
    begins, lasts = ([one["t"] for one in items if "end" in one and one["t"] is not None] for items in ends)
    return {
        "size": history.end,
        "senders": senders[:MOST_SENDERS],
        "others": max(0, len(senders) - MOST_SENDERS),
        "gaps": [shown(gap) for gap in gaps],
        "begin": begins[0] if begins else None,
        "end": lasts[-1] if lasts else None,
    }
