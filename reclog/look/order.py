"""Lines and gaps in one order: a line, what is known of it, and what is missing before it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .gaps import Gap


class Line(NamedTuple):
    """A line, and what is known of it."""

    #: Where it begins in the recording, and where the next one does.
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


def merged(
    since: float | None, until: float | None, found: Iterator[Line | Gap], gaps: list[Gap]
) -> Iterator[Line | Gap]:
    """Yield lines with those of the gaps, in their places, that are in the time that is asked for."""
    since, until = since or 0.0, math.inf if until is None else until
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


def last(found: Iterable[Line | Gap], count: int) -> deque[Line | Gap]:
    """Return the last `count` lines, and the gaps before each and behind the last."""
    kept: deque[Line | Gap] = deque()
    number = 0
    for one in found:
        kept.append(one)
        number += isinstance(one, Line)
        while number > count:
            number -= isinstance(kept.popleft(), Line)
    return kept
