"""Runs packed to be kept beside a spool, and to travel in the feed: no smaller than need be, and quick.

Rules kept here:

- A packet is about bytes that lie end to end, from an offset on that stands beside it.
- It is the columns of `Runs` as they are: a relay packs one for what a turn of its loop brought, a line or
  two mostly. A block (see `format`) of one run takes 20 to 30 µs, this 2.
- Who unpacks one trusts nothing in it: it is bounded before it is unpacked, each number is checked, a name is
  short and printable. A stranger can lie about who and when, and do nothing else.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array

from .format import LAST_MS, Runs

#: Runs of a packet at most, and bytes of their senders' names.
MOST, MOST_NAMES = 16384, 512 * 1024
#: How many runs there are, and bytes of their senders' names; then these, and the columns.
_HEAD = struct.Struct("<HI")
_COLUMNS = ("I", "q", "Q")
_EACH = sum(array(kind).itemsize for kind in _COLUMNS)
#: Bytes of a packet at most.
LARGEST = _HEAD.size + MOST_NAMES + MOST * _EACH
#: The first byte tells whether the rest is compressed; that pays from so many bytes on, for it begins slowly.
_PLAIN, _TIGHT, _PAYS = b"\0", b"\1", 8192


def pack(runs: Runs) -> bytes:
    """Return the packet of `MOST` runs at most."""
    names = "\n".join(runs.names).encode("ascii")
    columns = [array(kind, one) for kind, one in zip(_COLUMNS, (runs.numbers, runs.times, runs.sizes))]
    if sys.byteorder == "big":
        for one in columns:
            one.byteswap()
    head = _HEAD.pack(len(runs), len(names))
    data = b"".join((_PLAIN, head, names, *map(array.tobytes, columns)))
    return data if len(data) < _PAYS else _TIGHT + zlib.compress(data[1:], 1)


def unpack(first: int, packet: bytes) -> Runs:
    """Return the runs of a packet about the bytes from offset `first` on. Raises ValueError."""
    data = _loose(packet)
    if len(data) < _HEAD.size:
        raise ValueError("a packet is cut")
    count, size = _HEAD.unpack_from(data)
    if not 0 < count <= MOST or len(data) != _HEAD.size + size + count * _EACH:
        raise ValueError("a packet's sizes make no sense")
    runs = Runs(first)
    at = _HEAD.size + size
    columns = []
    for kind in _COLUMNS:
        column = array(kind)
        end = at + count * column.itemsize
        column.frombytes(data[at:end])
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column)
        at = end
    runs.numbers, runs.times, runs.sizes = columns
    names = data[_HEAD.size : _HEAD.size + size].decode("ascii", "replace").split("\n") if size else []
    runs.last = first + sum(runs.sizes)
    if not (
        list(map(runs.number, names)) == list(range(2, len(names) + 2))  # each a name, and another one
        and max(runs.numbers) < len(names) + 2
        and min(runs.times) >= 0
        and max(runs.times) <= LAST_MS
        and min(runs.sizes) > 0
        and runs.last < 1 << 63
    ):
        raise ValueError("a packet's runs make no sense")
    return runs


def _loose(packet: bytes) -> bytes:
    """Return what is in a packet, were it compressed or not."""
    kind, data = packet[:1], packet[1:]
    if kind == _TIGHT:
        tight = zlib.decompressobj()
        try:
            data = tight.decompress(data, LARGEST)
        except zlib.error as error:
            raise ValueError("a packet is damaged") from error
        if not tight.eof or tight.unused_data:
            raise ValueError("a packet's sizes make no sense")
    elif kind != _PLAIN:
        raise ValueError("it is no packet")
    return data
