"""A stretch of a recording, for a page: so many lines on from an offset or back from one, in bounded time.

Rules kept here:

- An answer says what it has looked at, [from, to): who asks goes on from there. So a question that few lines
  of 20 GB answer is many short requests, each of which can be the last one, and no long one.
- A line that has no newline yet is shown, and looked at again: `to` is where it begins.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from reclog.errors import TooLongError

from ..query import Gap, History, Line, Question
from . import spans

#: Seconds that one answer may take; that one may which has not come on at all in that time.
WITHIN, PATIENCE = 1.0, 5.0
#: Bytes that are looked through in a step back: at first, and at most.
_STEP, _LARGEST_STEP = 64 * 1024, 64 * 1024 * 1024

Item = Line | Gap


def onward(
    history: History, question: Question, begin: int, count: int, within: float = WITHIN
) -> dict[str, Any]:
    """Return up to `count` lines that begin at `begin` or behind it. Raises as History.matches."""
    (first, size), to = history.reach, 0
    lines: list[Line] = []
    try:
        for line in history.matches(question, begin, size, within):
            lines.append(line)
            if len(lines) == count:
                to = line.end
                break
        else:
            to = size
    except TooLongError as error:
        to = max(error.reached, lines[-1].end if lines else 0)
        if to <= begin:
            if within >= PATIENCE:
                raise
            return onward(history, question, begin, count, PATIENCE)
    items = _with_gaps(history, lines, begin, to)
    return _answer(items, begin, _before_unfinished(history, lines, to), (first, size), to >= size)


def back(history: History, question: Question, end: int | None, count: int) -> dict[str, Any]:
    """Return the last `count` lines that begin before `end` (the file's end). Raises as History.matches."""
    first, size = history.reach
    end = size if end is None else min(end, size)
    at, step = end, _STEP if not question.grep else _STEP * 64
    lines: deque[Line] = deque()
    until = time.monotonic() + WITHIN
    while at > first and len(lines) < count:
        start = max(first, at - step)
        found = deque(history.matches(question, start, at, PATIENCE), count - len(lines))
        lines.extendleft(reversed(found))
        at, step = start, min(4 * step, _LARGEST_STEP)
        if time.monotonic() > until:
            break
    if len(lines) == count:
        at = lines[0].offset
    at = 0 if at <= first else at  # before what is there one need not ask
    items = _with_gaps(history, lines, at, end + (end == size))
    answer = _answer(items, at, end, (first, size), end == size)
    if end == size:
        untold = first_untold(history, answer["items"])
        answer["to"] = _before_unfinished(history, lines, end) if untold is None else untold
    return answer


def _with_gaps(history: History, lines: Iterable[Line], begin: int, end: int) -> list[Item]:
    """Return lines with the gaps in [begin, end) before the lines that they are placed at."""
    gaps = [gap for gap in history.gaps() if begin <= gap.offset < end]
    return sorted([*gaps, *lines], key=lambda item: (item.offset, isinstance(item, Line)))


def _before_unfinished(history: History, lines: Sequence[Line], to: int) -> int:
    """Return `to`, or where the line that ends there begins if it has no newline yet."""
    if not lines or lines[-1].end != to:
        return to
    with history.opened() as text:
        return to if text.pread(1, to - 1) in (b"\n", b"") else lines[-1].offset


def first_untold(history: History, items: Sequence[dict[str, Any]]) -> int | None:
    """Return where the last lines begin that the index does not reach; None if there are none.

    It is written some milliseconds after the file: they are worth a second look.
    """
    if not items or items[-1]["t"] is not None:
        return None
    indexed = history.indexed()
    return next((item["at"] for item in items if item["t"] is None and item["at"] >= indexed > 0), None)


def _answer(items: list[Item], begin: int, to: int, reach: tuple[int, int], done: bool) -> dict[str, Any]:
    told = {"from": begin, "to": to, "first": reach[0], "size": reach[1], "done": done}
    return {"items": [shown(item) for item in items], **told}


def shown(item: Item, longest: int = spans.SHOWN) -> dict[str, Any]:
    """Return a line or a gap as the page takes it; times in milliseconds of the epoch."""
    if isinstance(item, Gap):
        said = spans.pieces(item.what.encode("utf-8", "replace"))[0]
        words = "".join(piece if isinstance(piece, str) else piece[0] for piece in said)
        return {"gap": words, "at": item.offset, "t": milliseconds(item.time), "sec": item.seconds}
    pieces, more = spans.pieces(item.text[item.stamp :], longest)
    more += max(0, item.end - item.offset - len(item.text) - 1)
    line = {"at": item.offset, "end": item.end, "t": milliseconds(item.time), "s": item.sender, "p": pieces}
    return {**line, "more": more} if more else line


def milliseconds(seconds: float | None) -> int | None:
    """Return a time for the page; None if it is unknown."""
    return None if seconds is None else round(seconds * 1000)
