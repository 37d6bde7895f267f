"""The event log of a recording: every connect, disconnect, pause, restart and gap, one JSON object a line.

Rules kept here:

- What a stranger can cause at will rotates nothing else away: `events` has all that happened, `holes` has all
  but that.
- No log grows without bound, in memory neither, and none stops the recording.
- What can't be written now, for want of a descriptor or of room, is written later, whatever happens then.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from contextlib import suppress
from typing import Any, Callable

#: States an event with its facts, as `EventLog.say` does: what whoever has something to state is handed.
Say = Callable[..., None]
#: What whoever sends much causes: said by those who know no better, it is mentioned.
AT_WILL = frozenset({"rotated", "piece removed", "piece compressed"})


class EventLog:
    """State events in two logs: all in the one, in the other those that strangers can't cause at will."""

    def __init__(self, events: str, holes: str = "", owes: Callable[[], None] = lambda: None) -> None:
        """`events` and `holes` are paths; without `holes` there is one log only.

        `owes` is called when a line could not be written: it sees that `pay` is, some time later.
        """
        self.events = Rotated(events)
        self.holes = Rotated(holes) if holes else None
        self._owes = owes

    def say(self, event: str, **facts: Any) -> None:
        """Log `event` with its facts; times and lengths in seconds, sizes in bytes."""
        line = _line(event, facts)
        if self.holes is not None and event not in AT_WILL:
            self.holes.append(line)
        self.events.append(line)
        self.pay()

    def mention(self, event: str, **facts: Any) -> None:
        """Log an event that a stranger can cause at will, as `journal` does."""
        self.events.append(_line(event, facts))
        self.pay()

    def last(self, event: str) -> dict[str, Any]:
        """Return the last such event that was said, whoever said it; empty if there is none."""
        quoted = json.dumps(event).encode()
        for path in (self.holes.path, self.holes.path + ".1") if self.holes is not None else ():
            with suppress(OSError), open(path, "rb") as file:
                for line in reversed([line for line in file if quoted in line]):
                    with suppress(ValueError):  # a line that was cut
                        found = json.loads(line)
                        if isinstance(found, dict) and found.get("event") == event:
                            return found
        return {}

    def pay(self) -> None:
        """Write what could not be written before."""
        written = [log.write() for log in (self.events, self.holes) if log is not None]
        if not all(written):
            self._owes()


class Rotated:
    """Append lines to a file of bounded size."""

    #: Bytes after which the log is set aside as `….1` and a new one begun.
    ROTATE_AT = 4 * 1024 * 1024
    #: Lines kept in memory while the log itself can't be written.
    KEPT = 1000

    def __init__(self, path: str) -> None:
        self.path = path
        self._cut = b""
        self._waiting: deque[bytes] = deque(maxlen=self.KEPT)

    def append(self, line: bytes) -> None:
        """Have a line written by the next `write`."""
        self._waiting.append(line)

    def write(self) -> bool:
        """Write what waits; tell whether nothing is left: what can't be written is kept."""
        try:
            if self._waiting or self._cut:
                self._write()
        except OSError:
            return False
        return not self._waiting and not self._cut

    def _write(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self.path, flags, 0o600)
        try:
            if self._cut:
                self._cut = self._cut[os.write(fd, self._cut) :]
            while self._waiting and not self._cut:
                line = self._waiting.popleft()
                try:
                    self._cut = line[os.write(fd, line) :]
                except OSError:
                    self._waiting.appendleft(line)
                    raise
            full = os.fstat(fd).st_size > self.ROTATE_AT
        finally:
            os.close(fd)
        if full:
            os.replace(self.path, self.path + ".1")


def _line(event: str, facts: dict[str, Any]) -> bytes:
    return (json.dumps({"time": timestamp(), "event": event, **facts}) + "\n").encode("ascii")


def timestamp(now: float | None = None) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds."""
    now = time.time() if now is None else now
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
