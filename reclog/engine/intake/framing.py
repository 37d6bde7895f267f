"""What ends a message in a stream. It is asked between the stream and the batch, whatever carries the bytes.

Rules kept here:

- A framing is of one stream and may remember where in a message that stream is; it waits for nothing, and
  knows no socket, no time and no file.
- It sees each byte of its stream once and in order (`cut`), and once more when that leaves: in whole messages
  (`strip`), or as the beginning of one that is due before it is whole (`part`), by time, by memory, at the
  sender's end or ours. What then follows goes on with that message.
"""

from __future__ import annotations

from typing import Callable, Protocol

from .batch import Bytes


class Framing(Protocol):
    """Where one stream's messages end, and what of them is framing."""

    #: Whether messages are written just as they were sent: then `strip` is not asked, and nothing is copied.
    verbatim: bool

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where in the text that has come, from `begin` to `end`, its last whole message ends.

        `begin` if no message ends there.
        """

    def strip(self, text: bytes) -> bytes:
        """Return whole messages, from where the last went to a `cut`, as lines without their framing."""

    def part(self, text: Bytes) -> Bytes:
        """Return without framing what there is of a message that is not whole, and is not waited for."""


class Lines:
    """Messages end in a newline, which is theirs."""

    verbatim = True

    def cut(self, buffer: bytearray, begin: int, end: int) -> int:
        """Return where the last line ends."""
        return buffer.rfind(b"\n", begin, end) + 1 or begin

    def strip(self, text: bytes) -> bytes:
        """Return lines as they are."""
        return text

    def part(self, text: Bytes) -> Bytes:
        """Return the beginning of a line as it is."""
        return text


#: By its name, what makes a stream's framing.
FRAMINGS: dict[str, Callable[[], Framing]] = {"lines": Lines}
