"""The doors that newcomers come in by: open, unless there is no place, or the store takes nothing.

No one is turned away here: behind a closed door newcomers wait in the listener's queue, and the event log
says so.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Callable, Protocol

from ..system.loop import Loop

#: Connections that are accepted before anything else is looked at again.
ACCEPT_BATCH = 64
#: Seconds after which another descriptor is asked for when there was none.
ROOM_AGAIN = 0.25

Welcome = Callable[[socket.socket, str, str], None]
Report = Callable[..., None]


class Source(Protocol):
    """A listening socket that senders come from."""

    @property
    def sock(self) -> socket.socket:
        """What to watch."""

    def accept(self) -> tuple[socket.socket, str, str]:
        """Return a connection, its host (empty: unknown) and its name. Raises OSError."""


class Doors:
    """Every source of senders, and whether they may come in."""

    def __init__(self, loop: Loop, welcome: Welcome, senders: Callable[[], int], report: Report) -> None:
        """`welcome` is called with each newcomer (socket, host, name); `senders` tells how many there are."""
        self._loop = loop
        self._welcome = welcome
        self._senders = senders
        self._report = report
        self._sources: dict[Source, Callable[[], None]] = {}
        # Two reasons to be closed, and both have to end: no place (since when), a store that takes nothing.
        self._full_since = 0.0
        self._held = False
        self._room_timer = loop.timer(self.have_room)

    @property
    def full(self) -> bool:
        """Tell whether newcomers wait because there is no place for one more."""
        return bool(self._full_since)

    def serve(self, source: Source) -> None:
        """Accept the senders of `source` from now on."""
        self._sources[source] = lambda: self._accept(source)
        if not self._held and not self._full_since:
            self._loop.watch(source.sock, self._sources[source])

    def leave(self, source: Source) -> None:
        """Accept none of `source` any more."""
        self._loop.unwatch(source.sock)
        self._sources.pop(source, None)

    def fill(self, why: str) -> None:
        """Close them until there is room again."""
        if not self._full_since:
            self._full_since = time.monotonic()
            self._report("listener full", reason=why, senders=self._senders())
            self._close()

    def have_room(self) -> None:
        """Open them again if they were closed for want of room."""
        if self._full_since:
            seconds = round(time.monotonic() - self._full_since, 3)
            self._full_since = 0.0
            self._room_timer.off()
            self._report("listener has room again", full_seconds=seconds)
            self._open()

    def hold(self) -> None:
        """Close them until `release`."""
        self._held = True
        self._close()

    def release(self) -> None:
        """Open them again."""
        self._held = False
        self._open()

    def _accept(self, source: Source) -> None:
        for _ in range(ACCEPT_BATCH):
            # A newcomer may have taken the last place, or have filled the store.
            if self._held or self._full_since or source not in self._sources:
                return
            try:
                sock, host, name = source.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                # No descriptor or no memory left: the newcomers keep waiting in the queue.
                self.fill(error.strerror or str(error))
                self._room_timer.at(time.monotonic() + ROOM_AGAIN)
                return
            self._welcome(sock, host, name)

    def _open(self) -> None:
        if not self._held and not self._full_since:
            for source, callback in self._sources.items():
                self._loop.watch(source.sock, callback)

    def _close(self) -> None:
        for source in self._sources:
            self._loop.unwatch(source.sock)
