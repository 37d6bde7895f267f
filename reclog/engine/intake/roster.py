"""The senders that are connected, and whether one more may be.

No sender is turned away silently: one whose address is not allowed, or has too many connections, is closed,
and the event log says so. Who finds no place waits outside (`gate`).
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

from ..records.events import timestamp
from ..records.journal import Journal
from ..streams.stream import Stream
from ..system.address import Network, allows
from .framing import Framing
from .sender import Sender


class Limits(NamedTuple):
    """Who may send, how many at once, how their text is treated."""

    #: Seconds.
    partial_after: float = 2.0
    stamp: bool = False
    allow: Sequence[Network] = ()
    senders: int = 1000
    senders_per_address: int = 1000


class Roster:
    """Every sender, and how many an address has."""

    def __init__(self, limits: Limits, journal: Journal, now: Callable[[], float]) -> None:
        self.connects = 0
        self.refused = 0
        #: The last one that sent no text: when, its name, and why it was refused.
        self.no_text = ""
        #: By their numbers, which are never used twice.
        self.senders: dict[int, Sender] = {}
        self._limits = limits
        self._journal = journal
        self._now = now
        self._per_address: dict[str, int] = {}

    @property
    def full(self) -> str:
        """Why there is no place for one more; empty if there is one."""
        here = len(self.senders)
        return f"{here} senders are connected" if here >= self._limits.senders else ""

    def adopt(self, limits: Limits) -> list[Sender]:
        """Have other limits from now on; return those who are here and may not be any more."""
        self._limits = limits
        return [one for one in self.senders.values() if one.host and not allows(limits.allow, one.host)]

    def admit(self, stream: Stream, host: str, name: str, framing: Framing) -> Sender | None:
        """Take a newcomer in; None if it may not send, and is closed."""
        if host:
            limits = self._limits
            here = self._per_address.get(host, 0)
            if not allows(limits.allow, host):
                self._refuse(stream, name, "its address is not allowed (--allow)")
                return None
            if here >= limits.senders_per_address:
                self._refuse(stream, name, f"{here} connections from its address are open already")
                return None
            self._per_address[host] = here + 1
        self.connects += 1
        sender = Sender(self.connects, stream, host, name, framing, self._now())
        self.senders[sender.id] = sender
        self._journal.connected(name)
        return sender

    def dismiss(self, sender: Sender, why: str) -> None:
        """Close a sender's stream, and forget it."""
        sender.stream.close()
        sender.gone = True
        del self.senders[sender.id]
        if sender.host:
            left = self._per_address[sender.host] - 1
            if left:
                self._per_address[sender.host] = left
            else:
                del self._per_address[sender.host]
        seconds = self._now() - sender.since
        self._journal.disconnected(sender.name, why, seconds, sender.bytes, sender.lines)

    def turned_away(self, sender: Sender, why: str) -> None:
        """Take note that a sender is refused for what it sends."""
        self.refused += 1
        self.no_text = f"{timestamp()}, {sender.name} {why}"
        self._journal.refused(sender.name, why)

    def _refuse(self, stream: Stream, name: str, why: str) -> None:
        self.refused += 1
        self._journal.refused(name, why)
        stream.refuse()
        stream.close()
