"""socat as a daemon's listener: its forks hand their senders' bytes to the intake over a UNIX socket.

When socat dies, the engine takes its queue over and listens itself from then on: no connection is turned
away, and the forks that live go on.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import struct
from typing import Callable

from ..errors import EngineError
from ..intake.framing import Framing
from ..intake.intake import Intake
from ..records.events import Say
from ..records.names import FORKS
from ..streams.plain import Plain
from ..streams.stream import Stream
from ..system.address import host_of
from ..system.kernel import LINUX, peer_of, sockets_of, unread
from ..system.loop import Loop
from ..system.private import listen_at
from .parent import SocatParent, told_to_end
from .socat import ABILITIES, NAME, socat_command
from .source import Asked, Source, SourceFacts
from .tcp import BACKLOG, Builtin, Queue

#: Seconds without a byte after which forks that can't be told to end count as finished.
QUIET_FOR = 1.0


class Fork(Plain):
    """What a fork passes on of its sender."""

    def __init__(self, sock: socket.socket, pid: int, open_forks: set[int]) -> None:
        super().__init__(sock)
        self._pid = pid
        self._open = open_forks
        # Our copy of its sender's socket, once the fork was told to end.
        self._told: socket.socket | None = None
        open_forks.add(pid)

    def unread(self) -> int:
        """Return the bytes that wait for us, and for the fork where the kernel tells of its socket."""
        waiting = 0
        # Before what waits for us: the fork may pass it on while we look.
        for sock in sockets_of(self._pid):
            with sock:
                waiting += unread(sock)
        return waiting + super().unread()

    def address(self) -> str:
        """Return its sender's address, if it is asked while the fork lives: a pid is another's after that."""
        poll = select.poll()
        try:
            there = peer_of(self._pid)
            poll.register(self.fileno(), 0)
            return "" if poll.poll(0) else host_of((there,))
        except OSError:
            return ""  # a descriptor of the fork's that became another's meanwhile

    def leave(self) -> bool:
        """Have the fork read what its sender's kernel queue holds, pass it on, and end."""
        self._told = told_to_end(self._pid) or self._told
        return True

    def close(self) -> None:
        """Close it: the fork ends."""
        if self._told is not None:
            self._told.close()
        super().close()
        self._open.discard(self._pid)


class ForkListener:
    """The UNIX socket of the daemon, to which socat's forks connect."""

    def __init__(
        self, folder: str, framing: Callable[[], Framing], queue: Callable[[], Queue | None]
    ) -> None:
        """Listen in `folder`; `queue` tells of socat's own. Raises OSError."""
        self._queue = queue
        self.framing = framing
        #: The forks whose streams are open.
        self.open: set[int] = set()
        self._path = os.path.join(folder, FORKS)
        self._sock = listen_at(self._path, BACKLOG)
        self.fileno = self._sock.fileno

    def waits(self) -> bool:
        """Tell whether a connection waits in socat's queue, where we have it."""
        queue = self._queue()
        return queue is not None and queue.waits()

    def accept(self) -> tuple[Stream, str, str]:
        """Return the next fork's stream; its sender's host is unknown, its name is the fork's pid."""
        sock, _ = self._sock.accept()
        pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return Fork(sock, pid, self.open), "", f"socat:{pid}"

    def close(self) -> None:
        """Stop listening and remove the name."""
        self._sock.close()
        try:
            os.unlink(self._path)
        except OSError:
            pass


class SocatSource(Source):
    """socat accepts while it runs; when it dies we take its queue over."""

    NAME = NAME
    ABILITIES = ABILITIES

    def __init__(self, loop: Loop, intake: Intake, asked: Asked, folder: str, say: Say) -> None:
        self._loop = loop
        self._intake = intake
        self._asked = asked
        self._taken_over = False
        self._forks = ForkListener(folder, asked.framing, lambda: self._parent.queue)
        command = socat_command(shutil.which("socat") or "socat", asked, f"UNIX-CONNECT:{FORKS}")
        self._parent = SocatParent(loop, asked, command, folder, say, intake.note, self._take_over)

    @staticmethod
    def absent() -> str:
        """Return why there is no socat on this system, with the remedy; empty if there is."""
        if not LINUX:  # elsewhere its life can't be tied to ours
            return "The socat listener works on Linux only: use --listener builtin."
        if shutil.which("socat") is None:
            return "socat is not installed: apt-get install socat, or use --listener builtin."
        return ""

    @property
    def loses(self) -> str:
        """What a stop may lose: lines, where we can't empty socat's queue."""
        if self._parent.queue is not None:
            return ""
        return (
            "This system does not let reclog share socat's queue: a stop may lose lines of senders "
            "that connect at that moment; --listener builtin loses none."
        )

    def start(self, patience: float) -> None:
        """Start socat and take its forks in; what is raised: see SocatParent.start."""
        try:
            self._parent.start(patience)
        except EngineError:
            self._forks.close()
            raise
        self._intake.gate.serve(self._forks)

    def refuse_newcomers(self) -> None:
        """Add no connection to the queue any more."""
        self._parent.refuse_newcomers()

    def drain(self, until: float) -> bool:
        """Bring in what waits in socat's queue and in its forks; False if `until` came first."""
        parent, intake = self._parent, self._intake
        emptied = True
        if parent.queue is not None:
            intake.gate.leave(parent.queue)
            emptied = intake.drain(parent.queue, until)
        finished = parent.finish(until, self._quiet)
        # The forks are gone; their last bytes, and their last connects, are in our own sockets.
        return intake.drain(self._forks, until) and emptied and finished

    def left_behind(self) -> int:
        """Return the bytes that senders sent and that forks which the intake has not met did not read."""
        return sum(size for pid, size in self._parent.unread().items() if pid not in self._forks.open)

    def close(self) -> None:
        """End what is left of socat, and let go of everything."""
        self._intake.gate.leave(self._forks)
        if self._parent.queue is not None:
            self._intake.gate.leave(self._parent.queue)
        self._parent.close()
        self._forks.close()

    def facts(self) -> SourceFacts:
        """Return who listens by now, and how that goes."""
        name = Builtin.NAME if self._taken_over else NAME
        return SourceFacts(name, self._parent.down, self._parent.child.restarts)

    def _take_over(self, queue: Queue) -> None:
        self._taken_over = True
        self._intake.gate.serve(queue)

    def _quiet(self) -> bool:
        intake = self._intake
        return not intake.paused and self._loop.now() - intake.last_read_at > QUIET_FOR
