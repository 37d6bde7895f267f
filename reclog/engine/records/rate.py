"""How many a second there are of late: told from a count, when somebody looks at it.

Nothing is done for a line. A count that changes is looked at within a moment (`counters`), so the last look
before some time tells what it was at that time; an idle daemon need not wake for its rate to fall.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Callable, Deque, Tuple

#: Seconds that a rate is of, and that are between a look that is kept and the next but one, at least.
OVER, APART = 5.0, 0.05


class Rate:
    """The rate of one count that begins at 0."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        #: When it was looked at, and what it was; the first is the last of those that are too old.
        self._looks: Deque[Tuple[float, int]] = deque([(now(), 0)])

    def of(self, count: int) -> float:
        """Return how many a second were added to what is `count` now."""
        now, looks = self._now(), self._looks
        if len(looks) > 1 and now - looks[-2][0] < APART:
            looks.pop()  # never without the newest: it may be the last for long
        looks.append((now, count))
        while len(looks) > 1 and looks[1][0] <= now - OVER:
            looks.popleft()
        at, was = looks[0]
        return (count - was) / min(OVER, max(1.0, now - at))
