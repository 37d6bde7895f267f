"""How senders reach us: what every kind of source does, and what each says that it can.

A new kind is a module with a class of it, and a line in `choice`.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, ClassVar, NamedTuple, Protocol, Sequence

from ..intake.framing import Framing, Lines
from ..intake.intake import Intake
from ..records.events import Say
from ..streams.plain import Plain
from ..streams.stream import Stream
from ..system.address import Network, parse_network
from ..system.loop import Loop


class Asked(NamedTuple):
    """What is asked of a source."""

    bind: str
    port: int
    allow: Sequence[Network] = ()
    stamp: bool = False
    #: Connections that one address may have; 0: as many as there are places.
    per_address: int = 0
    #: Some have names.
    names: bool = False
    #: Senders at once.
    places: int = 1000
    framing: Callable[[], Framing] = Lines
    tls: bool = False
    #: What makes the stream of a connection.
    carry: Callable[[socket.socket], Stream] = Plain
    #: A sender has to say something before it is one.
    token: bool = False

    @classmethod
    def of(cls, words: Any, port: int = 0) -> Asked:
        """Return what something asks for that has the fields of a daemon's `Listening`."""
        allow = [parse_network(text) for text in words.allow]
        asked = cls(words.bind, port, allow, words.stamp, words.max_per_address, tls=words.tls)
        return asked._replace(names=bool(words.names), token=bool(words.token))


class Abilities(NamedTuple):
    """What a kind of source can do."""

    #: It tells each sender's address, and so how many connections that has.
    knows_address: bool = True
    #: Networks that it can check a sender against, and whether of IPv6, too.
    networks: float = float("inf")
    ipv6_networks: bool = True
    #: What it accepts can be a stranger's until that has shown that it may send.
    strangers: bool = True
    #: Who may come in, and how many, can change while it runs.
    changes: bool = True
    #: A process passes on what one sender says: it takes one a sender, and their bytes may be on their way.
    process_each: bool = False
    #: What carries its senders may be TLS.
    tls: bool = True


class SourceFacts(NamedTuple):
    """What can be seen of a running source."""

    #: Who accepts the senders: the name of a kind.
    listener: str
    #: Why nobody does for now; empty while somebody does.
    down: str = ""
    #: How often it was started again.
    restarts: int = 0


class Source(Protocol):
    """One way in for senders, which come to the intake."""

    NAME: ClassVar[str]
    ABILITIES: ClassVar[Abilities] = Abilities()

    def __init__(self, loop: Loop, intake: Intake, asked: Asked, folder: str, say: Say) -> None:
        """`folder` is the daemon's own, for what the source needs there."""

    @staticmethod
    def absent() -> str:
        """Return why there is no such source on this system, with the remedy; empty if there is."""
        return ""

    @property
    def loses(self) -> str:
        """What a stop may lose with it on this system; empty if nothing. Known once it is started."""
        return ""

    def start(self, patience: float) -> None:
        """Let senders in, and be sure that they are. Raises EngineError, and has nothing open then.

        `patience`: seconds to wait for what is in use for a moment only.
        """

    def refuse_newcomers(self) -> None:
        """Let those who wait to be accepted stay, and add none."""

    def drain(self, until: float) -> bool:
        """Bring in whoever waits; False if `until` (the loop's clock) came first."""

    def left_behind(self) -> int:
        """Return the bytes that senders sent and that did not come as far as the intake."""
        return 0

    def close(self) -> None:
        """Let nobody in any more, and let go of everything."""

    def facts(self) -> SourceFacts:
        """Return what `status` shows of it."""
        return SourceFacts(self.NAME)


def lacks(kind: type[Source], asked: Asked) -> str:
    """Return why `kind` can't do what is asked; empty if it can."""
    name, can = kind.NAME, kind.ABILITIES
    if asked.tls and not can.tls:
        return f"--tls is spoken by builtin alone, not by {name}"
    words = {"--stamp": asked.stamp, "--max-per-address": asked.per_address, "--name": asked.names}
    needs = next((word for word, said in words.items() if said), "")
    if needs and not can.knows_address:
        return f"{needs} needs the sender's address, which {name} does not pass on"
    if asked.token and not can.strangers:
        return f"--token is asked for by the builtin listener, not by {name}"
    if len(asked.allow) > can.networks:
        return f"{name} checks one --allow only"
    ipv6 = ":" in asked.bind or any(network.version == 6 for network in asked.allow)
    if asked.allow and ipv6 and not can.ipv6_networks:
        return f"with {name} --allow works for IPv4 only"
    return ""
