"""What comes to a recording while somebody looks on: its new lines, and the gaps as they are stated.

Rules kept here:

- Each line once and whole: what has no newline yet is not given before it is over (`rest`).
- A file that is renamed or removed is read to its end before the next one is, from its beginning; one that is
  truncated is read anew. One that is not there is waited for.
- Nobody waits in here: who follows several recordings, or draws beside it, asks again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from . import lines
from .gaps import Gap, gaps_of
from .query import History, Line, Question


class Following:
    """One recording, from an offset of its file on."""

    def __init__(self, history: History, question: Question, begin: int) -> None:
        """`begin` is where a line begins."""
        self._history = history
        self._question = question
        self._opened = contextlib.ExitStack()
        self._fd = -1
        self._at = begin
        # In what is before this there is no newline behind `_at`.
        self._looked = begin
        self._stated = set(gaps_of(history.recording.folder))

    def new(self) -> Iterator[Line | Gap]:
        """Yield what has come since the last time. Raises as `History.forward`."""
        yield from self._gaps()
        if self._fd < 0 and not self._open():
            return
        yield from self._read(self._whole())
        if self._was_replaced():
            yield from self._read(os.fstat(self._fd).st_size)
            self._leave(0)

    def rest(self) -> Iterator[Line | Gap]:
        """Yield what is left, when nothing will complete it."""
        yield from self.new()
        if self._fd >= 0:
            yield from self._read(os.fstat(self._fd).st_size)

    def left(self) -> int:
        """Return the bytes of the file that were not given yet."""
        return max(0, os.fstat(self._fd).st_size - self._at) if self._fd >= 0 else 0

    def close(self) -> None:
        """Let go of the file."""
        self._leave(self._at)

    def _gaps(self) -> Iterator[Gap]:
        gaps = gaps_of(self._history.recording.folder)
        yield from (gap for gap in gaps if gap not in self._stated)
        self._stated = set(gaps)

    def _read(self, end: int) -> Iterator[Line]:
        """Yield the lines up to `end`."""
        if end <= self._at:
            return
        for one in self._history.read(self._fd, self._question, self._at, end):
            if isinstance(one, Line):  # gaps come when they are stated, wherever they are placed
                self._at = one.end
                yield one
        self._at = end

    def _whole(self) -> int:
        """Return where the last whole line ends."""
        size = os.fstat(self._fd).st_size
        if size < self._at:  # it was truncated
            self._at = self._looked = 0
        end = position = size
        while position > self._looked:
            step = min(lines.BLOCK, position - self._looked)
            position -= step
            found = os.pread(self._fd, step, position).rfind(b"\n")
            if found >= 0:
                end = position + found + 1
                break
        else:
            end = self._at
        self._looked = size
        return end

    def _open(self) -> bool:
        try:
            self._fd = self._opened.enter_context(self._history.opened())
        except FileNotFoundError:
            return False
        return True

    def _leave(self, at: int) -> None:
        self._opened.close()
        self._fd, self._at, self._looked = -1, at, at

    def _was_replaced(self) -> bool:
        """Tell whether another file has its name; if none has, one is waited for."""
        try:
            return not os.path.samestat(os.fstat(self._fd), os.stat(self._history.file))
        except FileNotFoundError:
            return False
