"""Where an expression is found in a recording: some of the places, and how many there are."""

from __future__ import annotations

import time
from typing import Any

from reclog.errors import TooLongError

from ..query import History, Question
from .stretch import PATIENCE, milliseconds

#: Seconds that one answer may take.
WITHIN = 0.5
#: Parts of the file of which each has one mark at most.
_PARTS = 2000


def found(history: History, question: Question, begin: int, within: float = WITHIN) -> dict[str, Any]:
    """Return the matches from `begin` on, as far as the time is enough. Raises as History.matches."""
    first, size = history.reach
    part = max(1, (size - first) // _PARTS)
    marks: list[tuple[int, int | None]] = []
    count, to, last = 0, begin, -1
    until = time.monotonic() + within
    try:
        for line in history.matches(question, begin, size, within):
            count, to = count + 1, line.end
            if line.offset // part != last:
                last = line.offset // part
                marks.append((line.offset, milliseconds(line.time)))
            if time.monotonic() > until:
                break
        else:
            to = size
    except TooLongError as error:
        to = max(to, error.reached)
        if to <= begin:
            if within >= PATIENCE:
                raise
            return found(history, question, begin, PATIENCE)
    return {"marks": marks, "count": count, "to": to, "size": size, "done": to >= size}
