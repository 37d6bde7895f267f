"""What came of a sender, and what of it is held: until it is known what ends a message, and until one ends.

Rules kept here:

- It is held where unfinished text is, within the same bounds, and leaves when that is due.
- Once its framing is known, all of it is framed so, from the stream's beginning.
"""

from __future__ import annotations

from typing import Callable

from .batch import Batch
from .binary import NoText
from .sender import Sender
from .unfinished import Unfinished


class Settling:
    """Find the framing of each sender, and bring in its messages."""

    def __init__(
        self,
        batch: Batch,
        unfinished: Unfinished,
        add: Callable[[Sender, bytes, int], None],
        turn_away: Callable[[Sender, NoText], None],
    ) -> None:
        """`add` is called with whole messages of a sender; `turn_away` with one that sends no text."""
        self._batch = batch
        self._unfinished = unfinished
        self._add = add
        self._turn_away = turn_away

    def begins(self, sender: Sender, count: int, ms: int) -> bool:
        """Look at the `count` bytes that came now. True if their framing is to cut them; else all is done."""
        if not sender.pending:
            sender.framing = self._batch.settled(sender.framing, count)
            if sender.framing.settled:
                return True
        self._unfinished.keep(sender, self._batch.received(count), ms)
        if sender.pending and not sender.framing.settled:
            self.settle(sender, False, ms)
        return False

    def settle(self, sender: Sender, last: bool, ms: int) -> None:
        """Have what is held of a sender framed now (`ms`), if that tells how; `last`: it has to leave."""
        found = sender.framing = sender.framing.settle(sender.pending, 0, len(sender.pending), last)
        if found.refusal is not None:
            self._turn_away(sender, found.refusal)
        elif found.settled:
            text = bytearray(self._unfinished.give(sender))
            came = sender.came
            cut = found.cut(text, 0, len(text))
            if cut:
                self._add(sender, found.strip(bytes(text[:cut])), ms)
            if cut < len(text):
                # Where a line is no message, what is left is of the last that came, or close to it.
                rest = came.rest(text.count(b"\n", 0, cut)) if found.verbatim or not cut else None
                self._unfinished.keep(sender, bytes(text[cut:]), ms, rest)
