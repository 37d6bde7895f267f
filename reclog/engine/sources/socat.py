"""socat as the listener: it accepts the senders, one fork each, and passes their bytes on.

What is known about it and decides the shape here (each point measured, socat 1.7.4.4):

- Without `-u` a fork ends within 1.5 s when the recorder is gone, so a sender's next send fails; with
  `-u` it lives on and swallows lines.
- Each fork costs half a millisecond of CPU. A tenth of that went into looking symbols up anew, which
  LD_BIND_NOW spares, and into waiting for an answer once its sender had closed, which `-t 0` spares.
- A fork that is woken for each line interrupts its sender for it: with SCHED_BATCH 8 senders of one send a
  line cost a tenth of the CPU.
- A UNIX path over 108 bytes fails silently: it connects to a relative name, with the state folder as cwd.
- At max-children it lets newcomers queue without a word; when fork(2) fails the parent exits.
- On SIGTERM the parent's accept queue is lost. So the daemon holds a copy of the listening socket
  (pidfd_getfd(2)): to close it to newcomers, to take the queue over, and to serve while socat is down.
- Ended by anything but SIGKILL (SIGTERM, a fork(2) or accept(2) that fails) it shuts its listening socket
  down, also for whoever has a copy, and what waits in its queue is reset: seccomp(2) keeps it from that.
- shutdown(2) of that copy makes the parent's next accept(2) fail, after the fork it is at: no connection
  is lost between the two.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from typing import Callable, Iterator, NamedTuple, Sequence

from ..errors import SocatUnusable
from ..system.address import Network, reachable
from ..system.child import Child
from ..system.kernel import (
    children_of,
    drop_incoming,
    forbid_shutdown,
    reset_on_close,
    sockets_of,
    unread,
    wait_for_more,
)
from ..system.loop import Loop
from .tcp import BACKLOG, KEEPALIVE, PATIENCE, accept_tcp, bound_socket

#: Bytes that a fork moves at once; 8 KiB, its default, costs twice the CPU in bulk.
BLOCK = 65536
#: Seconds that a fork waits for a word in the other direction once one has ended: nobody says one.
LINGER = 0
#: Seconds within which a started socat must listen.
START_WITHIN = 5.0


class Door(NamedTuple):
    """Where socat listens and whom it lets in."""

    bind: str
    port: int
    allow: Sequence[Network] = ()
    #: Forks at once.
    max_children: int = 1000


def socat_command(
    program: str, door: Door, target: str, one_way: bool = False, beside: bool = False
) -> list[str]:
    """Return the argv of a forking socat from `door` to the socat address `target`.

    With `beside` it listens where a socket of ours listens already, which must allow it (SO_REUSEPORT).
    """
    six = ":" in door.bind
    idle, interval, count = KEEPALIVE
    options = [
        f"{'TCP6' if six else 'TCP4'}-LISTEN:{door.port}",
        f"bind=[{door.bind}]" if six else f"bind={door.bind}",
        "reuseaddr",
        "fork",
        f"backlog={BACKLOG}",
        f"max-children={door.max_children}",
        f"keepalive,keepidle={idle},keepintvl={interval},keepcnt={count}",
    ]
    if six:
        options.insert(2, f"ipv6only={0 if door.bind == '::' else 1}")
    options += [f"range={network}" for network in door.allow]
    options += ["reuseport"] if beside else []
    flags = ["-u"] if one_way else []
    if door.allow:
        flags.append("-d")  # whom it refuses is a warning: without -d it says errors only (socat(1))
    return [program, *flags, "-b", str(BLOCK), "-t", str(LINGER), ",".join(options), target]


def cannot(stamp: bool, allow: Sequence[Network], bind: str, per_address: int = 0) -> str:
    """Return why socat can't do what is asked of a listener; empty if it can."""
    if stamp:
        return "--stamp needs the sender's address, which socat does not pass on"
    if per_address:
        return "--max-per-address needs the sender's address, which socat does not pass on"
    if len(allow) > 1:
        return "socat checks one --allow only"
    if allow and (allow[0].version != 4 or ":" in bind):
        return "with socat --allow works for IPv4 only"
    return ""


def version(program: str) -> str:
    """Return the version that `program` says it is; empty if it says none."""
    try:
        said = subprocess.run(
            [program, "-V"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(rb"socat version (\S+)", said)
    return found.group(1).decode("ascii", "replace") if found else ""


class SocatParent:
    """The listening socat and its forks, and our copy of its listening socket."""

    def __init__(
        self,
        loop: Loop,
        command: Callable[[bool], Sequence[str]],
        door: Door,
        cwd: str,
        say: Callable[..., None],
    ) -> None:
        self.door = door
        #: Its argv; the flag tells whether it is to listen beside a socket of ours.
        self.command = command
        self.child = Child(loop, command(False), cwd, lambda words: say("socat says", text=words))
        self.child.prepare = _prepare
        # ld.so(8): all symbols are looked up once, by the parent, and not by each fork for itself.
        self.child.env = {**os.environ, "LD_BIND_NOW": "1"}
        #: Our copy of its listening socket; None where the kernel gives none.
        self.queue: socket.socket | None = None
        # Whether the kernel ever gave one: then it gives us its forks' sockets, too.
        self._shares = False
        self._loop = loop
        self._doomed: list[socket.socket] = []
        self._stopped: set[int] = set()

    def accept(self) -> tuple[socket.socket, str, str]:
        """Take the next connection out of socat's queue ourselves. Raises OSError."""
        return accept_tcp(self.sock)

    @property
    def sock(self) -> socket.socket:
        """The queue, to be watched as a source of senders. Raises OSError if there is none."""
        if self.queue is None:
            raise OSError("socat's listening socket can't be shared on this system")
        return self.queue

    def start(self, beside: bool = False, patience: float = PATIENCE) -> None:
        """Start socat and see it listen. Raises PortTaken, AddressUnusable, SocatUnusable.

        With `beside` an old socket of ours still listens there.
        """
        self.child.command = list(self.command(beside))
        if not beside:
            # Bound by us first: our errors name the cause, socat's would have to be parsed.
            bound_socket(self.door.bind, self.door.port, patience).close()
        try:
            self.child.start()
        except OSError as error:
            raise SocatUnusable(f"socat does not start ({error.strerror}).") from error
        give_up_at = time.monotonic() + START_WITHIN
        while not self._listens(beside):
            reap(self.child)
            if not self.child.pid or time.monotonic() > give_up_at:
                said = self.child.last_words or "no word from it"
                self.child.signal(signal.SIGKILL)
                raise SocatUnusable(f"socat does not listen on port {self.door.port}: {said}.")
            time.sleep(0.002)

    def _listens(self, beside: bool) -> bool:
        if self._copy_queue():
            return True
        if beside:
            return False  # whoever connects now is let in by our own old socket
        try:
            socket.create_connection((reachable(self.door.bind), self.door.port), timeout=1).close()
        except OSError:
            return False
        self._copy_queue()  # it may have begun to listen after we looked and before we connected
        return True

    def _copy_queue(self) -> bool:
        self.queue = listening_copy(self.child.pid)
        if self.queue is None:
            return False
        self.queue.setblocking(False)
        self._shares = True
        return True

    def refuse_newcomers(self) -> None:
        """Add no connection to the queue any more."""
        if self.queue is not None and not drop_incoming(self.queue):
            self.queue.listen(0)

    def end_accepting(self) -> None:
        """Let socat's parent end once it has forked for what it accepted; its forks live on."""
        self.child.mute()  # it says that accept(2) failed: it is meant to
        if self.queue is not None:
            try:
                self.queue.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # ended already
        else:
            self.child.signal()

    def forks(self) -> Iterator[int]:
        """Yield the pids of the forks: children of the parent, or ours once it has ended."""
        if self.child.pid:
            yield from children_of(self.child.pid)
        yield from (pid for pid in children_of(os.getpid()) if pid != self.child.pid)

    def finish_forks(self) -> None:
        """Make each fork read what its sender's kernel queue holds, pass it on, and end."""
        for pid in self.forks():
            if pid in self._stopped:
                continue
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
                self._doomed.append(sock)
                self._stopped.add(pid)

    def finish(self, until: float, quiet: Callable[[], bool]) -> bool:
        """Let parent and forks end, each fork after it passed on what its sender had sent.

        False if `until` (monotonic) came first. Without a copy of the queue the forks can't be told to
        end: then `quiet` decides when they have nothing more to say.
        """
        self.end_accepting()
        # waitpid(2) knows no child of ours any more when parent and forks are gone: we adopt orphans.
        while not reap(self.child):
            if time.monotonic() >= until:
                return False
            if self._shares:  # also while it is down, between its death and its restart
                self.finish_forks()
            elif not self.child.pid and quiet():
                break
            self._loop.turn(at_most=0.02)
        return True

    def unread(self) -> int:
        """Return the bytes that senders sent and no fork has read."""
        return sum(unread(sock) for sock in self._doomed)

    def close(self) -> None:
        """End what still runs, and let go of the sockets."""
        self.child.give_up()
        for pid in [*self.forks(), self.child.pid]:
            if pid:
                os.kill(pid, signal.SIGKILL)
        for sock in self._doomed:
            sock.close()
        if self.queue is not None:
            self.queue.close()
            self.queue = None
        while not reap(self.child):
            time.sleep(0.002)
        self.child.close()


def _prepare() -> None:
    forbid_shutdown()
    wait_for_more()


def listening_copy(pid: int) -> socket.socket | None:
    """Return a copy of the socket on which process `pid` listens; None if it listens on none."""
    found = None
    for sock in sockets_of(pid):
        if found is None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found = sock
        else:
            sock.close()
    return found


def reap(child: Child) -> bool:
    """Collect every descendant that ended; True if none is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False
        if pid == child.pid:
            child.ended(status)
