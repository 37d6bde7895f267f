"""What a daemon lets others see of it: a file of counters, replaced whole, soon after something changed."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..system.disk import DISK, Disk
from ..system.loop import Loop
from .jsonfile import write_json

#: Seconds between two replacements while things keep changing: less than `inv status` takes to start, so that
#: a line that was sent right before is counted.
EVERY = 0.1

Facts = Dict[str, Any]


class CountersFile:
    """Write `facts` whenever they changed; an idle daemon writes nothing and does not wake."""

    def __init__(
        self,
        loop: Loop,
        path: str,
        changes: Callable[[], object],
        facts: Callable[[], Facts],
        disk: Disk = DISK,
    ) -> None:
        self._loop = loop
        self._path = path
        self._disk = disk
        #: Cheap: called every turn, and compared.
        self._changes = changes
        self._facts = facts
        self._seen: object = None
        self._written_at = 0.0
        self._timer = loop.timer(self.write)
        self._due = False
        loop.after_turn(self._notice)

    def write(self) -> None:
        """Write the counters now."""
        self._due = False
        self._seen = self._changes()
        self._written_at = self._loop.now()
        try:
            write_json(self._path, self._facts(), disk=self._disk)
        except OSError:
            pass  # a full disk must not stop the daemon; the next change tries again

    def _notice(self) -> None:
        if not self._due and self._changes() != self._seen:
            self._due = True
            self._timer.at(max(self._loop.now(), self._written_at + EVERY))
