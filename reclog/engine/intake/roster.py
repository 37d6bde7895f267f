"""The senders that are connected, and whether one more may be.

No sender is turned away silently: one whose address is not allowed, or has too many connections, is closed,
and the event log says so.
"""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, Sequence

from ..records.events import timestamp
from ..records.journal import Journal
from ..streams.stream import Stream, Unspoken
from ..system.address import Network, allows
from .framing import Framing
from .sender import Sender
from .strangers import PLACES
from .token import Token

#: Why somebody is turned away.
NOT_ALLOWED = "its address is not allowed (--allow)"


class Limits(NamedTuple):
    """Who may send, how many at once, how their text is treated."""

    #: Seconds.
    partial_after: float = 2.0
    stamp: bool = False
    allow: Sequence[Network] = ()
    senders: int = 1000
    senders_per_address: int = 1000
    #: By address, or by what a sender without one is called: what a person calls it.
    names: Mapping[str, str] = {}
    #: What a sender has to say first; None: nothing.
    token: Token | None = None
    #: Who has not said it, at once.
    strangers: int = PLACES

    def shown(self, host: str, peer: str) -> str:
        """Return what a sender is called: its name, if it has one, in the place of its address."""
        name = self.names.get(host.partition("%")[0] or peer) if self.names else None
        if not name:
            return peer
        return f"{name}:{peer.rpartition(':')[2]}" if host else name


class Roster:
    """Every sender, and how many an address has."""

    def __init__(self, limits: Limits, journal: Journal, now: Callable[[], float]) -> None:
        self.connects = 0
        self.refused = 0
        #: The last one that spoke what is not spoken here: when, its name, and why it was refused.
        self.no_text = ""
        #: By their numbers, which are never used twice.
        self.senders: dict[int, Sender] = {}
        self._limits = limits
        self._journal = journal
        self._now = now
        self._per_address: dict[str, int] = {}
        # How many of them stay.
        self._staying = 0

    @property
    def full(self) -> str:
        """Why there is no place for one more; empty if there is one."""
        here = len(self.senders) - self._staying
        return f"{here} senders are connected" if here >= self._limits.senders else ""

    def adopt(self, limits: Limits) -> list[tuple[Sender, str]]:
        """Have other limits from now on; return those who are here and may not be any more, and why."""
        anew = limits.token is not None and limits.token != self._limits.token
        self._limits = limits
        leaving = []
        for one in self.senders.values():
            one.name = self.shown(one.host, one.peer)
            if one.host and not allows(limits.allow, one.host):
                leaving.append((one, "its address is not allowed any more (--allow)"))
            elif anew and one.host:
                leaving.append((one, "a token is asked for that it has not said (--token)"))
        return leaving

    def allows(self, stream: Stream, host: str, name: str) -> bool:
        """Tell whether a newcomer's address may send; if not, it is closed."""
        if not host or allows(self._limits.allow, host):
            return True
        self.refuse(stream, host, name, NOT_ALLOWED)
        return False

    def shown(self, host: str, peer: str) -> str:
        """Return what a sender is called by now."""
        return self._limits.shown(host, peer)

    def keep(self, stream: Stream, name: str, framing: Framing) -> Sender:
        """Take in what we dialled."""
        self._staying += 1
        return self._enter(stream, "", name, framing, stays=True)

    def admit(self, stream: Stream, host: str, name: str, framing: Framing) -> Sender | None:
        """Take a newcomer in; None if it may not send, and is closed."""
        if host:
            limits = self._limits
            here = self._per_address.get(host, 0)
            if not allows(limits.allow, host):
                self.refuse(stream, host, name, NOT_ALLOWED)
                return None
            if here >= limits.senders_per_address:
                why = f"{here} connections from its address are open already"
                self.refuse(stream, host, name, why)
                return None
            self._per_address[host] = here + 1
        return self._enter(stream, host, name, framing)

    def _enter(self, stream: Stream, host: str, peer: str, framing: Framing, stays: bool = False) -> Sender:
        self.connects += 1
        name = self.shown(host, peer) if self._limits.names else peer
        sender = Sender(self.connects, stream, host, peer, name, framing, self._now(), stays)
        self.senders[sender.id] = sender
        self._journal.connected(sender.name)
        return sender

    def dismiss(self, sender: Sender, why: str) -> None:
        """Close a sender's stream, and forget it."""
        sender.stream.close()
        sender.gone = True
        self._staying -= sender.stays
        del self.senders[sender.id]
        if sender.host:
            left = self._per_address[sender.host] - 1
            if left:
                self._per_address[sender.host] = left
            else:
                del self._per_address[sender.host]
        seconds = self._now() - sender.since
        self._journal.disconnected(sender.name, why, seconds, sender.bytes, sender.lines)

    def count_refused(self, name: str, why: str) -> None:
        """Take note of one who may not send."""
        self.refused += 1
        if isinstance(why, Unspoken):
            self.no_text = f"{timestamp()}, {name} {why}"
        self._journal.refused(name, why)

    def refuse(self, stream: Stream, host: str, peer: str, why: str) -> None:
        """Close a newcomer who may not send."""
        self.count_refused(self.shown(host, peer), why)
        stream.refuse()
        stream.close()
