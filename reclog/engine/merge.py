"""One byte stream out of many senders' texts, in which no line mixes two of them.

Rules kept here:

- Texts of one sender stay in the order in which they are added.
- A text without a newline at its end leaves the stream open. Only its own sender goes on there; anyone
  else's text is preceded by a newline.
- Bytes are never changed or dropped; the newline that closes an open line, and the stamps, are added.
"""

from __future__ import annotations

from typing import Hashable

#: Stands for whoever wrote the open end of a file before we came, or beside us.
STRANGER = "stranger"


class Merger:
    """Decide what goes between the texts of different senders."""

    __slots__ = ("open_by",)

    def __init__(self) -> None:
        #: Who may go on with the line at the stream's end; None when the stream ends in a newline.
        self.open_by: Hashable | None = None

    def add(self, who: Hashable, text: bytes, stamp: bytes = b"") -> bytes:
        """Return the bytes to append to the stream for `text` of `who`.

        `stamp` is put before each line that begins in `text`.
        """
        if not text:
            return b""
        goes_on = self.open_by == who
        closing = b"" if goes_on or self.open_by is None else b"\n"
        self.open_by = None if text.endswith(b"\n") else who
        if not stamp:
            return closing + text if closing else text
        # One replace for the whole batch: a stamp made once, not once a line.
        body = text.replace(b"\n", b"\n" + stamp)
        if text.endswith(b"\n"):
            body = body[: -len(stamp)]
        return closing + (b"" if goes_on else stamp) + body
