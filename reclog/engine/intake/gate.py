"""The gate that newcomers come in by: open, unless there is no place, or the store takes nothing.

No one is turned away here: before a closed gate newcomers wait in the listener's queue, and the event log
says so.
"""

from __future__ import annotations

import errno
from typing import Callable, Protocol

from ..records.events import Say, timestamp
from ..streams.stream import Stream
from ..system.loop import Loop
from .framing import Framing
from .strangers import Welcome

#: Connections that are accepted before anything else is looked at again.
ACCEPT_BATCH = 64
#: Seconds after which another descriptor, or another stranger's place, is asked for when there was none.
ROOM_AGAIN = 0.25


class Endpoint(Protocol):
    """Where senders come from: a listening socket, or what else tells of newcomers."""

    @property
    def framing(self) -> Callable[[], Framing]:
        """What makes the framing of each sender that comes here."""

    def fileno(self) -> int:
        """Return the descriptor to watch: once it can be read, a newcomer may be there."""

    def waits(self) -> bool:
        """Tell whether a newcomer waits to be accepted, as far as is known."""

    def accept(self) -> tuple[Stream, str, str]:
        """Return a newcomer's stream, its host (empty: unknown) and its name. Raises OSError."""


class Gate:
    """Every endpoint, and whether its senders may come in."""

    def __init__(
        self, loop: Loop, welcome: Welcome, senders: Callable[[], int], on_open: Callable[[], None], say: Say
    ) -> None:
        """`welcome` is called with each newcomer; `senders` tells how many there are.

        `on_open` is called when it opens again.
        """
        self._loop = loop
        self._welcome = welcome
        self._senders = senders
        self._on_open = on_open
        self._say = say
        self._endpoints: dict[Endpoint, Callable[[], None]] = {}
        # Two reasons to be closed, and both have to end: no place (since when), a store that takes nothing.
        self._full_since = 0.0
        #: The same as an event's time; empty while there is room.
        self.full_at = ""
        self._shut = False
        self._room_timer = loop.timer(self.have_room)

    @property
    def open(self) -> bool:
        """Tell whether a newcomer may come in now."""
        return not self._shut and not self._full_since

    @property
    def full(self) -> bool:
        """Tell whether newcomers wait because there is no place for one more."""
        return bool(self._full_since)

    def waits(self) -> bool:
        """Tell whether newcomers wait."""
        return any(endpoint.waits() for endpoint in self._endpoints)

    def serve(self, endpoint: Endpoint) -> None:
        """Accept the senders of `endpoint` from now on."""
        self._endpoints[endpoint] = lambda: self._accept(endpoint)
        if self.open:
            self._loop.watch(endpoint.fileno(), self._endpoints[endpoint])

    def leave(self, endpoint: Endpoint) -> None:
        """Accept none of `endpoint` any more; nothing happens if it isn't served."""
        if self._endpoints.pop(endpoint, None) is not None:
            self._loop.unwatch(endpoint.fileno())

    def fill(self, why: str, seconds: float = 0.0) -> None:
        """Close until there is room again, or for so many seconds if there may be by then."""
        self._room_timer.at(self._loop.now() + seconds) if seconds else self._room_timer.off()
        if not self._full_since:
            self._full_since = self._loop.now()
            self.full_at = timestamp()
            self._say("listener full", reason=why, senders=self._senders())
            self._unwatch()

    def have_room(self) -> None:
        """Open again if it was closed for want of room."""
        if self._full_since:
            seconds = round(self._loop.now() - self._full_since, 3)
            self._full_since, self.full_at = 0.0, ""
            self._room_timer.off()
            self._say("listener has room again", full_seconds=seconds)
            self._watch()

    def shut(self) -> None:
        """Close until `reopen`."""
        self._shut = True
        self._unwatch()

    def reopen(self) -> None:
        """Open again if it was shut."""
        self._shut = False
        self._watch()

    def _accept(self, endpoint: Endpoint) -> None:
        for _ in range(ACCEPT_BATCH):
            # A newcomer may have taken the last place, or have filled the store.
            if not self.open or endpoint not in self._endpoints:
                return
            try:
                stream, host, name = endpoint.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                # No descriptor or no memory left: the newcomers keep waiting in the queue.
                self.fill(error.strerror or str(error), ROOM_AGAIN)
                return
            self._welcome(stream, host, name, endpoint.framing())

    def _watch(self) -> None:
        if self.open:
            for endpoint, callback in self._endpoints.items():
                self._loop.watch(endpoint.fileno(), callback)
            self._on_open()

    def _unwatch(self) -> None:
        for endpoint in self._endpoints:
            self._loop.unwatch(endpoint.fileno())
