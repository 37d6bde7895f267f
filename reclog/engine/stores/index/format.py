"""How runs are packed: blocks of bytes that tell by themselves whether they are whole, wherever they stand.

Rules kept here:

- A run is what one sender said at one moment. The runs of a block follow each other without a hole: what is
  not known is a run, too.
- A block says of itself how long it is, which offsets it is about, from when to when it goes, and who is in
  it: nothing of it has to be unpacked for that. It is whole, or it is none (CRC-32).
- Nothing is believed of what is unpacked: it is checked and bounded, for it may come from a disk, or a host,
  that lies.

A block is a header, then its senders (zlib: bytes of each, and names), then its runs (zlib: three columns,
milliseconds since the run before, sender and length, each laid out byte by byte: what changes little stands
together, which halves it).
"""

from __future__ import annotations

import re
import struct
import zlib
from array import array
from functools import lru_cache
from itertools import accumulate, count, repeat
from operator import sub
from typing import Dict, Iterable, Iterator, List, MutableSequence, NamedTuple, Optional, Tuple, cast

from ...intake.noted import Who
from ...system.address import host_of
from .columns import column, planes

#: Runs of a block at most, bytes of one, and of its senders when they are unpacked.
MOST_RUNS, MOST_BYTES, MOST_NAMES = 1 << 17, 1 << 25, 1 << 25
#: Milliseconds since 1970 at most: the last of the year 9999.
LAST_MS = 253402300799999
_MAGIC = b"rix1"
#: Magic, CRC-32 of the rest; bytes, runs, bytes of its senders, width of a number; offsets, times, witness.
_HEADER = struct.Struct("<4sI4I2Q2QI")
HEADER_SIZE, _CHECKED_FROM = _HEADER.size, 8
#: The numbers of a run that nothing is known of, and of one that only its sender is not known of.
NOTHING, NOBODY = 0, 1
#: By width: the columns' types.
_COLUMNS = {4: ("i", "I", "I"), 8: ("q", "Q", "Q")}


@lru_cache(4096)
def is_name(sender: str) -> bool:
    """Tell whether a sender may be called that: an address is, and what is dialled."""
    return bool(re.fullmatch(r"[!-~]{1,128}", sender))


def called(who: Who) -> str:
    """Return what a sender is called here; nothing if it can't be."""
    return _called(who if isinstance(who, str) else who.address())


@lru_cache(4096)
def _called(address: str) -> str:
    name = host_of((address,))
    return name if is_name(name) else ""


def number_each(whos: Iterable[Who], names: Dict[str, int], numbers: Dict[Who, int]) -> None:
    """Number those who have no number in `numbers` yet; `names` are numbered from 2 on.

    Without a step of Python's for each: of datagrams they are a thousand.
    """
    new = list(set(whos).difference(numbers))
    strings = set(map(type, new)) <= {str}
    found = list(map(_called, cast(List[str], new)) if strings else map(called, new))
    names.update(zip(set(found).difference(names, ("",)), count(len(names) + 2)))
    numbers.update(zip(new, map(names.get, found, repeat(NOBODY))))


class Run(NamedTuple):
    """Bytes that one sender said at one moment."""

    #: Offsets.
    begin: int
    end: int
    #: Milliseconds since 1970; None: unknown.
    ms: Optional[int]
    #: Its address, without a port; None: unknown.
    sender: Optional[str]


class Head(NamedTuple):
    """What a block says of itself."""

    crc: int
    #: Bytes of the block, its runs, bytes of its senders, bytes of a number.
    size: int
    runs: int
    names: int
    width: int
    #: The offsets that it is about.
    first: int
    last: int
    #: The time of its first run, and the latest of all: clocks step back.
    first_ms: int
    largest_ms: int
    #: What the packer knows the text before `last` by; 0: nothing.
    witness: int

    @classmethod
    def at(cls, data: bytes, position: int = 0) -> Head:
        """Return the head of the block that begins there. Raises ValueError if none does."""
        try:
            magic, *fields = _HEADER.unpack_from(data, position)
        except struct.error as error:
            raise ValueError("a block's head is cut") from error
        head = cls(*fields)
        right = (
            magic == _MAGIC
            and HEADER_SIZE + head.names <= head.size <= MOST_BYTES
            and 0 < head.runs <= min(MOST_RUNS, head.last - head.first)
            and head.width in _COLUMNS
            and head.first_ms <= head.largest_ms <= LAST_MS
            and head.last < 1 << 63
        )
        if not right:
            raise ValueError("it is no block")
        return head


class Runs:
    """Runs that follow each other without a hole, from one offset on."""

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        #: By their numbers, from 2 on, who is meant.
        self.names: Dict[str, int] = {}
        self.numbers: MutableSequence[int] = []
        #: Milliseconds since 1970; of a run that nothing is known of, those of the run before.
        self.times: MutableSequence[int] = []
        self.sizes: MutableSequence[int] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.sizes)

    def add(self, size: int, ms: Optional[int], sender: Optional[str]) -> None:
        """Add a run. Whose time is not known, or makes no sense, of that nothing is known."""
        known = ms is not None and 0 <= ms <= LAST_MS
        self.numbers.append(self.number(sender) if known else NOTHING)
        self.times.append(ms if known and ms is not None else self.times[-1] if self.times else 0)
        self.sizes.append(size)
        self.last += size

    def add_all(self, size: int, numbers: Iterable[int], times: Iterable[int], sizes: Iterable[int]) -> None:
        """Add runs of senders by their numbers, at times that make sense; `size` is their sum."""
        self.numbers.extend(numbers)
        self.times.extend(times)
        self.sizes.extend(sizes)
        self.last += size

    def number(self, sender: Optional[str]) -> int:
        """Return the number of a sender."""
        number = self.names.get(sender, 0) if sender else NOBODY
        if not number:
            if not is_name(sender or ""):
                return NOBODY
            number = self.names[str(sender)] = len(self.names) + 2
        return number

    def extend(self, other: Runs) -> None:
        """Add runs that begin where these end, or behind that: nothing is known of what lies between."""
        if other.first > self.last:
            self.add(other.first - self.last, None, None)
        new = [NOTHING, NOBODY, *map(self.number, other.names)]
        self.numbers.extend(map(new.__getitem__, other.numbers))
        self.times.extend(other.times)
        self.sizes.extend(other.sizes)
        self.last = other.last

    def bytes_by_sender(self) -> Dict[str, int]:
        """Return how much each said."""
        totals = [0] * (len(self.names) + 2)
        for number, size in zip(self.numbers, self.sizes):
            totals[number] += size
        return dict(zip(self.names, totals[2:]))

    def __iter__(self) -> Iterator[Run]:
        """Yield them."""
        return self.between(0, len(self), self.first)

    def between(self, start: int, stop: int, end: int) -> Iterator[Run]:
        """Yield those from one count to another; `end` is where the one before the first ends."""
        who: List[Optional[str]] = [None, None, *self.names]
        columns = self.numbers[start:stop], self.times[start:stop], self.sizes[start:stop]
        for number, ms, size in zip(*columns):
            begin, end = end, end + size
            yield Run(begin, end, ms if number else None, who[number])

    def pack(self, level: int = 1, witness: int = 0) -> bytes:
        """Return the block of these, at most `MOST_RUNS`, and at least one; zlib's `level`: 0 is quickest."""
        said = self.bytes_by_sender()
        told = struct.pack(f"<I{len(said)}Q", len(said), *said.values()) + "\n".join(said).encode("ascii")
        names = zlib.compress(told, level)
        times = self.times
        if not self.numbers[0]:  # those before the first that is dated are of its time
            undated = next((at for at, number in enumerate(self.numbers) if number), 0)
            times = [times[undated]] * undated + list(times[undated:])
        changes = [0, *map(sub, times[1:], times)]
        columns = changes, self.numbers, self.sizes
        for width in _COLUMNS:
            try:
                body = b"".join(planes(array(kind, one)) for kind, one in zip(_COLUMNS[width], columns))
                break
            except OverflowError:
                continue  # a run of 4 GiB, or of a month later
        body = names + zlib.compress(body, level)
        counts = HEADER_SIZE + len(body), len(self), len(names), width
        where = self.first, self.last, times[0], max(times), witness
        block = _HEADER.pack(_MAGIC, 0, *counts, *where) + body
        return b"".join((_MAGIC, struct.pack("<I", zlib.crc32(block[_CHECKED_FROM:])), block[_CHECKED_FROM:]))

    @classmethod
    def of(cls, block: bytes) -> Runs:
        """Return the runs of a block, whatever stands behind it. Raises ValueError if it is none."""
        head = Head.at(block)
        block = block[: head.size]
        if len(block) < head.size or zlib.crc32(block[_CHECKED_FROM:]) != head.crc:
            raise ValueError("the block is not whole")
        runs = cls(head.first)
        names = names_of(block)
        body = _unpacked(block[HEADER_SIZE + head.names :], 3 * head.width * head.runs)
        if len(body) != 3 * head.width * head.runs:
            raise ValueError("the block's runs are cut")
        part = head.width * head.runs
        changes, numbers, sizes = (
            column(kind, body[at * part : (at + 1) * part]) for at, kind in enumerate(_COLUMNS[head.width])
        )
        times = list(accumulate([head.first_ms, *changes[1:]]))
        if (
            min(times) < 0
            or max(times) > LAST_MS
            or min(sizes) < 1
            or sum(sizes) != head.last - head.first
            or max(numbers) > len(names) + 1
        ):
            raise ValueError("the block's runs make no sense")
        runs.names = {name: number for number, name in enumerate(names, 2)}
        runs.numbers, runs.times, runs.sizes = array("I", numbers), array("q", times), array("Q", sizes)
        runs.last = head.last
        return runs


def names_of(block: bytes) -> Dict[str, int]:
    """Return who is in a block, and how much each said; its head and its senders are enough of it.

    Raises ValueError.
    """
    head = Head.at(block)
    told = _unpacked(block[HEADER_SIZE : HEADER_SIZE + head.names], MOST_NAMES)
    try:
        (count,) = struct.unpack_from("<I", told)
        totals = struct.unpack_from(f"<{count}Q", told, 4) if count <= head.runs else ()
        names = told[4 + 8 * count :].decode("ascii").split("\n") if totals else []
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError("the block's senders are cut") from error
    found = dict(zip(names, totals))
    if not len(found) == len(names) == count or not all(map(is_name, names)):
        raise ValueError("the block's senders make no sense")
    return found


def blocks_in(data: bytes) -> Iterator[Tuple[Head, bytes]]:
    """Yield the blocks that stand one behind the other, with their heads, until there is none."""
    at = 0
    while at < len(data):
        try:
            head = Head.at(data, at)
        except ValueError:
            return
        if at + head.size > len(data):
            return
        yield head, data[at : at + head.size]
        at += head.size


def _unpacked(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError("a part of the block can't be unpacked") from error
