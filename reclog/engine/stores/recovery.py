"""What a spool's files tell when it is opened: where it goes on, and what was lost with the machine's power.

Rules kept here:

- No offset is used twice. After the machine lost power the spool goes on at the mark; after the process alone
  died it goes on where the files end, for what was written is in the system's cache.
- Offsets that were given out, were not acked and are in no file are missing, and stated: as segments are
  synced beside the loop, what a power cut takes may lie before what it leaves.
- What makes no sense is refused, never guessed.
"""

from __future__ import annotations

import os
import stat
from typing import Any, List, NamedTuple, Tuple

from ..records.jsonfile import read_json
from ..system.disk import Disk
from .segments import Jump, Segment, name_of, start_of

VERSION = 1
STATE = "spool.json"


class Found(NamedTuple):
    """A spool as it was left; the words are those of `Spool`."""

    #: Empty if there is none yet.
    id: str = ""
    segments: Tuple[Segment, ...] = ()
    end: int = 0
    acked: int = 0
    mark: int = 0
    inside_line: bool = False
    jumps: Tuple[Jump, ...] = ()


def find(folder: str, boot: str, disk: Disk) -> Found:
    """Look at a spool's files; `boot` names this boot. Raises OSError, ValueError, KeyError."""
    segments = _segments(folder, disk)
    try:
        state = read_json(os.path.join(folder, STATE), disk)
    except FileNotFoundError:
        if segments:
            raise ValueError("its state is missing") from None
        return Found()
    if state["version"] != VERSION:
        raise ValueError(f"it was written by another version of reclog ({state['version']})")
    if not isinstance(state["id"], str) or type(state["clean"]) is not bool:
        raise ValueError("its state makes no sense")
    mark, known = _offset(state["mark"]), _offset(state["end"])
    # What is gone was acked, even if a full disk kept us from saving that.
    acked = max(_offset(state["acked"]), segments[0][0] if segments else 0)
    last = sum(segments[-1]) if segments else 0
    same_boot = bool(state["boot"]) and state["boot"] == boot
    if state["clean"]:
        end = max(last, known)
    elif same_boot:
        end = max(last, known, acked)
    else:
        end = max(last, mark)
    if acked > end:  # what comes next would count as acked, and never be sent
        raise ValueError(f"its end is {end}, and {acked} is acked")
    # Before there was a `begun`, nothing could be missing but behind the last segment.
    jumps = _missing(segments, max(acked, _offset(state.get("begun", last))), end)
    inside = bool(state["inside"]) if known == end else end > 0
    if last == end:
        inside = _ends_inside_line(folder, segments, end, inside, disk)
    if jumps and jumps[-1].end == end:
        inside = False  # the collector closes the line itself
    return Found(state["id"], tuple(segments), end, acked, mark, inside, jumps)


def _segments(folder: str, disk: Disk) -> List[Segment]:
    found: List[Segment] = []
    for name in sorted(name for name in disk.listdir(folder) if name.endswith(".seg")):
        now = disk.stat(os.path.join(folder, name))
        if not stat.S_ISREG(now.st_mode):
            raise ValueError(f"{name!r} in it is no segment")
        start = start_of(name)
        _offset(start + now.st_size)
        found.append((start, now.st_size))
        if len(found) > 1 and sum(found[-2]) > found[-1][0]:
            raise ValueError(f"two of its files hold offset {found[-1][0]}")
    return found


def _missing(segments: List[Segment], start: int, end: int) -> Tuple[Jump, ...]:
    """Return the stretches from `start` to `end` that are in no segment."""
    jumps = []
    for begin, length in [*segments, (end, 0)]:
        if length or begin == end:
            if begin > start:
                jumps.append(Jump(start, begin))
            start = max(start, begin + length)
    return tuple(jumps)


def _ends_inside_line(folder: str, segments: List[Segment], end: int, unknown: bool, disk: Disk) -> bool:
    # The last one may be empty: made by a process that died before it deleted those before.
    start, length = next((one for one in reversed(segments) if one[1]), (0, 0))
    if not length:
        return unknown
    if start + length != end:
        return False
    fd = disk.open(os.path.join(folder, name_of(start)), os.O_RDONLY)
    try:
        return disk.pread(fd, 1, length - 1) != b"\n"
    finally:
        disk.close(fd)


def _offset(value: Any) -> int:
    """Return `value` if it can be an offset: those of all time to come still fit into 63 bits."""
    if type(value) is not int or not 0 <= value <= 1 << 62:
        raise ValueError(f"{value!r} is no offset"[:100])
    return value
