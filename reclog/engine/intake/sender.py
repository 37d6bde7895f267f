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
        "pending",
        "since",
        "stream",
        "weight",
    )

    def __init__(
        self, number: int, stream: Stream, host: str, name: str, framing: Framing, since: float
    ) -> None:
        self.id = number
        self.stream = stream
        #: Its address; empty where nobody tells: another process passes on what it says.
        self.host = host
        self.name = name
        self.framing = framing
        #: When it came (seconds of the loop's clock).
        self.since = since
        #: When it last said something, or came.
        self.heard_at = since
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
