"""socat as a daemon's listener: its forks hand their senders' bytes to the intake over a UNIX socket."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from typing import Callable, NamedTuple

from ..errors import EngineError
from ..intake.intake import Intake
from ..records.names import FORKS
from ..system.kernel import adopt_orphans, drop_incoming
from ..system.loop import Loop
from .socat import Door, SocatParent, reap, socat_command
from .tcp import BACKLOG, PATIENCE, accept_tcp

#: Seconds without a byte after which forks that can't be told to end count as finished.
QUIET_FOR = 1.0
#: Deaths of socat after which it is not started again.
OLD_QUEUES = 8


class ForkListener:
    """The UNIX socket of the daemon, to which socat's forks connect."""

    def __init__(self, folder: str, name: str = FORKS) -> None:
        """Listen under `name` in `folder`. Raises OSError."""
        self.name = name
        self.path = os.path.join(folder, name)
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        self.sock = socket.socket(socket.AF_UNIX)
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.chdir(folder)  # a name is at most 108 bytes, a state folder may be deeper
            self.sock.bind(name)
        finally:
            os.fchdir(here)
            os.close(here)
        os.chmod(self.path, 0o600)
        self.sock.setblocking(False)
        self.sock.listen(BACKLOG)

    def accept(self) -> tuple[socket.socket, str, str]:
        """Return the next fork's connection; its host is unknown, its name is the fork's pid."""
        sock, _ = self.sock.accept()
        if not hasattr(socket, "SO_PEERCRED"):
            return sock, "", "socat"
        pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return sock, "", f"socat:{pid}"

    def close(self) -> None:
        """Stop listening and remove the name."""
        self.sock.close()
        try:
            os.unlink(self.path)
        except OSError:
            pass


class SocatListener:
    """socat accepts while it runs; when it dies the intake takes its queue over, and keeps it."""

    def __init__(
        self, loop: Loop, intake: Intake, program: str, door: Door, folder: str, say: Callable[..., None]
    ) -> None:
        self._loop = loop
        self._intake = intake
        self._say = say
        #: Why nobody listens; empty while somebody does.
        self.down = ""
        self._down_since = 0.0
        self._forks = ForkListener(folder)
        # The queues of socats that ended: they are never closed while we run, so nobody is turned away.
        self._old: list[_Queue] = []

        def command(beside: bool) -> list[str]:
            return socat_command(program, door, f"UNIX-CONNECT:{self._forks.name}", beside=beside)

        self._parent = SocatParent(loop, command, door, folder, say)

    @property
    def restarts(self) -> int:
        """How often socat was started again."""
        return self._parent.child.restarts

    @property
    def shares_queue(self) -> bool:
        """Tell whether this system lets us empty socat's queue, so that a stop loses nothing of it."""
        return self._parent.queue is not None or bool(self._old)

    def start(self, patience: float = PATIENCE) -> None:
        """Start socat and take its forks in; for `patience` and what is raised see SocatParent.start."""
        adopt_orphans()
        self._loop.on_signal(signal.SIGCHLD, self._reap)
        try:
            self._parent.start(patience=patience)
        except EngineError:
            self.close()
            raise
        self._parent.child.on_end = self._ended
        self._parent.child.on_due = self._start_again
        self._intake.serve(self._forks)

    def refuse_newcomers(self) -> None:
        """Add no connection to any queue any more."""
        self._parent.refuse_newcomers()
        for queue in self._old:
            drop_incoming(queue.sock)

    def drain(self, until: float) -> bool:
        """Bring in what waits in socat's queue and in its forks; False if `until` came first."""
        parent, intake = self._parent, self._intake
        parent.child.on_end = lambda status: None
        parent.child.give_up()
        self.refuse_newcomers()
        emptied = parent.queue is None or intake.drain(parent, until)
        for queue in self._old:
            emptied = intake.drain(queue, until) and emptied
        finished = parent.finish(until, self._quiet)
        # The forks are gone; their last bytes, and their last connects, are in our own sockets.
        emptied = intake.drain(self._forks, until) and emptied
        return intake.drain_senders(until) and emptied and finished

    def left_behind(self) -> int:
        """Return the bytes that senders sent and no fork has read."""
        return self._parent.unread()

    def close(self) -> None:
        """End what is left of socat, and let go of everything."""
        self._parent.child.on_end = lambda status: None
        self._intake.leave(self._forks)
        self._parent.close()
        for queue in self._old:
            self._intake.leave(queue)
            queue.sock.close()
        self._old.clear()
        self._forks.close()

    def _reap(self) -> None:
        reap(self._parent.child)

    def _quiet(self) -> bool:
        intake = self._intake
        return not intake.held and time.monotonic() - intake.last_read_at > QUIET_FOR

    def _ended(self, status: int) -> None:
        parent = self._parent
        lost = parent.queue is not None and not _listens(parent.queue)
        facts = {"queue": "lost"} if lost else {}
        self._say("listener died", wait_status=status, said=parent.child.last_words, **facts)
        self._down_since = time.monotonic()
        if parent.queue is not None and lost and not _listen_again(parent.queue):
            parent.queue.close()
            parent.queue = None
        if parent.queue is not None:
            queue = _Queue(parent.queue)
            parent.queue = None
            self._old.append(queue)
            self._intake.serve(queue)
        if not self._old:
            self.down = "socat ended; it is started again soon"
        elif len(self._old) > OLD_QUEUES:
            self._say("listener given up", reason="socat keeps dying; reclog itself listens from now on")
            return
        parent.child.start_later()

    def _start_again(self) -> None:
        parent = self._parent
        parent.child.on_end = lambda status: None
        # Two may listen on a port if both say so. The first socat does not: nobody else can join it.
        for queue in self._old:
            queue.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            parent.start(beside=bool(self._old))
        except EngineError as error:
            if not self._old:
                self.down = str(error)
            self._say("listener does not start", reason=str(error))
            parent.child.start_later()
        else:
            self.down = ""
            seconds = round(time.monotonic() - self._down_since, 3)
            self._say("listener restarted", seconds=seconds)
        parent.child.on_end = self._ended


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _listen_again(sock: socket.socket) -> bool:
    """Make a socket that was shut down listen again: what waited is gone, nobody else is turned away."""
    try:
        sock.listen(BACKLOG)
    except OSError:
        return False  # its port is another's by now
    return True


class _Queue(NamedTuple):
    """A listening socket of a socat that ended, as a source of senders."""

    sock: socket.socket

    def accept(self) -> tuple[socket.socket, str, str]:
        """Return the next connection, its host and its name. Raises OSError."""
        return accept_tcp(self.sock)
