"""A kqueue(2) for a system that has none, made of poll(2): what `select` has of it on macOS."""

from __future__ import annotations

import errno
import select
from typing import Callable, List, NamedTuple, Optional, Set, Tuple

READ, WRITE, ADD, DELETE = -1, -2, 1, 2


class Kevent(NamedTuple):
    """What is asked for, and what is answered."""

    ident: int
    filter: int
    flags: int = ADD


class Kqueue:
    """Filters by descriptor."""

    def __init__(self) -> None:
        self._filters: Set[Tuple[int, int]] = set()
        self.closed = False

    def control(
        self, changes: Optional[List[Kevent]], most: int, timeout: Optional[float] = None
    ) -> List[Kevent]:
        for one in changes or ():
            key = (one.ident, one.filter)
            if one.flags == ADD:
                self._filters.add(key)
            elif key in self._filters:
                self._filters.discard(key)
            else:
                raise OSError(errno.ENOENT, "No such file or directory")
        return self._ready(timeout)[:most] if most else []

    def close(self) -> None:
        self.closed = True

    def _ready(self, timeout: Optional[float]) -> List[Kevent]:
        poll = select.poll()
        asked = {READ: select.POLLIN, WRITE: select.POLLOUT}
        answered = {READ: select.POLLIN | select.POLLHUP | select.POLLERR, WRITE: select.POLLOUT}
        for ident in {ident for ident, _ in self._filters}:
            events = sum(asked[kind] for kind in (READ, WRITE) if (ident, kind) in self._filters)
            poll.register(ident, events)
        found = poll.poll(None if timeout is None else max(0, timeout) * 1000)
        closed = {ident for ident, event in found if event & select.POLLNVAL}
        self._filters = {key for key in self._filters if key[0] not in closed}
        return [
            Kevent(ident, kind)
            for ident, event in found
            for kind in (READ, WRITE)
            if event & answered[kind] and (ident, kind) in self._filters
        ]


def install(put: Callable[[object, str, object], object] = setattr) -> None:
    """Have `select` be as it is there."""
    names = {"kqueue": Kqueue, "kevent": Kevent, "KQ_FILTER_READ": READ, "KQ_FILTER_WRITE": WRITE}
    for name, value in {**names, "KQ_EV_ADD": ADD, "KQ_EV_DELETE": DELETE}.items():
        put(select, name, value)
