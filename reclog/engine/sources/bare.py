"""The bare sink: socat straight into a file, bytes as they come, with no intake between.

The file goes to socat as an open descriptor (`FD:n`): no file name needs escaping, and none is ever misread.
"""

from __future__ import annotations

import select
import shutil

from ..records.events import Say
from ..system.loop import Loop
from .choice import demand
from .forks import SocatSource
from .parent import SocatParent
from .socat import NAME, socat_command
from .source import Asked, SourceFacts


class BareSource:
    """socat into a descriptor; when it dies it is started again."""

    def __init__(self, loop: Loop, asked: Asked, fd: int, folder: str, say: Say, hear: Say) -> None:
        """`hear` states what socat says. Raises ListenerUnusable if what is asked can't be done."""
        demand(SocatSource, asked)
        command = socat_command(shutil.which("socat") or "socat", asked, f"FD:{fd}", one_way=True)
        self._loop = loop
        self._parent = SocatParent(loop, asked, command, folder, say, hear, pass_fds=(fd,))
        self.start = self._parent.start
        self.refuse_newcomers = self._parent.refuse_newcomers
        self.close = self._parent.close

    def drain(self, until: float) -> bool:
        """Let socat take what waits, and its forks write what they have; False if `until` came first."""
        parent = self._parent
        while parent.queue is not None and parent.child.pid and self._loop.now() < until:
            if not select.select([parent.queue], [], [], 0)[0]:
                break
            parent.finish_forks()  # at max-children it accepts only when a fork ends
            self._loop.turn(at_most=0.02)
        return parent.finish(until, quiet=lambda: True)

    def left_behind(self) -> int:
        """Return the bytes that senders sent and that were not written."""
        return sum(self._parent.unread().values())

    def senders(self) -> int:
        """Return how many forks there are."""
        return sum(1 for _ in self._parent.forks())

    def facts(self) -> SourceFacts:
        """Return how socat goes."""
        return SourceFacts(NAME, self._parent.down, self._parent.child.restarts)
