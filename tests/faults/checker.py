"""What a recording is worth: which lines are lost, doubled, torn, reordered, invented.

Each connection's lines must be there from the first to the last that it is owed, each once, in order. What it
is owed depends on what was done meanwhile (design: the scope of the promises):

- nothing, or any fault but the two below: all that its receiver's kernel had accepted;
- a stop: all that had been accepted when the stop began;
- a process that held its bytes was killed: all that had been accepted a moment before (`SETTLES_WITHIN`).
  After that the connection is dead: what is missing is one hole at its end, in which half a line may stand.

Datagrams may be missing anywhere, but for a kill or a stop exactly as many as were said to be dropped.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from workload import Stream, line_of

#: Seconds after which what a healthy receiver's kernel accepted is in a file, and read to the sender's end.
SETTLES_WITHIN = 0.5
_HEAD = re.compile(rb"(\d+\.\d+) (\d+) ")

VERDICTS = ("lost", "doubled", "torn", "reordered", "invented")


@dataclasses.dataclass(frozen=True)
class Moment:
    """A time (monotonic) at which more may go than what is on its way."""

    at: float
    #: From then on connections are to what was started anew.
    until: float
    #: Seconds before `at` from which on accepted bytes may be missing; 0 for a stop.
    settles: float = SETTLES_WITHIN
    #: Whether only connections that broke then are meant: one process of many was hit.
    broken_only: bool = False


@dataclasses.dataclass
class Verdict:
    """Counts, and the first example of each."""

    owed: int = 0
    recorded: int = 0
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)
    #: When the lines that are there had been accepted, and when those that are not as they should be.
    times: list[float] = dataclasses.field(default_factory=list)
    blamed: list[tuple[str, float, int]] = dataclasses.field(default_factory=list)

    @property
    def good(self) -> bool:
        return not any(self.counts.values())

    def blame(self, what: str, example: str, count: int = 1, at: float = 0.0) -> None:
        """Count a violation; `at` (monotonic) is about when the line was accepted."""
        if count:
            self.counts[what] += count
            self.examples.setdefault(what, example)
            self.blamed.append((what, at, count))

    def __str__(self) -> str:
        bad = [
            f"{what}: {self.counts[what]} ({self.examples[what]})" for what in VERDICTS if self.counts[what]
        ]
        return f"{self.recorded} lines recorded, {self.owed} owed; {'; '.join(bad) or 'all is well'}"


def check(
    files: Iterable[bytes],
    streams: Sequence[Stream],
    moments: Sequence[Moment] = (),
    destroyed: Iterable[bytes] = (),
    foreign: Callable[[bytes], bool] = lambda line: False,
    dropped: int = 0,
) -> Verdict:
    """Return the verdict on `files`, in the order in which they were written.

    `dropped` is how many of the streams' datagrams are said to be missing.

    `destroyed` is what somebody took out of a file: its lines are owed no more, and may be there again.
    `foreign` tells lines, without their newline, that others wrote into the file.
    """
    verdict = Verdict()
    by_key = {stream.key: stream for stream in streams}
    found: dict[bytes, list[int]] = defaultdict(list)
    strange: list[tuple[bytes, float]] = []
    at = 0.0
    for content in files:
        for line in _lines(content):
            head = _HEAD.match(line)
            key, number = (head[1], int(head[2])) if head else (b"", 0)
            if key in by_key and number < len(by_key[key].ends) and line == line_of(key, number):
                found[key].append(number)
                at = by_key[key].accepted_at(number)
            elif not foreign(line.rstrip(b"\r\n")):
                strange.append((line, at))
    gone = {(head[1], int(head[2])) for line in _all_lines(destroyed) if (head := _HEAD.match(line))}
    cut = [one for one in streams if not one.datagrams and _owed(one, moments) < len(one.ends)]
    last = {stream.key: max(found[stream.key], default=-1) for stream in cut}
    for one, number in gone:
        last[one] = max(last.get(one, -1), number)
    strange = [(line, after) for line, after in strange if not _ends_one(line, cut, last)]
    if strange:
        missing = _missing(streams, found)
        for line, after in strange:
            shown = f"{line[:60]!r}{'…' if len(line) > 60 else ''} of {len(line)} bytes"
            verdict.blame("torn" if _is_of(line, missing) else "invented", shown, 1, after)
    unheard: list[tuple[Stream, int]] = []
    for stream in streams:
        numbers = _judge_stream(verdict, stream, found[stream.key], _owed(stream, moments), gone)
        unheard += [(stream, number) for number in numbers]
    _judge_datagrams(verdict, unheard, moments, dropped)
    return verdict


def _judge_datagrams(
    verdict: Verdict, unheard: list[tuple[Stream, int]], moments: Sequence[Moment], dropped: int
) -> None:
    """Of those that are missing each was dropped, and counted, or came at a stop or a kill."""
    owed = [one for one in unheard if not _came_at(one[0].accepted_at(one[1]), moments)]
    for stream, number in owed[dropped:]:
        example = (
            f"datagram {stream.key.decode()} {number}; {len(owed)} missing, {dropped} said to be dropped"
        )
        verdict.blame("lost", example, 1, stream.accepted_at(number))
    more = dropped - len(unheard)
    verdict.blame("invented", f"{more} datagrams are said to be dropped and are there", max(0, more), 0.0)


def _came_at(at: float, moments: Sequence[Moment]) -> bool:
    # It is known to be accepted only when it has not been refused for a while.
    return any(
        not one.broken_only and one.at - one.settles <= at <= one.until + SETTLES_WITHIN for one in moments
    )


def _owed(stream: Stream, moments: Sequence[Moment]) -> int:
    """Return how many of the stream's first lines must be there."""
    owed = stream.lines_accepted()
    if stream.datagrams:
        return owed
    ended = stream.ended if stream.ended is not None else float("inf")
    for moment in moments:
        from_then = moment.at - moment.settles
        hit = stream.began <= moment.until and ended >= from_then
        if moment.broken_only:
            hit = hit and stream.broken and ended <= moment.until
        if hit:
            owed = min(owed, stream.lines_accepted(from_then))
    return owed


def _judge_stream(
    verdict: Verdict, stream: Stream, numbers: list[int], owed: int, gone: set[tuple[bytes, int]]
) -> list[int]:
    """Judge all but which datagrams are missing: those are returned."""
    key = stream.key.decode()
    verdict.owed += owed
    verdict.recorded += len(numbers)
    times = Counter(numbers)
    for number, count in times.items():
        at = stream.accepted_at(number)
        verdict.times.append(at)
        verdict.blame("doubled", f"{key} {number} is there {count} times", count - 1, at)
    first_ones = list(dict.fromkeys(numbers))
    for one, other in itertools.pairwise(first_ones):
        at = stream.accepted_at(other)
        verdict.blame("reordered", f"{key} {other} comes after {one}", int(other < one), at)
    # Below the last that is there nothing is missing, whatever was owed: a hole is at the end only.
    due = max(owed, max(times, default=-1) + 1)
    taken = [n for n in range(len(stream.ends)) if n not in times and (stream.key, n) in gone]
    verdict.recorded += len(taken)
    verdict.times += [stream.accepted_at(number) for number in taken]
    missing = [n for n in range(due) if n not in times and (stream.key, n) not in gone]
    if missing and not stream.datagrams:
        example = f"{key} {missing[0]} of {len(stream.ends)}, {owed} owed"
        for number in missing:
            verdict.blame("lost", example, 1, stream.accepted_at(number))
    return missing if stream.datagrams else []


def _ends_one(line: bytes, cut: list[Stream], last: dict[bytes, int]) -> bool:
    """Tell whether this is the half line at which a connection was cut off; each may have one."""
    text = line.rstrip(b"\n")
    for stream in cut:
        following = last[stream.key] + 1
        if text and following < len(stream.ends) and line_of(stream.key, following).startswith(text):
            cut.remove(stream)
            return True
    return False


def _missing(streams: Sequence[Stream], found: dict[bytes, list[int]]) -> bytes:
    """Return all lines that are not there whole."""
    lines = []
    for stream in streams:
        there = set(found[stream.key])
        lines += [line_of(stream.key, n) for n in range(len(stream.ends)) if n not in there]
    return b"".join(lines)


def _is_of(line: bytes, missing: bytes) -> bool:
    """Tell whether `line` begins or ends like a part of a line that is missing; a lone newline does."""
    text = line.rstrip(b"\r\n")
    return _HEAD.match(line) is not None or text[:12] in missing or text[-12:] in missing


def _lines(content: bytes) -> list[bytes]:
    # Not splitlines: a line of ours may hold a carriage return.
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _all_lines(contents: Iterable[bytes]) -> Iterable[bytes]:
    for content in contents:
        yield from _lines(content)
