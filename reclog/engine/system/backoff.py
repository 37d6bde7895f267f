"""How long to wait before what ended, or did not come about, is tried again."""

from __future__ import annotations

import random

#: Seconds of the first pause; doubled each time, up to the second.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: What lasted for so many seconds is tried again after the first pause.
STEADY_AFTER = 30.0


class Backoff:
    """Growing, jittered pauses: those who lost the same thing at the same time come back one by one."""

    def __init__(self, longest: float = LONGEST_PAUSE) -> None:
        """`longest`: seconds."""
        self._longest = longest
        self._next = FIRST_PAUSE

    def lasted(self, seconds: float) -> None:
        """Take note of how long it went well."""
        if seconds > STEADY_AFTER:
            self._next = FIRST_PAUSE

    def pause(self, at_least: float = 0.0) -> float:
        """Return the seconds to wait now."""
        pause = max(self._next * random.uniform(0.8, 1.2), at_least * random.uniform(1.0, 1.2))
        self._next = min(self._next * 2, self._longest)
        return pause
