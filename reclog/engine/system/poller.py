"""Which descriptors are ready: epoll(7) itself where there is one, else what `selectors` finds.

`selectors` keeps an object for each descriptor and makes a list of them each turn. For a sender of one line
that is a seventh of all its cost, so it is left out where the system's call is as easy to use.
"""

from __future__ import annotations

import math
import select
import selectors
import sys
from typing import Callable, Iterator

Callback = Callable[[], object]

if sys.platform == "linux":

    class Poller:
        """Descriptors and what is to be called when they are ready."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._callbacks: dict[int, Callback] = {}
            self._first: set[int] = set()

        def watch(self, fd: int, callback: Callback, writing: bool, first: bool = False) -> None:
            """Watch `fd` from now on, or for something else than before; `first`: before all that are not."""
            events = select.EPOLLIN | select.EPOLLOUT if writing else select.EPOLLIN
            try:
                self._epoll.register(fd, events)
            except FileExistsError:
                self._epoll.modify(fd, events)
            self._callbacks[fd] = callback
            if first:
                self._first.add(fd)

        def unwatch(self, fd: int) -> None:
            """Stop watching `fd`; nothing happens if it isn't watched."""
            if self._callbacks.pop(fd, None) is not None:
                self._first.discard(fd)
                try:
                    self._epoll.unregister(fd)
                except OSError:
                    pass  # closed already, which ended it

        def wait(self, timeout: float | None) -> Iterator[Callback]:
            """Wait, at most `timeout` seconds; yield what is to be called."""
            # A part of a millisecond must not become none, and the wait a busy one.
            seconds = None if timeout is None else math.ceil(timeout * 1000) / 1000
            ready = self._epoll.poll(seconds, max(64, len(self._callbacks)))
            if self._first and len(ready) > 1 and not self._first.isdisjoint(dict(ready)):
                ready.sort(key=lambda one: one[0] not in self._first)
            for fd, _ in ready:
                callback = self._callbacks.get(fd)
                if callback is not None:  # nobody before it in this turn had it unwatched
                    yield callback

        def close(self) -> None:
            """Give the descriptor back."""
            self._epoll.close()

else:

    class Poller:
        """Descriptors and what is to be called when they are ready."""

        def __init__(self) -> None:
            self._selector = selectors.DefaultSelector()

        def watch(self, fd: int, callback: Callback, writing: bool, first: bool = False) -> None:
            """Watch `fd` from now on, or for something else than before, in no order."""
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
            try:
                self._selector.register(fd, events, callback)
            except KeyError:
                self._selector.modify(fd, events, callback)

        def unwatch(self, fd: int) -> None:
            """Stop watching `fd`; nothing happens if it isn't watched."""
            try:
                self._selector.unregister(fd)
            except (KeyError, ValueError):
                pass

        def wait(self, timeout: float | None) -> Iterator[Callback]:
            """Wait, at most `timeout` seconds; yield what is to be called."""
            for key, _ in self._selector.select(timeout):
                if key.fd in self._selector.get_map():  # nobody before it in this turn had it unwatched
                    yield key.data

        def close(self) -> None:
            """Give the descriptor back."""
            self._selector.close()
