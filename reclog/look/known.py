"""What is known of a line besides its text: when it came, and from whom.

Rules kept here:

- The index tells. Where it does not, a stamp at the line's beginning does, if the recorder put it there
  (`--stamp`), or if there is no index at all: a sender could write one himself.
- Nothing is guessed: what neither tells is None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..recordings.registry import Recording
from .lines import Raw


class Run(NamedTuple):
    """A stretch of the file that came at one time from one sender."""

    begin: int
    end: int
    ms: int | None
    sender: str | None


class IndexReader:
    """No index: nothing is known."""

    def __init__(self, folder: str, file: str) -> None:
        """`folder` is the recording's, `file` what it records to."""

    def runs(self, begin: int, end: int) -> Iterator[Run]:
        """Yield what covers [begin, end), without a hole, ascending."""
        yield Run(begin, end, None, None)

    def seek(self, ms: int) -> int:
        """Return the offset before which all known lines came before `ms`."""
        return 0

    def senders(self) -> dict[str, int]:
        """Return the bytes of each sender, as far as they are known."""
        return {}


class Known:
    """What is known of the lines of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._index = IndexReader(str(recording.folder), recording.file)

    def of(self, raw: Raw) -> tuple[float | None, str | None, int]:
        """Return the time (seconds of the epoch) and the sender of a line, and the bytes of its stamp."""
        run = next(iter(self._index.runs(raw.offset, raw.offset + 1)))
        return None if run.ms is None else run.ms / 1000, run.sender, 0

    def seek(self, time: float) -> int:
        """Return the offset before which all known lines came before `time`."""
        return self._index.seek(int(time * 1000))

    def place(self, time: float | None, size: int) -> int:
        """Return where in the file what happened at `time` belongs; -1 if nothing tells."""
        return -1

    def senders(self) -> dict[str, int]:
        """Return the bytes of each sender, as far as they are known."""
        return self._index.senders()

    def timeline(self, begin_ms: int, end_ms: int, buckets: int, size: int) -> list[dict[str, int]]:
        """Return the bytes of each sender (`` if unknown) in each of `buckets` equal stretches of time."""
        return [{} for _ in range(buckets)]
