"""Offsets are reserved ahead, so that none is used twice, whatever a power cut takes.

Rules kept here:

- Before a byte is written at or beyond the mark, a higher mark is on disk.
- The next mark is saved beside the loop when half of the last is used: a write waits only when none is left.
- One save at a time; each has the spool's state as it was when it began.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ..records.jsonfile import write_json
from ..system.aside import AtOnce
from ..system.disk import Disk

#: Bytes of offsets that are reserved at a time.
RESERVE = 8 * 1024 * 1024


class Mark:
    """The offset before which every byte may be written, and the state's file that says so."""

    def __init__(
        self, path: str, disk: Disk, state: Callable[[], Mapping[str, Any]], beside: Callable[[], AtOnce]
    ) -> None:
        """`state` returns what else is to be saved."""
        #: Not raised before it is on disk: nothing may be written beyond what is reserved.
        self.offset = 0
        self._path = path
        self._disk = disk
        self._state = state
        self._aside = beside()

    def reserve(self, end: int) -> None:
        """See that the mark is not before `end`, and that the next one comes in time. Raises OSError."""
        if end > self.offset:
            self.wait()
        mark = end + RESERVE
        if end > self.offset:
            self._saving(False, mark)()
            self.offset = mark
        elif self.offset - end < RESERVE // 2 and not self._aside.busy:
            self._aside.start(self._saving(False, mark), lambda error: self._saved(mark, error))

    def save(self, clean: bool) -> None:
        """Save the state as it is now; `clean` if nothing more will be written. Raises OSError."""
        self.wait()
        self._saving(clean, self.offset)()

    def wait(self) -> None:
        """Block until nothing is being saved."""
        self._aside.wait()

    def _saved(self, mark: int, error: OSError | None) -> None:
        if error is None:  # else it is tried again, at last by a write that must wait for it
            self.offset = mark

    def _saving(self, clean: bool, mark: int) -> Callable[[], None]:
        state = {**self._state(), "mark": mark, "clean": clean}
        return lambda: write_json(self._path, state, sync=True, disk=self._disk)
