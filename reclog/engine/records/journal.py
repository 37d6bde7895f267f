"""Connects and disconnects on their way to the event log: each one named, unless they come in floods."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..system.loop import Loop
from .events import EventLog, timestamp

#: Seconds for which connection events are collected before they are written together.
COLLECT = 0.5
#: Connection events in one collection above which they are summed up by address.
EACH_UP_TO = 100


class Journal:
    """Write a few connections one by one, a flood as a sum: what happened stays readable and bounded."""

    def __init__(self, loop: Loop, log: EventLog) -> None:
        self._loop = loop
        self.say = log.say
        self._timer = loop.timer(self.write)
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._hosts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def connected(self, name: str) -> None:
        """A sender came."""
        self._hosts[name.rpartition(":")[0]] += 1
        if self._is_one_of_few("connect"):
            self._events.append(("connect", {"at": timestamp(), "sender": name}))

    def disconnected(self, name: str, why: str, seconds: float, size: int, lines: int) -> None:
        """A sender went, after `seconds`, having sent `size` bytes in `lines` lines."""
        if self._is_one_of_few("disconnect"):
            facts = {"why": why, "seconds": round(seconds, 3), "bytes": size, "lines": lines}
            self._events.append(("disconnect", {"at": timestamp(), "sender": name, **facts}))

    def refused(self, name: str, why: str) -> None:
        """A sender was turned away."""
        self._hosts[name.rpartition(":")[0]] += 1
        if self._is_one_of_few("refused"):
            self._events.append(("refused", {"at": timestamp(), "sender": name, "why": why}))

    def write(self) -> None:
        """Write what was collected."""
        self._timer.off()
        if sum(self._kinds.values()) <= EACH_UP_TO:
            for event, facts in self._events:
                self.say(event, **facts)
        else:
            # Not most_common: it imports a module, which fails where no descriptor is left, as in a flood.
            hosts = sorted(self._hosts.items(), key=lambda item: -item[1])[:10]
            self.say("many connections", counts=dict(self._kinds), busiest=dict(hosts))
        self._events.clear()
        self._hosts.clear()
        self._kinds.clear()

    def _is_one_of_few(self, event: str) -> bool:
        """Count an event; tell whether it may be one that is written by itself."""
        if not self._kinds:
            self._timer.at(self._loop.now() + COLLECT)
        self._kinds[event] += 1
        return len(self._events) <= EACH_UP_TO
