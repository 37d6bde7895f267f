"""When to let small input gather for a moment before the next turn of the loop.

Rules kept here:

- A line is written at once, unless turns follow each other so thick that they alone would fill our time.
- A rest of `GATHER` seconds is followed by another only while what it brings is worth it.
"""

from __future__ import annotations

#: Seconds of a rest.
GATHER = 0.001
#: Seconds that a turn is waited for below which it is thick, and how many of these make a rest pay: a turn
#: takes some 50 µs, and a handful of lines at the same moment is soon done.
THICK_WITHIN, THICK_FOR = 0.0002, 16
#: Lines and newcomers that a rest has to bring: below, a turn for each costs little.
WORTH = 4
#: Bytes of one read from which on nothing is gained: a sender of so much fills its queue, and waits.
LARGE = 32 * 1024


class Gathering:
    """How thick the turns are that bring something."""

    def __init__(self) -> None:
        self._last = 0.0
        self._thick = 0
        self._rested = False

    def ends(self, turn: Turn, lines: int, now: float) -> bool:
        """Tell whether to rest after a turn that ends `now`, when so many lines were taken in all."""
        largest, count = max(turn.largest, turn.datagrams), lines - turn.lines + turn.others
        rests = False
        if largest or turn.others:
            rests = self.pays(turn.began or now, now, count, LARGE if turn.quick else largest)
        turn.begin(lines)
        return rests

    def pays(self, began: float, now: float, count: int, largest: int) -> bool:
        """Tell whether to rest after a turn that brought so many lines and newcomers, and ends `now`.

        `began`: when its first read had come; `largest`: bytes of its largest one.
        """
        goes_on = not self._rested and began - self._last < THICK_WITHIN
        if self._thick >= THICK_FOR:
            goes_on = goes_on or count >= WORTH
        self._thick = self._thick + 1 if goes_on else 0
        self._last = now
        self._rested = self._thick >= THICK_FOR and largest < LARGE
        return self._rested


class Turn:
    """What the loop's turn has brought so far."""

    __slots__ = ("began", "datagrams", "largest", "lines", "others", "quick")

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, lines: int) -> None:
        """Begin another one, when so many lines were taken in all."""
        self.lines = lines
        #: When its first read had come (seconds of the loop's clock); 0 before.
        self.began = 0.0
        #: Bytes of the largest read; and of datagrams that were read at once, what each costs among them.
        self.largest = self.datagrams = 0
        #: Newcomers: as quick as they can, or (with no address) with what they have to say a moment behind.
        self.quick = self.others = 0

    def newcomer(self, host: str) -> None:
        """One came."""
        if host:
            self.quick += 1
        else:
            self.others += 1
