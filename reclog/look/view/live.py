"""What comes while it is looked at: batches of the last lines, as server-sent events (HTML, 9.2).

Rules kept here:

- A page is told ten times a second at most, and of no more lines than it shows: of a flood the last ones, and
  that something was left out, which it can scroll back to.
- Of lines that the index does not reach yet is told when it does, or in half a second.
- A file that is smaller than it was is read from its beginning.
- A stream ends when its page is gone, when the server ends, and after an hour: who is there asks again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from reclog.errors import ReclogError

from ..query import History, Question
from . import stretch

#: Seconds between two looks at a file.
EVERY = 0.1
#: Lines of one batch; a screen has less.
MOST_LINES = 200
#: Bytes that are read for them; what is further back is left out.
_FAR = 4 * 1024 * 1024
_AT_MOST = 3600.0
#: Times that lines are looked at again of which the index does not tell yet.
_LOOKS = 5
#: Seconds after which a quiet stream says that it is there: else nothing would notice a page that is gone.
_SIGN = 5.0


class Followed:
    """One recording, from an offset on."""

    def __init__(self, history: History, question: Question, at: int) -> None:
        self._history = history
        self._question = question
        self._at = at
        self._size = -1
        self._looks = _LOOKS

    def news(self) -> dict[str, Any] | None:
        """Return what there is since the last call; None if nothing. Raises as History.forward."""
        size = self._history.end
        if size == self._size:
            return None
        anew = size < self._size or size < self._at
        if anew:
            self._at = 0
        skipped = size - self._at > _FAR
        if not skipped:
            found = stretch.onward(self._history, self._question, self._at, MOST_LINES)
            skipped = not found["done"]
        if skipped:
            indexed = self._history.indexed()
            end = indexed if max(0, size - _FAR) < indexed < size else None
            found = stretch.back(self._history, self._question, end, MOST_LINES)
        untold = stretch.first_untold(self._history, found["items"])
        held = untold is not None and self._looks > 0 and not skipped
        self._looks = self._looks - 1 if held else _LOOKS if untold is None else 0
        if held:
            found["to"] = untold
            found["items"] = [item for item in found["items"] if item["at"] < untold]
        self._at = found["to"]
        # One more look where there is more already.
        self._size = size if found["done"] and not held else -1
        return {**found, "skipped": skipped, "anew": anew}


async def stream(followed: list[tuple[str, Followed]], is_over: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield events for a page that follows these recordings."""
    began = signed = time.monotonic()
    yield "retry: 1000\n\n"
    while not is_over() and time.monotonic() - began < _AT_MOST:
        looked = time.monotonic()
        for name, one in followed:
            try:
                news = await run_in_threadpool(one.news)
            except (OSError, ReclogError):
                continue  # it is not there just now, or an expression takes too long: the page has been told
            if news is not None:
                yield f"data: {json.dumps({'r': name, **news}, separators=(',', ':'))}\n\n"
                signed = looked
        if looked - signed > _SIGN:
            yield ": \n\n"
            signed = looked
        await asyncio.sleep(max(0.02, EVERY - (time.monotonic() - looked)))
