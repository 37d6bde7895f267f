"""Who said what when: the one place that answers it, of a recording that runs, is dead or past.

Rules kept here:

- A line is in an answer by its own first byte: its time and sender are those of the run that this is in.
- What is not known is None, and never guessed. A line whose time is unknown is in a stretch of time if it
  stands in that of the file; one whose sender is unknown is nobody's.
- Answers are streams. A file that is cut, replaced or added to meanwhile gives what it has when it is read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..recordings.registry import Recording
from . import lines
from .gaps import Gap, gaps_of
from .known import Known

__all__ = ["Gap", "History", "Line", "Question"]


@dataclass(frozen=True)
class Question:
    """What is asked for; all of it has to be true of a line."""

    #: Seconds of the epoch, both included.
    since: float | None = None
    until: float | None = None
    #: Names or addresses; empty: everybody.
    senders: frozenset[str] = frozenset()
    #: A regular expression, of bytes; empty: every line.
    grep: str = ""
    #: Our own lines, by which a path was proved, too.
    probes: bool = False


class Line(NamedTuple):
    """A line, and what is known of it."""

    #: Where it begins in the file, and where the next one does.
    offset: int
    end: int
    #: Without its newline, and of a longer one the first MiB.
    text: bytes
    #: When it came, in seconds of the epoch; None if that is unknown.
    time: float | None
    #: Who said it, by name if there is one; None if that is unknown.
    sender: str | None
    #: Bytes at the beginning of `text` that are a stamp of ours.
    stamp: int = 0


class History:
    """The lines and gaps of one recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.file = recording.file
        self._known = Known(recording)

    @property
    def size(self) -> int:
        """Bytes of the file now; 0 if there is none."""
        with contextlib.suppress(OSError):
            return os.stat(self.file).st_size
        return 0

    def gaps(self) -> list[Gap]:
        """Return all that is missing, by time, placed where the next known line is."""
        size = self.size
        return [
            gap._replace(offset=self._known.place(gap.time, size)) for gap in gaps_of(self.recording.folder)
        ]

    def senders(self) -> dict[str, int]:
        """Return the bytes of each sender, as far as they are known."""
        return self._known.senders()

    def at(self, time: float) -> int:
        """Return the offset of the first line at or after `time`; the file's size if there is none."""
        with self._opened() as fd:
            size = os.fstat(fd).st_size
            return lines.next_line(fd, min(self._known.seek(time), size), size)

    def forward(self, question: Question, begin: int, end: int | None = None) -> Iterator[Line | Gap]:
        """Yield what begins in [begin, end), lines and the gaps between them.

        Raises OSError if the file can't be read, UsageError for an expression that is none, and
        TooLongError for one that takes for ever.
        """
        with self._opened() as fd:
            size = os.fstat(fd).st_size
            end = size if end is None else min(end, size)
            gaps = [gap for gap in reversed(self.gaps()) if begin <= gap.offset < end]
            for line in self._lines(fd, question, begin, end):
                while gaps and gaps[-1].offset <= line.offset:
                    yield gaps.pop()
                yield line
            yield from reversed(gaps)

    def back(self, question: Question, end: int, count: int) -> list[Line | Gap]:
        """Return the last `count` lines that end before `end`, ascending, and the gaps between them."""
        found: list[Line | Gap] = []
        with self._opened() as fd:
            begin = min(end, os.fstat(fd).st_size)
            step = lines.BLOCK
            while begin > 0 and sum(isinstance(one, Line) for one in found) < count:
                before = lines.line_before(fd, max(1, begin - step)) if begin > step else 0
                found = [*self.forward(question, before, begin), *found]
                begin, step = before, min(4 * step, 64 * lines.BLOCK)
        while sum(isinstance(one, Line) for one in found) > count:
            found.pop(0)
        return found

    def matches(self, question: Question, begin: int, end: int, within: float) -> Iterator[Line]:
        """Yield the lines that begin in [begin, end), for at most `within` seconds; raises as `forward`.

        TooLongError tells in `reached` how far it came.
        """
        yield from (one for one in self.forward(question, begin, end) if isinstance(one, Line))

    def timeline(self, begin_ms: int, end_ms: int, buckets: int) -> list[dict[str, int]]:
        """Return the bytes of each sender (`` if unknown) in each of `buckets` equal stretches of time."""
        return self._known.timeline(begin_ms, end_ms, buckets, self.size)

    def _lines(self, fd: int, question: Question, begin: int, end: int) -> Iterator[Line]:
        import re

        expression = re.compile(os.fsencode(question.grep)) if question.grep else None
        begin = lines.next_line(fd, begin, end)
        for raw in lines.forward(fd, begin, end):
            time, sender, stamp = self._known.of(raw)
            line = Line(*raw, time, sender, stamp)
            if expression is not None and not expression.search(raw.text.removesuffix(b"\r")):
                continue
            yield line

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        fd = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            yield fd
        finally:
            os.close(fd)
