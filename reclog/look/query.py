"""Who said what when: the one place that answers it, of a recording that runs, is dead or past.

A recording is its pieces and its file; offsets are those of all of it (`text`).

Rules kept here:

- A line is in an answer by its own first byte: its time and sender are those of the run that this is in.
- What is not known is None, and never guessed. A line whose time is unknown is in a stretch of time if it
  stands in that of the file; one whose sender is unknown is nobody's.
- Answers are streams. A file that is cut, replaced or added to meanwhile gives what it has when it is read.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..console import size
from ..errors import TooLongError
from ..recordings.recording import Recording
from . import lines, search
from .gaps import Gap, gaps_of
from .known import Known
from .order import Line, last, merged
from .text import Hole, Text

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
    def reach(self) -> tuple[int, int]:
        """Where the oldest byte is that is still there, and where the next one will be; 0 if nothing is."""
        with contextlib.suppress(OSError, ValueError), self.opened() as text:
            return text.begin, text.end
        return 0, 0

    @property
    def end(self) -> int:
        """Where the next byte will be."""
        return self.reach[1]

    @property
    def length(self) -> int:
        """Bytes that are there, about: of a piece that is missing in between nobody knows here."""
        begin, end = self.reach
        return end - begin

    def may_be_stamped(self) -> bool:
        """Tell whether stamps in the text are believed where the index tells nothing."""
        with contextlib.suppress(OSError, ValueError), self.opened() as text:
            return self.known.may_be_stamped(text)
        return False

    def gaps(self) -> list[Gap]:
        """Return what is missing, by time, placed before the next line that is known. Raises OSError."""
        with self.opened() as text:
            return self.gaps_of(text)

    def senders(self) -> dict[str, int]:
        """Return the bytes of each sender, as far as they are known."""
        with contextlib.suppress(OSError, ValueError), self.opened() as text:
            return self.known.senders(text)
        return {}

    def indexed(self) -> int:
        """Return up to which offset the index knows; 0 if there is none."""
        with contextlib.suppress(OSError, ValueError), self.opened() as text:
            return self.known.indexed(text)
        return 0

    def is_dated(self) -> bool:
        """Tell whether the time of any line is known."""
        with contextlib.suppress(OSError, ValueError), self.opened() as text:
            return self.known.tells(text)
        return False

    def at(self, when: float) -> int:
        """Return the offset of the first line at or after `when`; the end if there is none."""
        with self.opened() as text:
            return lines.next_line(text, self.known.seek(text, when), text.end)

    def forward(self, question: Question, begin: int, end: int | None = None) -> Iterator[Line | Gap]:
        """Yield what begins in [begin, end): lines, and the gaps between them.

        Raises OSError if the file can't be read, UsageError for an expression that is none, and TooLongError
        for one that takes for ever.
        """
        with self.opened() as text:
            yield from self.read(text, question, begin, end)

    def back(self, question: Question, end: int, count: int) -> list[Line | Gap]:
        """Return the last `count` lines that end before `end`, ascending, and the gaps between them.

        Raises as `forward`.
        """
        with self.opened() as text:
            return self.read_back(text, question, end, count)

    def matches(self, question: Question, begin: int, end: int, within: float) -> Iterator[Line]:
        """Yield the lines that begin in [begin, end), for at most `within` seconds.

        Raises as `forward`; TooLongError tells in `reached` how far it came.
        """
        with self.opened() as text:
            for one in self._lines(text, question, begin, min(end, text.end), within):
                if isinstance(one, Line):
                    yield one

    def timeline(self, begin_ms: int, end_ms: int, buckets: int) -> list[dict[str, int]]:
        """Return the bytes of each sender (`` if unknown) in each of `buckets` equal stretches of time."""
        try:
            with self.opened() as text:
                return self.known.timeline(text, begin_ms, end_ms, buckets)
        except FileNotFoundError:
            return [{} for _ in range(buckets)]

    @contextlib.contextmanager
    def opened(self) -> Iterator[Text]:
        """Have what is there open, whatever happens to its name. Raises OSError."""
        with contextlib.closing(Text(str(self.recording.folder), self.file)) as text:
            yield text

    def read(
        self, text: Text, question: Question, begin: int, end: int | None = None
    ) -> Iterator[Line | Gap]:
        """Do as `forward`, of what is open."""
        end = text.end if end is None else min(end, text.end)
        gaps = [gap for gap in self.gaps_of(text) if begin <= gap.offset < end]
        yield from merged(question.since, question.until, self._lines(text, question, begin, end), gaps)

    def read_back(self, text: Text, question: Question, end: int, count: int) -> list[Line | Gap]:
        """Do as `back`, of what is open."""
        if end < text.end:  # what ends behind it is not meant
            end = lines.line_before(text, end + 1)
        end = min(end, text.end)
        # Lines are in [low, high) alone, gaps may be elsewhere.
        low, high = self._bounds(text, question, 0, end)
        gaps = self.gaps_of(text)
        found: deque[Line | Gap] = deque()
        number, step = 0, lines.BLOCK
        while number <= count and end > 0:
            begin = high if end > high else max(low, end - step) if end > low else 0
            these = [gap for gap in gaps if begin <= gap.offset < end]
            new = last(
                merged(question.since, question.until, self._lines(text, question, begin, end), these),
                count + 1 - number,
            )
            number += sum(isinstance(one, Line) for one in new)
            found.extendleft(reversed(new))
            end, step = begin, 4 * step
        return list(last(found, count)) if count > 0 else []

    def gaps_of(self, text: Text) -> list[Gap]:
        """Do as `gaps`, of what is open."""
        holes = [self.hole(text, hole) for hole in text.holes()]
        gaps = gaps_of(self.recording.folder)[-MOST_GAPS:]
        if not gaps or not self.known.tells(text):
            return holes + gaps
        behind = self.known.seek(text, _EVER)
        # What has no place any more, as all that stood around it was let go of.
        first = self.known.first(text, text.begin) if text.begin else None
        placed = {}
        for gap in gaps:
            where = self._placed.get(gap, -1)
            if first is not None and gap.time is not None and gap.time < first:
                placed[gap] = -1
                continue
            if where < text.begin and gap.time is not None:
                where = self.known.seek(text, gap.time)
            placed[gap] = where if where < behind else text.end  # nothing known has come since
        self._placed = {gap: where for gap, where in placed.items() if where < text.end}
        return holes + [gap._replace(offset=where) for gap, where in placed.items()]

    def hole(self, text: Text, hole: Hole) -> Gap:
        """Return what states a hole; its time is that of what comes behind it."""
        words = f"{size(hole.end - hole.begin)} {hole.why}"
        return Gap(hole.end, self.known.first(text, hole.end), None, words, is_hole=True)

    def _bounds(self, text: Text, question: Question, begin: int, end: int) -> tuple[int, int]:
        """Return in which stretch of [begin, end) a line may be in the answer."""
        if question.since is not None:
            begin = max(begin, self.known.seek(text, question.since))
        if question.until is not None:
            behind = self.known.seek(text, question.until + 0.0005)
            if behind < self.known.seek(text, _EVER):
                end = min(end, behind)
        return begin, end

    def _lines(
        self, text: Text, question: Question, begin: int, end: int, within: float | None = None
    ) -> Iterator[Line | Gap]:
        """Yield the lines that begin in [begin, end) and are meant, and what turns out to be gone."""
        begin, end = self._bounds(text, question, begin, end)
        late = _EVER if within is None else time.monotonic() + within
        walk, senders = self.known.walk(text, begin, end), self.known.called(question.senders)
        since, until = question.since, question.until
        for raw in self._raws(text, question, begin, end, within):
            if isinstance(raw, Gap):
                yield raw
                continue
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

    def _raws(
        self, text: Text, question: Question, begin: int, end: int, within: float | None
    ) -> Iterator[lines.Raw | Gap]:
        """Yield what begins in [begin, end), from one hole to the next."""
        at = lines.next_line(text, begin, end)
        while at < end and (run := text.run(at)) is not None and run[0] < end:
            at, high = max(at, run[0]), min(end, run[1])
            if question.grep:
                yield from lines.lines_at(text, search.offsets(text, question.grep, at, high, within))
                run = text.run(at)  # shorter, if a piece was gone
                at = min(high, run[1]) if run is not None and run[0] <= at else at
            else:
                for raw in lines.forward(text, at, high):
                    yield raw
                    at = raw.end
            if at < high:
                if not text.lacks(at):
                    return  # the file was cut off
                run = text.run(at)
                behind = run[0] if run else high
                yield self.hole(text, text.hole(at, behind))
                at = behind


def _is_probe(text: bytes) -> bool:
    """Tell whether a line is one of those by which a path is proved."""
    return re.fullmatch(_PROBE + rb"[0-9a-f]{16}\r?", text) is not None
