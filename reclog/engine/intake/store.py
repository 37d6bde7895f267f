"""What whole messages are handed to."""

from __future__ import annotations

from typing import Protocol

from .batch import Batch


class Store(Protocol):
    """Where whole messages go: a file, or a spool."""

    #: Bytes queued at which it is written without waiting for the end of the turn.
    FLUSH_AT: int
    #: What it is to write.
    batch: Batch

    def flush(self) -> bool:
        """Write what its batch holds; False if that isn't possible now."""

    def pause(self, reason: str) -> None:
        """Take note that there is no room for more, until the next `flush` works."""
