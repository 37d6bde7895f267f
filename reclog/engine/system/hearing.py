"""What an external process says, line by line, and a bounded number of them.

Rules kept here:

- A line has `LONGEST` bytes at most; of the rest of it nothing is kept.
- What is said beyond so many lines a second is counted, and not looked at.
"""

from __future__ import annotations

from typing import Callable

from .loop import Loop

#: Bytes of a line.
LONGEST = 1000


class Hearing:
    """Bytes in, lines out."""

    def __init__(self, loop: Loop, hear: Callable[[str], None], lines_a_second: int) -> None:
        """`hear` is called with each line, or with how many there were more."""
        #: The last line, whether it was passed on or not.
        self.last = ""
        self._hear = hear
        self._now = loop.now
        self._most = self._left = lines_a_second
        self._more = 0
        # Due when a second is over in which something was said.
        self._second = loop.timer(self._sum_up)
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        at = 0
        while self._left:
            end = data.find(b"\n", at)
            if end < 0:
                self._rest = (self._rest + data[at : at + LONGEST])[:LONGEST]
                return
            self._pass_on(self._rest + data[at : min(end, at + LONGEST)])
            self._rest = b""
            at = end + 1
        end = data.rfind(b"\n", at)
        if end >= 0:
            self._more += data.count(b"\n", at)
            self.last = _text((self._rest + data[at:end]).rpartition(b"\n")[2])
            self._rest = b""
            at = end + 1
        self._rest = (self._rest + data[at:])[:LONGEST]

    def end(self) -> None:
        """Take note that nothing more comes."""
        if self._rest:
            self.take(b"\n")
        self._second.fire()

    def _pass_on(self, line: bytes) -> None:
        if self._left == self._most:
            self._second.at(self._now() + 1.0)
        self._left -= 1
        self.last = _text(line)
        self._hear(self.last)

    def _sum_up(self) -> None:
        self._left = self._most
        if self._more:
            more, self._more = self._more, 0
            self._hear(f"({more} lines more)")


def _text(line: bytes) -> str:
    return line[:LONGEST].decode("utf-8", "backslashreplace").rstrip("\r")
