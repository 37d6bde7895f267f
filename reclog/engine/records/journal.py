"""What strangers can cause at will, on its way to the event log: each one named, unless they come in floods.

It goes where it rotates nothing else away (`EventLog.mention`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..system.loop import Loop
from .events import EventLog, timestamp

#: Seconds for which events are collected before they are written together.
COLLECT = 0.5
#: Events in one collection above which they are summed up by address.
EACH_UP_TO = 100


class Journal:
    """Write a few events one by one, a flood as a sum: what happened stays readable and bounded."""

    def __init__(self, loop: Loop, log: EventLog) -> None:
        self._loop = loop
        self._log = log
        self._timer = loop.timer(self.write)
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._hosts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def connected(self, name: str) -> None:
        """A sender came."""
        self._hosts[name.rpartition(":")[0]] += 1
        if self._counts("connect"):
            self._keep("connect", sender=name)

    def disconnected(self, name: str, why: str, seconds: float, size: int, lines: int) -> None:
        """A sender went, after `seconds`, having sent `size` bytes in `lines` lines."""
        if self._counts("disconnect"):
            facts = {"why": why, "seconds": round(seconds, 3), "bytes": size, "lines": lines}
            self._keep("disconnect", sender=name, **facts)

    def refused(self, name: str, why: str) -> None:
        """A sender was turned away."""
        self._hosts[name.rpartition(":")[0]] += 1
        self.note("refused", sender=name, why=why)

    def note(self, event: str, **facts: Any) -> None:
        """Anything else happened that strangers can cause."""
        if self._counts(event):
            self._keep(event, **facts)

    def _counts(self, event: str) -> bool:
        """Count an event; tell whether it may still be written by itself: a flood is not composed."""
        if not self._kinds:
            self._timer.at(self._loop.now() + COLLECT)
        self._kinds[event] += 1
        return len(self._events) <= EACH_UP_TO

    def _keep(self, event: str, **facts: Any) -> None:
        self._events.append((event, {"at": timestamp(), **facts}))

    def write(self) -> None:
        """Write what was collected."""
        self._timer.off()
        if sum(self._kinds.values()) <= EACH_UP_TO:
            for event, facts in self._events:
                self._log.mention(event, **facts)
        else:
            # Not most_common: it imports a module, which fails where no descriptor is left, as in a flood.
            hosts = sorted(self._hosts.items(), key=lambda item: -item[1])[:10]
            self._log.mention("many connections", counts=dict(self._kinds), busiest=dict(hosts))
        self._events.clear()
        self._hosts.clear()
        self._kinds.clear()
