"""What both stores are: a batch, and a place where it goes that may have no room.

A write that fails (full disk, quota, I/O error) pauses a store: it keeps what it has, and the next attempt
goes on from there. Whoever feeds it stops feeding while `paused` is set. Nothing is dropped.
"""

from __future__ import annotations

import time
from typing import Any

from ..intake.batch import Batch
from ..records.events import Say
from ..records.rate import Rate


class PausingStore:
    """Take the texts of many senders, and write them where a kind of store does."""

    #: Bytes queued at which whoever feeds it should flush without waiting for the end of its turn.
    FLUSH_AT = 256 * 1024

    def __init__(self, say: Say) -> None:
        #: What is to be written, and what was taken in so far.
        self.batch = Batch()
        #: Why writing pauses; empty while it goes on.
        self.paused = ""
        self._paused_at = 0.0
        self._rate = Rate()
        self._say = say

    @property
    def queued(self) -> int:
        """Bytes taken in and not yet written."""
        return self.batch.queued

    def flush(self) -> bool:
        """Write all that is queued; False if that isn't possible now (`paused` says why)."""
        if not self.batch.queued and not self.paused:
            return True
        try:
            if self.batch.queued:
                self._write()
        except OSError as error:
            self.pause(error.strerror or str(error))
            return False
        except MemoryError:
            self.pause("no memory left")
            return False
        if self.paused:
            self.paused = ""
            self._say("resumed", paused_seconds=round(time.monotonic() - self._paused_at, 3))
        return True

    def pause(self, reason: str) -> None:
        """Take note of why there is no room for more, until the next `flush` works."""
        if not self.paused:
            self._paused_at = time.monotonic()
            self._say("paused", reason=reason)
        self.paused = reason

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        last = self.batch.last_line.rstrip(b"\r").decode("utf-8", "backslashreplace")
        return {
            "lines": self.batch.lines,
            "lines_per_second": round(self._rate.of(self.batch.lines), 1),
            "bytes": self.batch.bytes,
            "paused_for": self.paused,
            "last_line": last,
        }

    def _write(self) -> None:
        raise NotImplementedError
