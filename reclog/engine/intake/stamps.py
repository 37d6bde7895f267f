"""What each line begins with where that is asked for: when it came, and who said it."""

from __future__ import annotations

from ..records.events import timestamp


class Stamps:
    """Stamps of one turn's time."""

    def __init__(self, on: bool) -> None:
        #: Whether lines are stamped.
        self.on = on
        self._time = b""

    def of(self, name: str) -> bytes:
        """Return the stamp of a sender's lines; nothing where they have none."""
        if not self.on:
            return b""
        if not self._time:
            self._time = timestamp().encode("ascii")
        return self._time + b" " + name.encode("utf-8") + b" "

    def end_turn(self) -> None:
        """Have another time from now on."""
        self._time = b""
