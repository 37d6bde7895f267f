"""Numbers byte by byte: what changes little stands together, and zlib needs half the room and time."""

from __future__ import annotations

import sys
from array import array


def planes(values: "array[int]") -> bytes:
    """Return first the lowest byte of each number, then the next ones."""
    if sys.byteorder == "big":
        values.byteswap()
    raw, width = values.tobytes(), values.itemsize
    return b"".join(raw[at::width] for at in range(width))


def column(kind: str, data: bytes) -> "array[int]":
    """Return the numbers that `planes` has laid out so, of an array's type."""
    values = array(kind)
    count, width = len(data) // values.itemsize, values.itemsize
    raw = bytearray(len(data))
    for at in range(width):
        raw[at::width] = data[at * count : (at + 1) * count]
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values
