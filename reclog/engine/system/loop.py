"""The event loop: what is ready, what is due, what to do at the end of each turn."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import deque
from typing import Callable, Deque, Dict, Set

from .poller import poller

_NEVER = float("inf")
#: Seconds of one wait at most: epoll_wait(2) counts milliseconds in an int, 24 days.
_AT_MOST = 86400.0


class Timer:
    """One thing to do at a time (seconds of the loop's clock) that can be moved."""

    __slots__ = ("_callback", "_loop", "when")

    def __init__(self, loop: Loop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self.when = _NEVER

    def at(self, when: float) -> None:
        """Be due at `when`."""
        self.when = when
        if when < self._loop.due:
            self._loop.due = when

    def off(self) -> None:
        """Not be due."""
        self.when = _NEVER

    def fire(self) -> None:
        """Do it, once."""
        self.when = _NEVER
        self._callback()


class Loop:
    """Wait on descriptors, timers and signals together.

    An idle loop sleeps in the kernel without a deadline: it uses no CPU.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells the time in seconds; a test hands in one that it moves itself."""
        #: What time it is for all that is done in this loop.
        self.now = clock
        self._poller = poller()
        self._callbacks: Dict[int, Callable[[], object]] = {}
        self._first: Set[int] = set()
        self._timers: list[Timer] = []
        #: When the next timer may be due: one that was moved since, or put off, is looked at then.
        self.due = _NEVER
        self._after_turn: list[Callable[[], None]] = []
        self._signals: dict[int, Callable[[], object]] = {}
        self._rest = 0.0
        # What other threads want done. A deque's ends are safe to use from any.
        self._calls: Deque[Callable[[], None]] = deque()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        self.watch(self._wake_out, self._on_signal)

    def watch(
        self,
        thing: socket.socket | int,
        callback: Callable[[], object],
        writing: bool = False,
        first: bool = False,
    ) -> None:
        """Call `callback` whenever `thing` can be read; with `writing`, also when it can be written.

        Watching a thing again replaces what was asked before. What is to be `first` is so in each turn.
        """
        fd = thing if isinstance(thing, int) else thing.fileno()
        self._poller.watch(fd, writing)
        self._callbacks[fd] = callback
        if first:
            self._first.add(fd)

    def unwatch(self, thing: socket.socket | int) -> None:
        """Stop watching `thing`, before it is closed; nothing happens if it isn't watched."""
        fd = thing if isinstance(thing, int) else thing.fileno()
        if self._callbacks.pop(fd, None) is not None:
            self._first.discard(fd)
            self._poller.unwatch(fd)

    def timer(self, callback: Callable[[], None]) -> Timer:
        """Return a new timer of this loop, not yet due."""
        timer = Timer(self, callback)
        self._timers.append(timer)
        return timer

    def after_turn(self, callback: Callable[[], None]) -> None:
        """Call `callback` at the end of every turn."""
        self._after_turn.append(callback)

    def rest(self, seconds: float) -> None:
        """Sleep for `seconds` at the end of this turn, so that more is there for the next one."""
        self._rest = seconds

    def on_signal(self, number: int, callback: Callable[[], object]) -> None:
        """Call `callback` within a turn after signal `number` came."""
        self._signals[number] = callback
        # Python's own handler must exist for the wake-up descriptor to be written.
        signal.signal(number, lambda *_: None)

    def call(self, callback: Callable[[], None]) -> None:
        """Call `callback` within a turn; this may be said by any thread."""
        self._calls.append(callback)
        try:
            self._wake_in.send(b"\0")
        except OSError:
            pass  # full: it is awake already; closed: nobody waits any more

    def turn(self, at_most: float | None = None) -> None:
        """Wait until something is ready or due, at most `at_most` seconds, and deal with it."""
        due = self.due
        timeout = None if due == _NEVER else min(max(0.0, due - self.now()), _AT_MOST)
        if at_most is not None:
            timeout = at_most if timeout is None else min(timeout, at_most)
        ready = self._poller.wait(timeout, max(64, len(self._callbacks)))
        if self._first and len(ready) > 1 and not self._first.isdisjoint(dict(ready)):
            ready.sort(key=lambda one: one[0] not in self._first)
        for fd, _ in ready:
            watching = self._callbacks.get(fd)
            if watching is not None:  # else one before had it unwatched
                watching()
        if due != _NEVER and self.due <= self.now():
            self._fire()
        for callback in self._after_turn:
            callback()
        if self._rest:
            time.sleep(self._rest)
            self._rest = 0.0

    def close(self) -> None:
        """Give the descriptors and the signals' wake-up back."""
        signal.set_wakeup_fd(-1)
        self._poller.close()
        self._wake_in.close()
        self._wake_out.close()

    def _fire(self) -> None:
        now, self.due = self.now(), _NEVER
        for timer in self._timers:
            if timer.when <= now:
                timer.fire()
        self.due = min(self.due, min(timer.when for timer in self._timers))

    def _on_signal(self) -> None:
        try:
            came = os.read(self._wake_out.fileno(), 4096)
        except BlockingIOError:
            return
        for number in sorted(set(came)):
            callback = self._signals.get(number)
            if callback is not None:
                callback()
        while self._calls:
            self._calls.popleft()()
