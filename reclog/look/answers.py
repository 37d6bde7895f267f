"""An answer to a coding agent: lines in text, bounded, and marked as what they are.

Rules kept here:

- What devices and strangers said stands between two marks that they can't know; nothing in it acts on a
  terminal, or hides.
- It is bounded in lines and bytes, and tells how to go on.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Sequence

from ..console import visible
from ..recordings.recording import Recording
from .forms import BAR, UNKNOWN, when
from .lines import line_before
from .query import Gap, History, Line
from .text import Text

#: Bytes of one line that are shown, and characters of a sender's name.
_OF_A_LINE, _OF_A_NAME = 2000, 200


class Answer:
    """Lines for an agent, marked as what they are."""

    def __init__(self, history: History, most: int, room: int) -> None:
        #: Where to go on; None where there is no such place.
        self.cursor: int | None = None
        #: There is more of what was asked for.
        self.more = False
        #: Lines that there is room for.
        self.room = room
        self._recording = history.recording
        self._left = most
        self._lines: list[str] = []
        self._notes: list[str] = []

    @property
    def number(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def note(self, sentence: str) -> None:
        """Tell something that is ours to say."""
        self._notes.append(sentence)

    def line(self, text: str) -> bool:
        """Add a line; tell whether there was room for it: the first one always finds some."""
        self.more = bool(self._lines) and (len(self._lines) >= self.room or self._left < len(text))
        if not self.more:
            self._left -= len(text) + 1
            self._lines.append(text)
        return not self.more

    def give(self, found: Iterable[Line | Gap]) -> None:
        """Add lines and gaps, as far as there is room for them."""
        for one in found:
            if self.more or not self.line(shown(one)):
                return
            if isinstance(one, Line):
                self.cursor = one.end

    def give_last(self, found: Sequence[Line | Gap]) -> None:
        """Add the last of them, as far as there is room."""
        kept: deque[Line | Gap] = deque()
        length = 0
        for one in reversed(found):
            length += len(shown(one)) + 1
            if kept and (len(kept) >= self.room or length > self._left):
                break
            kept.appendleft(one)
        self.give(kept)
        self.more = False

    def finish(self, text: Text, end: int) -> None:
        """Have it tell that all was read up to `end`; of a line that goes on only the beginning is there."""
        self.cursor, self.more = end, False
        if self._recording.is_alive() and end and text.pread(1, end - 1) not in (b"\n", b""):
            self.cursor = line_before(text, end)
            self.note("The last line has not ended yet: it is told again from the cursor.")

    def __str__(self) -> str:
        """Return it as text."""
        mark = secrets.token_hex(8)
        recording = Recording(self._recording.folder)
        head = [f"recording: {visible(recording.name)} ({recording.state})"]
        if self.cursor is not None:
            head.append(f"cursor: {self.cursor}{' (there is more: go on from it)' if self.more else ''}")
        return "\n".join([*head, *self._notes, f"[untrusted {mark}]", *self._lines, f"[end {mark}]"])


def cut(one: Line | Gap) -> Line | Gap:
    """Return it without what is not shown of it."""
    return one._replace(text=one.text[: one.stamp + _OF_A_LINE]) if isinstance(one, Line) else one


def shown(one: Line | Gap) -> str:
    """Return a line behind its offset, its time and its sender; a gap likewise."""
    head = f"{one.offset} {when(one) or UNKNOWN}"
    if isinstance(one, Gap):
        return f"{head} {BAR} {visible(one.sentence)[:_OF_A_LINE]} {BAR}"
    text = one.text[one.stamp :].removesuffix(b"\r")
    left = one.end - one.offset - one.stamp - _OF_A_LINE - 1
    rest = f" [... {left} bytes more]" if left > 1 else ""
    return f"{head} {visible(one.sender or UNKNOWN)[:_OF_A_NAME]} {visible(text[:_OF_A_LINE])}{rest}"
