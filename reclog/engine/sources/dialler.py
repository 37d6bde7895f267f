"""How one kind of device is reached: the seam between a dialled source and what it dials with.

Rules kept here:

- An attempt begins with `dial` and ends with one call of `lost`, which says why; there is one at a time.
- In between `reached` is called once at most, with the device's stream; `lost` only after that was closed.
"""

from __future__ import annotations

from typing import Callable, Hashable, Protocol

from ..streams.stream import Stream
from ..system.loop import Loop

Reached = Callable[[Stream], None]
Lost = Callable[[str], None]


class Dialler(Protocol):
    """What reaches a device, an attempt at a time."""

    def __init__(self, loop: Loop, address: str, cwd: str, reached: Reached, lost: Lost) -> None:
        """`address` is one that `named` knows; `cwd`: where a program is started."""

    @staticmethod
    def named(address: str) -> Hashable:
        """Return what an address names: the same for two that mean one device. Raises ValueError."""

    def dial(self) -> None:
        """Begin an attempt."""

    def finish(self, until: float) -> bool:
        """Have what passes its bytes on pass on the last ones, and end; False if `until` came first."""
        return True

    def close(self) -> None:
        """End the attempt, if there is one: nothing is left of it, and nothing is called any more."""
