"""What the tests of the engine script: a disk, a clock, and who hears what is said."""

from __future__ import annotations

import errno
import os
from typing import Any, Callable, Dict, List, Optional, Tuple

from reclog.engine.system.disk import Data, Disk

Before = Callable[[str], None]
#: Turns a loop until something is seen: the fixture `turn_until`.
TurnUntil = Callable[[Callable[[], bool]], None]


class ScriptedDisk(Disk):
    """The real disk, whose calls fail, wait or are cut short as they are told to."""

    def __init__(self, *writes: Optional[int]) -> None:
        #: Bytes that each of the next writes takes: 0 is a full disk, None takes all.
        self.writes = list(writes)
        #: By the name of a call, what happens before it, given the path: it may raise, or wait.
        self.before: Dict[str, Before] = {}
        self.calls: List[str] = []
        self._paths: Dict[int, str] = {}

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._reach("open for writing" if flags & (os.O_RDWR | os.O_WRONLY) else "open", path)
        fd = super().open(path, flags, mode)
        self._paths[fd] = path
        return fd

    def write(self, fd: int, data: Data) -> int:
        self._reach("write", self._paths[fd])
        limit = self.writes.pop(0) if self.writes else None
        if limit == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data if limit is None else data[:limit])

    def fsync(self, fd: int) -> None:
        self._reach("fsync", self._paths.get(fd, ""))

    def fdatasync(self, fd: int) -> None:
        self._reach("fdatasync", self._paths.get(fd, ""))

    def sync(self, path: str) -> None:
        self._reach("sync", path)

    def close(self, fd: int) -> None:
        super().close(fd)
        self._reach("close", self._paths.get(fd, ""))

    def _reach(self, call: str, path: str) -> None:
        self.calls.append(call)
        if call in self.before:
            self.before[call](path)


def fails(number: int, times: int = 1 << 30, ending: str = "") -> Before:
    """Return what fails with that errno so many times, at paths with that ending."""
    left = [times]

    def fail(path: str) -> None:
        if path.endswith(ending) and left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number))

    return fail


class Clock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Said:
    """Hears what is stated."""

    def __init__(self) -> None:
        self.events: List[Tuple[str, Dict[str, Any]]] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    @property
    def names(self) -> List[str]:
        return [event for event, _ in self.events]
