"""Who said what when: the one place that answers it, of a recording that runs, is dead or past.

Rules kept here:

- A line is in an answer by its own first byte: its time and sender are those of the run that this is in.
- What is not known is None, and never guessed. A line whose time is unknown is in a stretch of time if it
  stands in that of the file; one whose sender is unknown is nobody's.
- Answers are streams. A file that is cut, replaced or added to meanwhile gives what it has when it is read.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import TooLongError
from ..recordings.recording import Recording
from . import lines, search
from .gaps import Gap, gaps_of
from .known import Known

__all__ = ["Gap", "History", "Line", "Question"]

#: Gaps that are placed: the newest.
MOST_GAPS = 2000
_EVER = math.inf
_PROBE = b"reclog probe "


@dataclass(frozen=True)
class Question:
    """What is asked for; all of it has to be true of a line."""

    #: Seconds of the epoch, both included. It is a stretch of the file, too: from the first line that
    #: came since on, up to the first that came later.
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
        #: The recorded file; empty if nothing tells which it is.
        self.file = recording.file
        self.known = Known(recording)
        # Where gaps belong, once that can't change.
        self._placed: dict[Gap, int] = {}

    @property
    def size(self) -> int:
        """Bytes of the file now; 0 if there is none."""
        with contextlib.suppress(OSError, ValueError):
            return os.stat(self.file).st_size
        return 0

    def gaps(self) -> list[Gap]:
        """Return what is missing, by time, placed before the next line that is known. Raises OSError."""
        with self.opened() as fd:
            return self.gaps_of(fd)

    def senders(self) -> dict[str, int]:
        """Return the bytes of each sender, as far as they are known."""
        return self.known.senders()

    def is_dated(self) -> bool:
        """Tell whether the time of any line is known."""
        with contextlib.suppress(OSError, ValueError), self.opened() as fd:
            return self.known.tells(fd, os.fstat(fd).st_size)
        return False

    def at(self, when: float) -> int:
        """Return the offset of the first line at or after `when`; the file's size if there is none."""
        with self.opened() as fd:
            size = os.fstat(fd).st_size
            return lines.next_line(fd, self.known.seek(fd, when, size), size)

    def forward(self, question: Question, begin: int, end: int | None = None) -> Iterator[Line | Gap]:
        """Yield what begins in [begin, end): lines, and the gaps between them.

        Raises OSError if the file can't be read, UsageError for an expression that is none, and TooLongError
        for one that takes for ever.
        """
        with self.opened() as fd:
            yield from self.read(fd, question, begin, end)

    def back(self, question: Question, end: int, count: int) -> list[Line | Gap]:
        """Return the last `count` lines that end before `end`, ascending, and the gaps between them.

        Raises as `forward`.
        """
        with self.opened() as fd:
            return self.read_back(fd, question, end, count)

    def matches(self, question: Question, begin: int, end: int, within: float) -> Iterator[Line]:
        """Yield the lines that begin in [begin, end), for at most `within` seconds.

        Raises as `forward`; TooLongError tells in `reached` how far it came.
        """
        with self.opened() as fd:
            yield from self._lines(fd, question, begin, min(end, os.fstat(fd).st_size), within)

    def timeline(self, begin_ms: int, end_ms: int, buckets: int) -> list[dict[str, int]]:
        """Return the bytes of each sender (`` if unknown) in each of `buckets` equal stretches of time."""
        return self.known.timeline(begin_ms, end_ms, buckets, self.size)

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """Have the file open, whatever happens to its name. Raises OSError."""
        fd = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            yield fd
        finally:
            os.close(fd)

    def read(self, fd: int, question: Question, begin: int, end: int | None = None) -> Iterator[Line | Gap]:
        """Do as `forward`, on a file that is open."""
        size = os.fstat(fd).st_size
        end = size if end is None else min(end, size)
        gaps = [gap for gap in self.gaps_of(fd) if begin <= gap.offset < end]
        yield from _merged(question, self._lines(fd, question, begin, end), gaps)

    def read_back(self, fd: int, question: Question, end: int, count: int) -> list[Line | Gap]:
        """Do as `back`, on a file that is open."""
        size = os.fstat(fd).st_size
        if end < size:  # what ends behind it is not meant
            end = lines.line_before(fd, end + 1)
        end = min(end, size)
        # Lines are in [low, high) alone, gaps may be elsewhere.
        low, high = self._bounds(fd, question, 0, end)
        gaps = self.gaps_of(fd)
        found: deque[Line | Gap] = deque()
        number, step = 0, lines.BLOCK
        while number <= count and end > 0:
            begin = high if end > high else max(low, end - step) if end > low else 0
            these = [gap for gap in gaps if begin <= gap.offset < end]
            new = _last(_merged(question, self._lines(fd, question, begin, end), these), count + 1 - number)
            number += sum(isinstance(one, Line) for one in new)
            found.extendleft(reversed(new))
            end, step = begin, 4 * step
        return list(_last(found, count)) if count > 0 else []

    def gaps_of(self, fd: int) -> list[Gap]:
        """Do as `gaps`, on a file that is open."""
        size = os.fstat(fd).st_size
        gaps = gaps_of(self.recording.folder)[-MOST_GAPS:]
        if not gaps or not self.known.tells(fd, size):
            return gaps
        behind = self.known.seek(fd, _EVER, size)
        placed = {}
        for gap in gaps:
            where = self._placed.get(gap, -1)
            if where < 0 and gap.time is not None:
                where = self.known.seek(fd, gap.time, size)
            placed[gap] = where if where < behind else size  # nothing known has come since
        self._placed = {gap: where for gap, where in placed.items() if where < size}
        return [gap._replace(offset=where) for gap, where in placed.items()]

    def _bounds(self, fd: int, question: Question, begin: int, end: int) -> tuple[int, int]:
        """Return in which stretch of [begin, end) a line may be in the answer."""
        size = os.fstat(fd).st_size
        if question.since is not None:
            begin = max(begin, self.known.seek(fd, question.since, size))
        if question.until is not None:
            behind = self.known.seek(fd, question.until + 0.0005, size)
            if behind < self.known.seek(fd, _EVER, size):
                end = min(end, behind)
        return begin, end

    def _lines(
        self, fd: int, question: Question, begin: int, end: int, within: float | None = None
    ) -> Iterator[Line]:
        """Yield the lines that begin in [begin, end) and are meant."""
        begin, end = self._bounds(fd, question, begin, end)
        begin = lines.next_line(fd, begin, end)
        late = _EVER if within is None else time.monotonic() + within
        if question.grep:
            raws = lines.lines_at(fd, search.offsets(fd, question.grep, begin, end, within))
        else:
            raws = lines.forward(fd, begin, end)
        walk, senders = self.known.walk(begin, end), self.known.called(question.senders)
        since, until = question.since, question.until
        for raw in raws:
            if late < _EVER and time.monotonic() > late:
                raise TooLongError(
                    f"The search takes too long: it has come to byte {raw.offset}.", raw.offset
                )
            when, sender, stamp = walk.of(raw)
            if senders and sender not in senders:
                continue
            if when is not None and (
                (since is not None and when < since) or (until is not None and when > until)
            ):
                continue
            if raw.text.startswith(_PROBE, stamp) and not question.probes and _is_probe(raw.text[stamp:]):
                continue
            yield Line(raw.offset, raw.end, raw.text, when, sender, stamp)


def _merged(question: Question, found: Iterator[Line], gaps: list[Gap]) -> Iterator[Line | Gap]:
    """Yield lines with those of the gaps, in their places, that are in the time that is asked for."""
    since, until = question.since or 0.0, _EVER if question.until is None else question.until
    meant = [
        gap
        for gap in gaps
        if gap.time is None or (gap.time <= until and gap.time + (gap.seconds or 0.0) >= since)
    ]
    left = deque(sorted(meant, key=lambda gap: gap.offset))
    for line in found:
        while left and left[0].offset <= line.offset:
            yield left.popleft()
        yield line
    yield from left


def _last(found: Iterable[Line | Gap], count: int) -> deque[Line | Gap]:
    """Return the last `count` lines, and the gaps before each and behind the last."""
    kept: deque[Line | Gap] = deque()
    number = 0
    for one in found:
        kept.append(one)
        number += isinstance(one, Line)
        while number > count:
            number -= isinstance(kept.popleft(), Line)
    return kept


def _is_probe(text: bytes) -> bool:
    """Tell whether a line is one of those by which a path is proved."""
    return re.fullmatch(_PROBE + rb"[0-9a-f]{16}\r?", text) is not None
