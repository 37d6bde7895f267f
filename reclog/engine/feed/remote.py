"""What a relay says of itself and of what it lacks: a stranger's words, bounded, and used for no more.

Rules kept here:

- Of a relay's counters only plain values are kept, each short; who sends more than that is no relay.
- Each gap is stated, by itself or in the sum of a second's; who has more than any relay can have is none.
"""

from __future__ import annotations

import math
import time
from typing import Any

from ..records.events import Say
from ..stores.index.format import LAST_MS
from ..system.loop import Loop
from .protocol import FeedError, Frame

#: Bytes of a relay's counters, their number, and the characters of a name or a word among them.
LONGEST, MOST, WORD = 16384, 100, 200
#: What it counts that is shown here.
COUNTED = ("senders", "connects", "refused", "made_room", "datagrams", "datagrams_dropped")
#: Gaps in a second that are stated one by one, and that are too many: each is a disk that failed, or a kill.
EACH_UP_TO, TOO_MANY = 10, 1000


class Remote:
    """The relay, as far as it says."""

    def __init__(self) -> None:
        #: Numbers, words, truths.
        self.facts: dict[str, Any] = {}
        #: By how many milliseconds its clock is ahead of ours, give or take how many; None: it does not say.
        self.clock_ahead_ms: int | None = None
        self.clock_within_ms: int | None = None
        self._asked_at = 0.0

    def ask(self) -> dict[str, Any]:
        """Return what a hello asks for beside the spool."""
        self._asked_at = time.monotonic()
        return {"runs": True}

    def answered(self, answer: dict[str, Any]) -> None:
        """Take what it says to that: somewhere between then and now its clock showed what it says."""
        half = (time.monotonic() - self._asked_at) * 500
        now_ms = answer.get("now_ms")
        self.clock_ahead_ms = self.clock_within_ms = None
        if type(now_ms) is int and 0 <= now_ms <= LAST_MS:
            self.clock_ahead_ms = round(now_ms - time.time() * 1000 + half)
            self.clock_within_ms = math.ceil(half)

    def hear(self, frame: Frame) -> None:
        """Take its counters. Raises FeedError."""
        if len(frame.payload) > LONGEST:
            raise FeedError("the relay's counters are too long")
        facts = [(short(name), short(value)) for name, value in frame.json().items()]
        self.facts = {name: value for name, value in facts[:MOST] if not isinstance(value, (dict, list))}

    def count(self, name: str) -> int:
        """Return a counter: 0 if it is none."""
        value = self.facts.get(name)
        return value if type(value) is int and 0 <= value < 1 << 63 else 0

    def shown(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        return {
            **{name: self.count(name) for name in COUNTED},
            "no_text": self.word("no_text"),
            "listener_full": self.facts.get("listener_full") is True,
            "full_since": self.word("full_since"),
            "udp": self.facts.get("udp") is True,
            "clock_ahead_ms": self.clock_ahead_ms,
            "clock_within_ms": self.clock_within_ms,
            "relay": self.facts,
        }

    def word(self, name: str) -> str:
        """Return a word, short enough for a table's cell: empty if it is none."""
        value = self.facts.get(name)
        return value if isinstance(value, str) else ""


class Gaps:
    """What the relay does not have, stated."""

    def __init__(self, loop: Loop, say: Say, reason: str = "the relay has no such bytes") -> None:
        self.count = 0
        self._reason = reason
        self._say = say
        self._now = loop.now
        # Due when a second is over in which there was a gap.
        self._second = loop.timer(self.sum_up)
        self._in_second = 0
        # Of those that were not stated one by one: how many, from where to where, the bytes missing.
        self._more = self._start = self._end = self._bytes = 0

    def came(self, start: int, end: int) -> None:
        """Take note that the bytes between two offsets are missing. Raises FeedError if too many are."""
        if not self._in_second:
            self._second.at(self._now() + 1.0)
        self.count += 1
        self._in_second += 1
        if self._in_second <= EACH_UP_TO:
            self._say("gap", start=start, end=end, reason=self._reason)
            return
        if not self._more:
            self._start = start
        self._more += 1
        self._end = end
        self._bytes += end - start
        if self._in_second > TOO_MANY:
            raise FeedError("the relay has more gaps than data")

    def sum_up(self) -> None:
        """State those that were not stated by themselves."""
        self._second.off()
        self._in_second = 0
        if self._more:
            facts = {"start": self._start, "end": self._end, "gaps": self._more, "bytes": self._bytes}
            self._more = self._bytes = 0
            self._say("gap", **facts, reason=self._reason)


def short(value: Any, most: int = WORD) -> Any:
    """Return a value, cut off if it is a long word."""
    return value[:most] if isinstance(value, str) else value
