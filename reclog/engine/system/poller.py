"""Which descriptors are ready: by epoll(7), or by what else the system has (macOS, the BSDs: kqueue(2)).

`selectors` keeps an object for each descriptor and makes a list of them each turn. For a sender of one line
that is a seventh of all its cost, so it is left out where there is epoll.
"""

from __future__ import annotations

import math
import select
import selectors
from typing import List, Protocol, Tuple


class Poller(Protocol):
    """Descriptors, and which of them are ready."""

    def watch(self, fd: int, writing: bool) -> None:
        """Watch `fd` from now on, or for something else than before; `writing`: for room to write, too."""

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd`, which may be closed."""

    def wait(self, timeout: float | None, most: int) -> List[Tuple[int, int]]:
        """Wait, at most `timeout` seconds; return `most` of those that are ready, and for what."""

    def close(self) -> None:
        """Give the descriptor back."""


class Epoll:
    """Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.close = self._epoll.close

    def watch(self, fd: int, writing: bool) -> None:
        events = select.EPOLLIN | select.EPOLLOUT if writing else select.EPOLLIN
        try:
            self._epoll.register(fd, events)
        except FileExistsError:
            self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except OSError:
            pass  # closed already, which ended it

    def wait(self, timeout: float | None, most: int) -> List[Tuple[int, int]]:
        # A part of a millisecond must not become none, and the wait a busy one.
        return self._epoll.poll(None if timeout is None else math.ceil(timeout * 1000) / 1000, most)


class Elsewhere:
    """What Python takes on any other system."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.close = self._selector.close

    def watch(self, fd: int, writing: bool) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)  # not `modify`: the number may be another one's by now
        self._selector.register(fd, selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0))

    def unwatch(self, fd: int) -> None:
        self._selector.unregister(fd)

    def wait(self, timeout: float | None, most: int) -> List[Tuple[int, int]]:
        # By kqueue one that can be read and has room is there twice.
        return list({key.fd: events for key, events in self._selector.select(timeout)}.items())


def poller() -> Poller:
    """Return what this system has."""
    return Epoll() if hasattr(select, "epoll") else Elsewhere()
