"""Work that blocks, done beside the loop: the sync of a slow disk holds up nobody's lines."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from .loop import Loop

Done = Callable[[Optional[OSError]], None]


class AtOnce:
    """Work where there is no loop: it is done when `start` returns."""

    #: Whether `done` of the last start is still to be called.
    busy = False

    def start(self, work: Callable[[], None], done: Done) -> None:
        """Run `work`; call `done` with the OSError that it raised, or None."""
        done(attempt(work))

    def wait(self) -> None:
        """Block until nothing is at work."""


class Aside(AtOnce):
    """One thread for one thing at a time. It touches nothing of ours but what `work` does."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None
        self._done: Done | None = None

    def start(self, work: Callable[[], None], done: Done) -> None:
        """Run `work` beside the loop; in the loop, call `done` with the OSError that it raised, or None."""
        thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the user, or the container, has as many as it may have
            done(attempt(work))
            return
        self.busy, self._done, self._thread = True, done, thread

    def wait(self) -> None:
        """Block until what was started has ended, and have that told now."""
        if self._thread is not None:
            self._thread.join()
            self._end(self._thread)

    def _run(self, work: Callable[[], None]) -> None:
        self._error = attempt(work)
        thread = threading.current_thread()
        self._loop.call(lambda: self._end(thread))

    def _end(self, thread: threading.Thread) -> None:
        if thread is self._thread and self._done is not None:  # else it was waited for
            done, self._thread, self._done, self.busy = self._done, None, None, False
            done(self._error)


def attempt(work: Callable[[], None]) -> OSError | None:
    """Do `work`; return the OSError that it raised, or None."""
    try:
        work()
    except OSError as error:
        return error
    return None
