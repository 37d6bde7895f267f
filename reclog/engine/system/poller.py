"""Which descriptors are ready: by epoll(7), or kqueue(2) where that is what the system has (macOS, the BSDs).

`selectors` keeps an object for each descriptor and makes a list of them each turn. For a sender of one line
that is a seventh of all its cost, so it is left out.
"""

from __future__ import annotations

import math
import select
from typing import Any, Callable, Dict, Iterator, Protocol, Set

Callback = Callable[[], object]


class Poller(Protocol):
    """Descriptors and what is to be called when they are ready."""

    def watch(self, fd: int, callback: Callback, writing: bool, first: bool = False) -> None:
        """Watch `fd` from now on, or for something else than before; `first`: before all that are not."""

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd`, which may be closed; nothing happens if it isn't watched."""

    def wait(self, timeout: float | None) -> Iterator[Callback]:
        """Wait, at most `timeout` seconds; yield what is to be called, unless one before has it unwatched."""

    def close(self) -> None:
        """Give the descriptor back."""


class EpollPoller:
    """Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: Dict[int, Callback] = {}
        self._first: Set[int] = set()

    def watch(self, fd: int, callback: Callback, writing: bool, first: bool = False) -> None:
        """As the protocol has it."""
        events = select.EPOLLIN | select.EPOLLOUT if writing else select.EPOLLIN
        try:
            self._epoll.register(fd, events)
        except FileExistsError:
            self._epoll.modify(fd, events)
        self._callbacks[fd] = callback
        if first:
            self._first.add(fd)

    def unwatch(self, fd: int) -> None:
        """As the protocol has it."""
        if self._callbacks.pop(fd, None) is not None:
            self._first.discard(fd)
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass  # closed already, which ended it

    def wait(self, timeout: float | None) -> Iterator[Callback]:
        """As the protocol has it."""
        # A part of a millisecond must not become none, and the wait a busy one.
        seconds = None if timeout is None else math.ceil(timeout * 1000) / 1000
        ready = self._epoll.poll(seconds, max(64, len(self._callbacks)))
        if self._first and len(ready) > 1 and not self._first.isdisjoint(dict(ready)):
            ready.sort(key=lambda one: one[0] not in self._first)
        for fd, _ in ready:
            callback = self._callbacks.get(fd)
            if callback is not None:
                yield callback

    def close(self) -> None:
        """As the protocol has it."""
        self._epoll.close()


class KqueuePoller:
    """macOS and the BSDs: a filter for what can be read, another one for room to write."""

    def __init__(self) -> None:
        self._select: Any = select  # on Linux it has nothing of this
        self._kqueue = self._select.kqueue()
        self._callbacks: Dict[int, Callback] = {}
        self._first: Set[int] = set()

    def watch(self, fd: int, callback: Callback, writing: bool, first: bool = False) -> None:
        """As the protocol has it."""
        # Also where it did: the number may be another one's by now.
        self._change(fd, self._select.KQ_FILTER_READ, self._select.KQ_EV_ADD)
        if writing:
            self._change(fd, self._select.KQ_FILTER_WRITE, self._select.KQ_EV_ADD)
        elif fd in self._callbacks:
            self._drop(fd, self._select.KQ_FILTER_WRITE)
        self._callbacks[fd] = callback
        if first:
            self._first.add(fd)

    def unwatch(self, fd: int) -> None:
        """As the protocol has it."""
        if self._callbacks.pop(fd, None) is not None:
            self._first.discard(fd)
            self._drop(fd, self._select.KQ_FILTER_READ)
            self._drop(fd, self._select.KQ_FILTER_WRITE)

    def wait(self, timeout: float | None) -> Iterator[Callback]:
        """As the protocol has it."""
        events = self._kqueue.control(None, max(64, 2 * len(self._callbacks)), timeout)
        # One that can be read and has room is there twice.
        for fd in sorted({event.ident: None for event in events}, key=lambda fd: fd not in self._first):
            callback = self._callbacks.get(fd)
            if callback is not None:
                yield callback

    def close(self) -> None:
        """As the protocol has it."""
        self._kqueue.close()

    def _drop(self, fd: int, kind: int) -> None:
        try:
            self._change(fd, kind, self._select.KQ_EV_DELETE)
        except OSError:
            pass  # it was not asked for, or is closed

    def _change(self, fd: int, kind: int, what: int) -> None:
        self._kqueue.control([self._select.kevent(fd, kind, what)], 0)


def poller() -> Poller:
    """Return what this system has."""
    return EpollPoller() if hasattr(select, "epoll") else KqueuePoller()
