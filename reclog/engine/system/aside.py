"""Work that blocks, done beside the loop: the sync of a slow disk holds up nobody's lines."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from .loop import Loop

Done = Callable[[Optional[OSError]], None]


class Aside:
    """One thread for one thing at a time. It touches nothing of ours but what `work` does."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._done: Done | None = None

    @property
    def busy(self) -> bool:
        """Tell whether `done` of the last start is still to be called."""
        return self._done is not None

    def start(self, work: Callable[[], None], done: Done) -> None:
        """Run `work` beside the loop; in the loop, call `done` with the OSError that it raised, or None."""
        self._done = done
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        error: OSError | None = None
        try:
            work()
        except OSError as raised:
            error = raised
        self._loop.call(lambda: self._end(error))

    def _end(self, error: OSError | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(error)
