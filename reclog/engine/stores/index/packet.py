"""Runs packed to be kept beside a spool, and to travel in the feed: no smaller than need be, and quick.

Rules kept here:

- A packet is about bytes that lie end to end, from an offset on that stands beside it.
- It is quickly made: a relay packs one for what a turn of its loop brought, a line mostly. A block of one run
  (see `format`) takes 20 to 30 µs, this 1; of many, zlib takes more than all else.
- Who unpacks one trusts nothing in it: it is bounded, each number is checked, a name is short and printable.
  A stranger can lie about who and when, and do nothing else.
"""

from __future__ import annotations

import functools
import struct
from typing import Dict, Iterable, List

from ...intake.noted import Notes, Who
from .format import LAST_MS, NOBODY, NOTHING, Run, called, is_name, number_each

#: Runs of a packet at most.
MOST = 16384
#: The earliest time of all, how many runs there are, and bytes of their senders' names. Then these, and of
#: each run who (1: nobody; 0: not even when is known), how long after that time, and how many bytes.
_HEAD, _ONE = struct.Struct("<qHI"), struct.Struct("<III")
#: Characters of a name at most (see `is_name`).
LONGEST_NAME = 128
#: Milliseconds that a packet spans at most.
LONGEST = (1 << 32) - 1


def pack(notes: Notes) -> bytes:
    """Return the packet of these, `MOST` at most."""
    sizes, times, whos = notes.sizes, notes.times, notes.whos
    first = times[0]
    if len(sizes) == 1 and first is not None:  # it is so mostly
        name = called(whos[0]).encode("ascii")
        return _HEAD.pack(first, 1, len(name)) + name + _ONE.pack(2 if name else NOBODY, 0, sizes[0])
    names: Dict[str, int] = {}
    number_of: Dict[Who, int] = {}
    number_each(whos, names, number_of)
    first = min((time for time in times if time is not None), default=0)
    numbers = list(map(number_of.__getitem__, whos))
    late = [0 if time is None else time - first for time in times]
    for at, time in enumerate(times) if None in times or max(late) > LONGEST else ():
        if time is None or late[at] > LONGEST:  # a clock that was set right
            numbers[at], late[at] = NOTHING, 0
    listed = "\n".join(names).encode("ascii")
    columns = struct.pack(f"<{3 * len(sizes)}I", *numbers, *late, *sizes)
    return _HEAD.pack(first, len(sizes), len(listed)) + listed + columns


def unpack(first: int, packet: bytes) -> List[Run]:
    """Return the runs of a packet about the bytes from offset `first` on. Raises ValueError."""
    if len(packet) < _HEAD.size:
        raise ValueError("a packet is cut")
    ms, count, size = _HEAD.unpack_from(packet)
    if not 0 < count <= MOST or len(packet) != _HEAD.size + size + count * _ONE.size:
        raise ValueError("a packet's sizes make no sense")
    if count == 1 and size <= LONGEST_NAME:  # a line by itself: a third of the time
        number, later, length = _ONE.unpack_from(packet, _HEAD.size + size)
        name = _name_in(packet[_HEAD.size : _HEAD.size + size])
        if not number < 2 + bool(name) or not 0 <= ms <= ms + later <= LAST_MS or first + length >= 1 << 63:
            raise ValueError("a packet's run makes no sense")
        who = name if number > NOBODY else None
        return [Run(first, first + length, None if number == NOTHING else ms + later, who)] if length else []
    columns = struct.unpack_from(f"<{3 * count}I", packet, _HEAD.size + size)
    numbers, late, sizes = columns[:count], columns[count : 2 * count], columns[2 * count :]
    names = packet[_HEAD.size : _HEAD.size + size].decode("ascii", "replace").split("\n") if size else []
    if not (
        max(map(len, names), default=0) <= LONGEST_NAME  # what is longer would stay in a cache
        and all(map(is_name, names))
        and max(numbers) < len(names) + 2
        and 0 <= ms <= ms + max(late) <= LAST_MS
        and first + sum(sizes) < 1 << 63
    ):
        raise ValueError("a packet's runs make no sense")
    whos = [None, None, *names]
    runs: List[Run] = []
    for number, later, length in zip(numbers, late, sizes):
        if length:
            runs.append(Run(first, first + length, ms + later if number != NOTHING else None, whos[number]))
            first += length
    return runs


@functools.lru_cache(4096)
def _name_in(said: bytes) -> str:
    """Return the only name of a packet. Raises ValueError."""
    name = said.decode("ascii", "replace")
    if name and not is_name(name):
        raise ValueError("a packet's name makes no sense")
    return name


def notes_of(runs: Iterable[Run], begin: int) -> Notes:
    """Return what is to be noted of them, for a text that begins at offset `begin`."""
    found, at = Notes(), begin
    for run in runs:
        if run.end > at:
            found.sizes.append(run.end - at)
            found.times.append(run.ms)
            found.whos.append(run.sender or "")
            at = run.end
    return found
