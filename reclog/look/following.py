"""What comes to a recording while somebody looks on: its new lines, and the gaps as they are stated.

Rules kept here:

- Each line once and whole: what has no newline yet is not given before it is over (`rest`).
- The index is a moment behind the file. A line that it does not know yet waits a little, so that its sender
  and its time are told; where it comes no further, lines are given without.
- A file that is renamed or removed is read to its end before the next one is, from its beginning; one that is
  truncated is read anew. One that is not there is waited for.
- Nobody waits in here: who follows several recordings, or draws beside it, asks again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from . import lines
from .gaps import Gap, gaps_of
from .query import History, Line, Question

#: Seconds for which a line waits for the index.
INDEXED_WITHIN = 0.25


class Following:
    """One recording, from an offset of its file on."""

    def __init__(self, history: History, question: Question, begin: int) -> None:
        """`begin` is where a line begins."""
        self._history = history
        self._question = question
        self._opened = contextlib.ExitStack()
        self._fd = -1
        self._at = begin
        # Where the last whole line ends, of what is before `_looked`.
        self._ended = self._looked = begin
        self._stated = set(gaps_of(history.recording.folder))
        # How far the index was when a line began to wait for it, and when; and where none waits any more.
        self._indexed, self._waits_since, self._stale = -1, 0.0, -1

    def last(self, count: int, goes_on: bool) -> Iterator[Line | Gap]:
        """Yield the last `count` lines, to begin with, and what is missing behind them. Raises as `new`.

        If it `goes_on`, what is not whole yet is given later.
        """
        if self._fd < 0 and not self._open():
            return
        end = self._whole() if goes_on else os.fstat(self._fd).st_size
        yield from self._history.read_back(self._fd, self._question, end, count)
        self._at = end
        yield from (gap for gap in self._history.gaps_of(self._fd) if gap.offset >= end)

    def new(self) -> Iterator[Line | Gap]:
        """Yield what has come since the last time. Raises as `History.forward`."""
        yield from self._gaps()
        if self._fd < 0 and not self._open():
            return
        yield from self._read(self._known(self._whole()))
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
            self._at = self._looked = self._ended = 0
        self._ended = lines.last_end(self._fd, self._looked, size) or max(self._ended, self._at)
        self._looked = size
        return self._ended

    def _known(self, whole: int) -> int:
        """Return up to where lines need not wait for the index, which may be up to `whole`."""
        known, now = self._history.known.indexed(), time.monotonic()
        if not known or known >= whole or known == self._stale:
            return whole
        if known != self._indexed:
            self._indexed, self._waits_since = known, now
        elif now - self._waits_since >= INDEXED_WITHIN:
            self._stale = known
            return whole
        return max(self._at, lines.next_line(self._fd, max(known, self._at), whole))

    def _open(self) -> bool:
        try:
            self._fd = self._opened.enter_context(self._history.opened())
        except FileNotFoundError:
            return False
        return True

    def _leave(self, at: int) -> None:
        self._opened.close()
        self._fd, self._at, self._ended, self._looked = -1, at, at, at

    def _was_replaced(self) -> bool:
        """Tell whether another file has its name; if none has, one is waited for."""
        try:
            return not os.path.samestat(os.fstat(self._fd), os.stat(self._history.file))
        except FileNotFoundError:
            return False
