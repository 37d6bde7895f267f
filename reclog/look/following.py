"""What comes to a recording while somebody looks on: its new lines, and the gaps as they are stated.

Rules kept here:

- Each line once and whole: what has no newline yet is not given before it is over (`rest`).
- The index is a moment behind the file. A line that it does not know yet waits a little, so that its sender
  and its time are told; where it comes no further, lines are given without.
- What rotation sets aside goes on in the next file, at the same offset; what --keep removed before it was
  given is stated. A file that somebody else renames or removes is read to its end before the next one is,
  from its beginning; one that is truncated is read anew. One that is not there is waited for.
- Nobody waits in here: who follows several recordings, or draws beside it, asks again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from . import lines
from .gaps import Gap, gaps_of
from .query import History, Line, Question
from .text import Text

#: Seconds for which a line waits for the index.
INDEXED_WITHIN = 0.25


class Following:
    """One recording, from an offset on."""

    def __init__(self, history: History, question: Question, begin: int) -> None:
        """`begin` is where a line begins."""
        self._history = history
        self._question = question
        self._opened = contextlib.ExitStack()
        self._text: Text | None = None
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
        text = self._current()
        if text is None:
            return
        end = self._whole(text) if goes_on else text.end
        yield from self._history.read_back(text, self._question, end, count)
        self._at = end
        yield from (gap for gap in self._history.gaps_of(text) if gap.offset >= end)

    def new(self) -> Iterator[Line | Gap]:
        """Yield what has come since the last time. Raises as `History.forward`."""
        yield from self._gaps()
        if (text := self._current()) is not None:
            yield from self._read(text, self._known(text, self._whole(text)))
            if not text.is_current:
                yield from self._leave(text)

    def rest(self) -> Iterator[Line | Gap]:
        """Yield what is left, when nothing will complete it."""
        yield from self.new()
        if (text := self._current()) is not None:
            yield from self._read(text, text.end)

    def left(self) -> int:
        """Return the bytes that were not given yet."""
        return max(0, self._text.end - self._at) if self._text is not None else 0

    def close(self) -> None:
        """Let go of what is open."""
        self._opened.close()
        self._text = None

    def _current(self) -> Text | None:
        """Return what is open; None if nothing is there."""
        if self._text is None:
            with contextlib.suppress(FileNotFoundError):
                self._text = self._opened.enter_context(self._history.opened())
        return self._text

    def _leave(self, text: Text) -> Iterator[Line | Gap]:
        """Go on with the file that has the name now."""
        try:
            with self._history.opened() as now:
                base = now.base
        except FileNotFoundError:
            return
        if base == text.base:  # somebody else renamed it, and what is there now begins where it did
            yield from self._read(text, text.end)
            self._at = self._looked = self._ended = base
        self.close()

    def _gaps(self) -> Iterator[Gap]:
        gaps = gaps_of(self._history.recording.folder)
        yield from (gap for gap in gaps if gap not in self._stated)
        self._stated = set(gaps)

    def _read(self, text: Text, end: int) -> Iterator[Line | Gap]:
        """Yield the lines up to `end`."""
        run = text.run(self._at)
        if end <= self._at or run is None or run[0] >= end:
            return
        if run[0] > self._at:
            yield self._history.hole(text, text.hole(self._at, run[0]))
            self._at = run[0]
        for one in self._history.read(text, self._question, self._at, end):
            # Gaps come when they are stated, wherever they are placed; but for what went before it was given.
            if isinstance(one, Gap) and (not one.is_hole or one.offset <= self._at):
                continue
            self._at = one.end if isinstance(one, Line) else one.offset
            yield one
        self._at = end

    def _whole(self, text: Text) -> int:
        """Return where the last whole line ends."""
        end = text.end
        if end < self._at:  # it was truncated
            self._at = self._looked = self._ended = text.base
        self._ended = lines.last_end(text, self._looked, end) or max(self._ended, self._at)
        self._looked = end
        return self._ended

    def _known(self, text: Text, whole: int) -> int:
        """Return up to where lines need not wait for the index, which may be up to `whole`."""
        known, now = self._history.known.indexed(text), time.monotonic()
        if not known or known >= whole or known == self._stale:
            return whole
        if known != self._indexed:
            self._indexed, self._waits_since = known, now
        elif now - self._waits_since >= INDEXED_WITHIN:
            self._stale = known
            return whole
        return max(self._at, lines.next_line(text, max(known, self._at), whole))
