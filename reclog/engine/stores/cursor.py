"""How a spool is read: each consumer by a cursor of its own, from any offset on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, List

from .index.spooled import Packet, Teller
from .segments import Jump

if TYPE_CHECKING:
    from .spool import Spool

#: Bytes that one read hands out at most.
CHUNK = 256 * 1024


class Cursor:
    """Where one consumer of a spool is."""

    def __init__(self, spool: Spool, offset: int, asks_for_runs: bool = False) -> None:
        #: The offset of what is read next.
        self.offset = offset
        self._teller = Teller(spool.runs, offset) if asks_for_runs else None
        self._spool = spool
        self._fd = -1
        # The segment that is open, by its start.
        self._start = -1

    def read(self, most: int = CHUNK) -> bytes | Jump:
        """Return what comes next: bytes, the jump that begins here, or nothing at the end. Raises OSError.

        Bytes end in a newline where there is one, unless they end where the spool does.
        """
        spool, offset = self._spool, self.offset
        if offset == spool.end:
            return b""
        found = spool.locate(offset)
        if isinstance(found, Jump):
            self.offset = found.end
            return found
        start, length = found
        if start != self._start:
            self._leave()
            self._fd = spool.disk.open(spool.path(start), os.O_RDONLY)
            self._start = start
        data = spool.disk.pread(self._fd, min(most, start + length - offset), offset - start)
        if offset + len(data) < spool.end:
            data = data[: data.rfind(b"\n") + 1] or data
        self.offset += len(data)
        return data

    def told(self) -> List[Packet]:
        """Return who said what was read last, and when, as far as it is known and this cursor asks for it."""
        return [] if self._teller is None else self._teller.up_to(self.offset)

    def deleted(self, start: int) -> None:
        """Let go of the segment that begins at `start`: it gives its room back only then."""
        if start == self._start:
            self._leave()

    def close(self) -> None:
        """Read no more."""
        self._leave()
        self._spool.cursors.discard(self)

    def _leave(self) -> None:
        if self._fd >= 0:
            self._spool.disk.close(self._fd)
            self._fd = self._start = -1
