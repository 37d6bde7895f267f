"""The socat that listens, and its forks: started, watched, started again, told to end.

Rules kept here:

- We hold a copy of its listening socket where the kernel gives one (`queue`). When it ends, whoever made us
  may have that queue; else, and where there is none, it is started again.
- A fork ends after it has passed on what its sender's kernel queue holds, and not a byte later.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Callable, Iterator, Sequence

from ..errors import EngineError, ListenerUnusable
from ..records.events import Say
from ..system.address import reachable
from ..system.child import Child, is_child, reap
from ..system.kernel import (
    adopt_orphans,
    children_of,
    drop_incoming,
    forbid_shutdown,
    reset_on_close,
    sockets_of,
    unread,
    wait_for_more,
)
from ..system.loop import Loop
from .source import Asked
from .tcp import Queue, bound_socket

#: Seconds within which a started socat must listen.
START_WITHIN = 5.0
#: Seconds within which what was killed has ended.
END_WITHIN = 2.0


class SocatParent:
    """The listening socat and its forks, and our copy of its listening socket."""

    def __init__(
        self,
        loop: Loop,
        asked: Asked,
        command: Sequence[str],
        cwd: str,
        say: Say,
        hear: Say,
        inherit: Callable[[Queue], None] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """`hear` states what socat says, of which a stranger may be the cause.

        `inherit` is given the queue once socat has ended; without it the queue ends, too.
        """
        self.child = Child(
            loop,
            command,
            cwd,
            lambda words: hear("socat says", text=words),
            on_end=self._ended,
            on_due=self._start_again,
            prepare=_prepare,
            # ld.so(8): all symbols are looked up once, by the parent, and not by each fork for itself.
            env={**os.environ, "LD_BIND_NOW": "1"},
            pass_fds=pass_fds,
        )
        #: Its queue: our copy of its listening socket; None where the kernel gives none.
        self.queue: Queue | None = None
        #: Why nobody listens; empty while somebody does.
        self.down = ""
        self._asked = asked
        self._loop = loop
        self._say = say
        self._inherit = inherit
        # Whether it was seen to listen: an end before that is told by `start`.
        self._up = False
        self._down_since = 0.0
        # Whether the kernel ever gave us its socket: then it gives us its forks', too.
        self._shares = False
        # By fork: our copy of its sender's socket, of which it reads the last.
        self._doomed: dict[int, socket.socket] = {}

    def start(self, patience: float) -> None:
        """Start socat and see it listen. Raises PortTaken, AddressUnusable, ListenerUnusable."""
        adopt_orphans()
        self._loop.on_signal(signal.SIGCHLD, reap)
        try:
            self._start(patience)
        except EngineError:
            self.close()
            raise

    def refuse_newcomers(self) -> None:
        """Add no connection to the queue any more; start no socat that would."""
        self.child.give_up()
        if self.queue is not None:
            self.queue.refuse_newcomers()

    def forks(self) -> Iterator[int]:
        """Yield the pids of the forks: children of the parent, or ours once it has ended."""
        if self.child.pid:
            yield from children_of(self.child.pid)
        yield from (pid for pid in children_of(os.getpid()) if not is_child(pid))

    def finish_forks(self) -> None:
        """Make each fork read what its sender's kernel queue holds, pass it on, and end."""
        for pid in self.forks():
            if pid in self._doomed:
                continue
            sock = told_to_end(pid)
            if sock is not None:
                self._doomed[pid] = sock

    def finish(self, until: float, quiet: Callable[[], bool]) -> bool:
        """Let parent and forks end, each fork after it passed on what its sender had sent.

        False if `until` (the loop's clock) came first. Without a copy of the queue the forks can't be told
        to end: then `quiet` decides when they have nothing more to say.
        """
        self._end_accepting()
        # waitpid(2) knows no child of ours any more when parent and forks are gone: we adopt orphans.
        while not reap():
            if self._loop.now() >= until:
                return False
            if self._shares:  # also while it is down, between its death and its restart
                self.finish_forks()
            elif not self.child.pid and quiet():
                break
            self._loop.turn(at_most=0.02)
        return True

    def unread(self) -> dict[int, int]:
        """Return, by fork that was told to end, the bytes that its sender sent and it has not read."""
        return {pid: unread(sock) for pid, sock in self._doomed.items()}

    def close(self) -> None:
        """End what still runs, and let go of the sockets."""
        self.child.give_up()
        for pid in [*self.forks(), self.child.pid]:
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass  # it ended after it was listed; or it is of a device's program, and root's (sudo)
        for sock in self._doomed.values():
            sock.close()
        self._drop_queue()
        until = time.monotonic() + END_WITHIN
        while not reap() and time.monotonic() < until:
            time.sleep(0.002)
        self.child.close()

    # -- inside ---------------------------------------------------------------------------------

    def _start(self, patience: float) -> None:
        # Bound by us first: our errors name the cause, socat's would have to be parsed.
        bound_socket(self._asked.bind, self._asked.port, patience).close()
        try:
            self.child.start()
        except OSError as error:
            raise ListenerUnusable(f"socat does not start ({error.strerror}).") from error
        give_up_at = self._loop.now() + START_WITHIN
        while not self._listens():
            reap()
            if not self.child.pid or self._loop.now() > give_up_at:
                said = self.child.last_words or "no word from it"
                self.child.signal(signal.SIGKILL)
                raise ListenerUnusable(f"socat does not listen on port {self._asked.port}: {said}.")
            time.sleep(0.002)
        self._up = True
        self.down = ""

    def _listens(self) -> bool:
        if self._copy_queue():
            return True
        try:
            there = reachable(self._asked.bind), self._asked.port
            socket.create_connection(there, timeout=1).close()
        except OSError:
            return False
        self._copy_queue()  # it may have begun to listen after we looked and before we connected
        return True

    def _copy_queue(self) -> bool:
        sock = listening_copy(self.child.pid)
        if sock is None:
            return False
        self.queue = Queue(sock, self._asked)
        self._shares = True
        return True

    def _drop_queue(self) -> None:
        if self.queue is not None:
            self.queue.close()
            self.queue = None

    def _end_accepting(self) -> None:
        """Let socat's parent end once it has forked for what it accepted; its forks live on.

        shutdown(2) of the copy makes its next accept(2) fail: no connection is lost between the two.
        """
        self.child.mute()  # it says that accept(2) failed: it is meant to
        if self.queue is None:
            self.child.signal()
            return
        try:
            self.queue.sock.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # ended already

    def _ended(self, status: int) -> None:
        if not self._up:
            return
        self._up = False
        queue = self.queue
        lost = queue is not None and not _listens(queue.sock)
        facts = {"queue": "lost"} if lost else {}
        self._say("listener died", wait_status=status, said=self.child.last_words, **facts)
        if queue is not None and self._inherit is not None:
            try:
                # Where it was shut down it listens anew: what waited is gone, nobody else is turned away.
                queue.listen()
            except OSError:
                pass  # its port is another's by now
            else:
                self._inherit(queue)
                self._say("listener taken over", reason="socat ended: reclog itself listens from now on")
                return
        self._drop_queue()
        self.down = "socat ended; it is started again soon"
        self._down_since = self._loop.now()
        self.child.start_later()

    def _start_again(self) -> None:
        try:
            self._start(patience=0.0)
        except EngineError as error:
            self.down = str(error)
            self._say("listener does not start", reason=str(error))
            self.child.start_later()
        else:
            seconds = round(self._loop.now() - self._down_since, 3)
            self._say("listener restarted", seconds=seconds)


def _prepare() -> None:
    forbid_shutdown()
    wait_for_more()


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def told_to_end(pid: int) -> socket.socket | None:
    """Have fork `pid` read what its sender's kernel queue holds, pass it on, and end.

    Return our copy of its sender's socket; None where there is none.
    """
    found = None
    for sock in sockets_of(pid):
        try:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.close()  # forked a moment ago, and not yet rid of its parent's
                continue
            drop_incoming(sock)
            # What is queued can still be read, then the fork finds the end (tcp_recvmsg).
            sock.shutdown(socket.SHUT_RD)
        except OSError:
            sock.close()
            continue
        reset_on_close(sock)
        found = sock
    return found


def listening_copy(pid: int) -> socket.socket | None:
    """Return a copy of the socket on which process `pid` listens; None if it listens on none."""
    found = None
    for sock in sockets_of(pid):
        if found is None and _listens(sock):
            found = sock
        else:
            sock.close()
    return found
