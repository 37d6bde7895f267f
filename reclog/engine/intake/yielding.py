"""Who makes room for a newcomer when all places are taken.

Rules kept here:

- Of the busiest address (of IPv6, its /64) the one that has been silent longest, and for `SILENT` seconds at
  least; nobody who has said something that is not read.
- Those whose address is unknown count as of one.
- Time in which nobody was read is nobody's silence.
- All are looked at once in `LOOK_EVERY` seconds at most, and only while somebody waits.
"""

from __future__ import annotations

from typing import Callable, Iterable

from ..system.address import site_of
from .sender import Sender

#: Seconds of silence after which a sender may have to go.
SILENT = 10.0
#: Seconds from one look at all senders to the next, and how many of them it finds at most.
LOOK_EVERY = 1.0
AT_MOST = 256


class Yielding:
    """Those who would make room, found once and asked for one by one."""

    def __init__(self, senders: Callable[[], Iterable[Sender]], now: Callable[[], float]) -> None:
        self._senders = senders
        self._now = now
        # The next to go is the last one.
        self._found: list[Sender] = []
        self._looked_at = -LOOK_EVERY

    @property
    def again_at(self) -> float:
        """When to ask again (seconds of the loop's clock)."""
        return self._now() if self._found else max(self._now(), self._looked_at + LOOK_EVERY)

    def next(self, heard_since: float) -> Sender | None:
        """Return who is to make room; None if nobody has to. Nobody was heard right before `heard_since`."""
        before = self._now() - SILENT
        if heard_since > before:
            return None
        if not self._found and self._looked_at + LOOK_EVERY <= self._now():
            self._looked_at = self._now()
            self._found = _silent_ones(self._senders(), before)
        while self._found:
            sender = self._found.pop()
            if sender.heard_at <= before and not sender.gone and not sender.stream.unread():
                return sender
        return None


def _silent_ones(senders: Iterable[Sender], before: float) -> list[Sender]:
    """Return the silent ones by how soon they are to go, the first one last."""
    left: dict[object, int] = {}
    sites: dict[str, object] = {}
    silent = []
    for sender in senders:
        if sender.leaving or sender.stays:
            continue
        site = sites.get(sender.host)
        if site is None:
            site = sites[sender.host] = site_of(sender.host)
        left[site] = left.get(site, 0) + 1
        if sender.heard_at <= before:
            silent.append(sender)
    silent.sort(key=lambda sender: sender.heard_at)
    ranked = []
    for sender in silent:  # each that goes leaves its address one less
        site = sites[sender.host]
        ranked.append((-left[site], sender.heard_at, sender.id, sender))
        left[site] -= 1
    ranked.sort()
    return [sender for *_, sender in reversed(ranked[:AT_MOST])]
