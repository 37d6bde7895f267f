"""A spool's segments: named by the offset of their first byte, in twenty digits; which holds an offset."""

from __future__ import annotations

import bisect
import os
import re
from typing import Iterable, List, NamedTuple, Sequence, Tuple, Union

#: The offset of a segment's first byte, and its bytes.
Segment = Tuple[int, int]


class Jump(NamedTuple):
    """Offsets that hold nothing: what was lost with the machine's power, or never was."""

    start: int
    end: int


def name_of(start: int) -> str:
    """Return the name of the segment that begins at offset `start`."""
    return f"{start:020d}.seg"


def start_of(name: str) -> int:
    """Return the offset at which the segment of that name begins. Raises ValueError."""
    if not re.fullmatch("[0-9]{20}[.]seg", name):
        raise ValueError(f"{name!r} in it is no segment")
    return int(name[:-4])


def locate(segments: Sequence[List[int]], offset: int, end: int) -> Union[Segment, Jump]:
    """Return the segment that `offset` is in, or the jump that begins there (to itself at the `end`)."""
    # The last one that begins at `offset` or before it: a spool may have thousands.
    at = bisect.bisect_right(segments, [offset, end + 1]) - 1
    if at >= 0 and offset < sum(segments[at]):
        return segments[at][0], segments[at][1]
    return Jump(offset, max(offset, segments[at + 1][0] if at + 1 < len(segments) else end))


def undelivered(folder: str, acks: Iterable[object]) -> int:
    """Return how many bytes of the spool in `folder` nobody has acked, as far as `acks` can be offsets of it.

    What is no offset of these segments is no ack: all would count as delivered, and be deleted.
    """
    segments: List[Tuple[int, int]] = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            start = start_of(name)
            segments.append((start, start + os.path.getsize(os.path.join(folder, name))))
        except (ValueError, OSError):
            pass  # nothing of the spool's, or acked and deleted meanwhile
    last = max((end for _, end in segments), default=0)
    acked = max((one for one in acks if type(one) is int and one <= last), default=0)
    return sum(max(0, end - max(start, acked)) for start, end in segments)
