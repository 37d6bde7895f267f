"""The event log of a recording: every connect, disconnect, pause, restart and gap, one JSON object a line."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from typing import Any, Callable

#: States an event with its facts, as `EventLog.say` does: what whoever has something to state is handed.
Say = Callable[..., None]


class EventLog:
    """Append events to a file of bounded size; never let the log stop the recording."""

    #: Bytes after which the log is set aside as `….1` and a new one begun.
    ROTATE_AT = 4 * 1024 * 1024
    #: Events kept in memory while the log itself can't be written.
    KEPT = 1000

    def __init__(self, path: str) -> None:
        self.path = path
        self._cut = b""
        self._waiting: deque[str] = deque(maxlen=self.KEPT)

    def say(self, event: str, **facts: Any) -> None:
        """Log `event` with its facts; times and lengths in seconds, sizes in bytes."""
        self._waiting.append(json.dumps({"time": timestamp(), "event": event, **facts}) + "\n")
        try:
            self._write()
        except OSError:
            pass  # kept, and tried again with the next event

    def _write(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self.path, flags, 0o600)
        try:
            if self._cut:
                self._cut = self._cut[os.write(fd, self._cut) :]
            while self._waiting and not self._cut:
                event = self._waiting.popleft().encode("utf-8")
                try:
                    self._cut = event[os.write(fd, event) :]
                except OSError:
                    self._waiting.appendleft(event.decode("utf-8"))
                    raise
            full = os.fstat(fd).st_size > self.ROTATE_AT
        finally:
            os.close(fd)
        if full:
            os.replace(self.path, self.path + ".1")


def timestamp(now: float | None = None) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds."""
    now = time.time() if now is None else now
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
