"""Whether the store takes what it is given. While it does not, nobody is read: TCP holds the senders back."""

from __future__ import annotations

from typing import Callable

from ..system.loop import Loop
from .store import Store

#: Seconds until a store that took nothing is tried again.
RETRY_AFTER = 0.25


class Valve:
    """Between the senders and a store: shut while that takes nothing."""

    def __init__(
        self, loop: Loop, store: Store, on_shut: Callable[[], None], on_open: Callable[[], None]
    ) -> None:
        #: Nobody is to be read now.
        self.shut = False
        #: Since when everybody could be heard (seconds of the loop's clock).
        self.open_since = float("-inf")
        self._loop = loop
        self._store = store
        self._on_shut = on_shut
        self._on_open = on_open
        # Set while it is memory that is lacking: a store that takes what it is given says nothing of that.
        self._starved = False
        self._timer = loop.timer(self._retry)

    def flush(self) -> None:
        """Have the store write what it was given; shut if it can't, open again once it can."""
        if self._starved:
            return
        if not self._store.flush():
            self._close()
        elif self.shut:
            self.shut = False
            self._timer.off()
            self.open_since = self._loop.now()
            self._on_open()

    def starve(self) -> None:
        """Shut for want of memory, until there is some."""
        self._store.pause("no memory left")
        self._starved = True
        self._close()

    def written(self, until: float) -> bool:
        """Have all written that the store was given; False if it did not take it by `until`."""
        while not self._store.flush():
            if self._loop.now() >= until:
                return False
            # Not a sleep: a relay's spool has room again when the loop hears the collector's ack.
            self._loop.turn(at_most=0.02)
        return True

    def _close(self) -> None:
        if not self.shut:
            self.shut = True
            self._on_shut()
            self._timer.at(self._loop.now() + RETRY_AFTER)

    def _retry(self) -> None:
        if self.shut:
            self._timer.at(self._loop.now() + RETRY_AFTER)
            self._starved = False
            self.flush()
