"""A sender: one stream, how its messages are framed, and what it has not finished."""

from __future__ import annotations

from typing import Callable

from ..streams.stream import Stream
from .framing import Framing


class Sender:
    """One stream and its unfinished message."""

    __slots__ = (
        "bytes",
        "framing",
        "gone",
        "heard_at",
        "host",
        "id",
        "leaving",
        "lines",
        "name",
        "on_ready",
        "peer",
        "pending",
        "since",
        "stays",
        "stream",
        "weight",
    )

    def __init__(
        self,
        number: int,
        stream: Stream,
        host: str,
        peer: str,
        name: str,
        framing: Framing,
        since: float,
        stays: bool = False,
    ) -> None:
        self.id = number
        self.stream = stream
        #: Its address; empty where nobody tells: another process passes on what it says.
        self.host = host
        #: Its address with its port, or what else tells it from others; and what a person calls it.
        self.peer = peer
        self.name = name
        self.framing = framing
        #: When it came (seconds of the loop's clock).
        self.since = since
        #: When it last said something, or came.
        self.heard_at = since
        #: We asked for it: it takes no one's place, and need not give up its own.
        self.stays = stays
        #: Set once it is disconnected.
        self.gone = False
        self.bytes = 0
        self.lines = 0
        #: The beginning of a message whose end has not come.
        self.pending: bytes | bytearray = b""
        #: Bytes that this counts for.
        self.weight = 0
        #: Why it goes once all is read that was accepted of it; empty while it may stay.
        self.leaving = ""
        self.on_ready: Callable[[], None] | None = None
