"""A sender: one stream, how its messages are framed, and what it has not finished."""

from __future__ import annotations

from typing import Callable

from ..streams.stream import Stream
from .framing import Framing
from .noted import NOTHING_HELD, Came, Who

#: Seconds within which the rest of what was accepted in part has to come: it is sent again after 0.2. How
#: often it is looked for where nothing else tells.
REST_WITHIN, LOOK_AGAIN = 1.5, 0.1


class Sender:
    """One stream and its unfinished message."""

    __slots__ = (
        "_address",
        "bytes",
        "came",
        "framing",
        "gone",
        "heard_at",
        "host",
        "id",
        "leaving",
        "lines",
        "name",
        "on_ready",
        "origin",
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
        #: Who its texts are noted to be of: its address, what was dialled, or itself, who may be asked.
        self.origin: Who = host or (peer if stays else self)
        self._address: str | None = None
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
        #: When the lines of it began.
        self.came: Came = NOTHING_HELD
        #: Bytes that this counts for.
        self.weight = 0
        #: Why it goes once all is read that was accepted of it; empty while it may stay.
        self.leaving = ""
        self.on_ready: Callable[[], object] | None = None

    def address(self) -> str:
        """Return its address; empty if nobody can tell. Its stream is asked once, and while it is open."""
        if self._address is None:
            self._address = "" if self.gone else self.stream.address()
        return self._address

    def awaits_rest(self, now: float) -> bool:
        """Tell whether the rest of what was accepted in part may still come, if more is not accepted."""
        return bool(self.stream.half) and now - self.heard_at < REST_WITHIN
