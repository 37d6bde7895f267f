"""TCP, listened to by reclog itself: bind, accept, close the queue to newcomers."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import Any

from ..errors import AddressUnusable, PortHeld, PortTaken
from ..intake.intake import Intake
from ..records.events import Say
from ..streams.stream import Stream
from ..system.address import host_of, with_port
from ..system.kernel import LINUX, drop_incoming, listeners
from ..system.loop import Loop
from ..system.segments import save_syn
from .source import Asked, Source

#: Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn.
BACKLOG = 4096
#: Seconds to wait for a port that only an outgoing connection holds.
PATIENCE = 3.0
#: Keepalive: silent for this long, then probed this often, this many times (seconds, seconds, count).
KEEPALIVE = (60, 10, 6)


class Queue:
    """A socket that listens, and the connections that wait in it."""

    def __init__(self, sock: socket.socket, asked: Asked) -> None:
        self.sock = sock
        self.framing = asked.framing
        self._carry = asked.carry
        self.fileno = sock.fileno
        sock.setblocking(False)

    def listen(self) -> None:
        """Have it listen, find a dead sender in the end, and lose no byte sent as urgent. Raises OSError."""
        # Accepted sockets inherit these, at no cost per connection (tcp(7)).
        find_dead_and_urgent(self.sock, KEEPALIVE)
        self.sock.listen(BACKLOG)

    def waits(self) -> bool:
        """Tell whether a connection waits to be accepted."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def accept(self) -> tuple[Stream, str, str]:
        """Return the next connection, its host and its name. Raises OSError."""
        sock, peer = self.sock.accept()
        host = host_of(peer)
        return self._carry(sock), host, with_port(host, peer[1])

    def refuse_newcomers(self) -> None:
        """Let the queue's connections stay and add none."""
        if not drop_incoming(self.sock):
            self.sock.listen(0)

    def close(self) -> None:
        """Stop listening; what still waits is reset, unless another process has the queue, too."""
        self.sock.close()


class Builtin(Source):
    """The engine's own listener."""

    NAME = "builtin"

    def __init__(self, loop: Loop, intake: Intake, asked: Asked, folder: str, say: Say) -> None:
        self._intake = intake
        self._asked = asked
        self.queue: Queue | None = None

    def start(self, patience: float) -> None:
        """Listen. Raises AddressUnusable, PortTaken."""
        self.queue = listening(self._asked, patience)
        if self._asked.tls:
            save_syn(self.queue.sock)
        self._intake.gate.serve(self.queue)

    def refuse_newcomers(self) -> None:
        """Let the queue's connections stay and add none."""
        if self.queue is not None:
            self.queue.refuse_newcomers()

    def drain(self, until: float) -> bool:
        """Accept who waits in the queue; False if `until` came first."""
        return self.queue is None or self._intake.drain(self.queue, until)

    def close(self) -> None:
        """Stop listening."""
        if self.queue is not None:
            self._intake.gate.leave(self.queue)
            self.queue.close()
            self.queue = None


def find_dead_and_urgent(sock: socket.socket, keepalive: tuple[int, int, int]) -> None:
    """Have `sock` find a dead peer in the end, and lose no byte sent as urgent. Raises OSError."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), keepalive):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def listening(asked: Asked, patience: float = PATIENCE) -> Queue:
    """Listen where that is asked for. Raises AddressUnusable, PortTaken."""
    queue = Queue(bound_socket(asked.bind, asked.port, patience), asked)
    try:
        queue.listen()
    except OSError as error:  # two sockets may be bound with SO_REUSEADDR; only one may listen
        queue.close()
        raise PortTaken(f"Port {asked.port} is in use already.") from error
    return queue


def bound_socket(bind: str, port: int, patience: float = PATIENCE) -> socket.socket:
    """Return a TCP socket bound to `bind` and `port`. Raises AddressUnusable, PortTaken.

    Ports 32768–60999 are Linux's ephemeral range, in which an outgoing connection may hold any port for
    a moment: a port that nobody listens on is tried again for `patience` seconds.
    """
    if not 0 <= port <= 65535:
        raise AddressUnusable(f"{port} is no port")
    give_up_at = time.monotonic() + patience
    while True:
        sock, address = socket_for(bind, port, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            return sock
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                if someone_listens(port):
                    raise PortTaken(f"Port {port} is in use already.") from error
                if time.monotonic() < give_up_at:
                    time.sleep(0.1)
                    continue
                raise PortHeld(
                    f"Port {port} is held by an outgoing connection, or was a moment ago: try again in a "
                    "minute, or choose another port."
                ) from error
            raise AddressUnusable(why_not(bind, port, error)) from error


def socket_for(bind: str, port: int, kind: int) -> tuple[socket.socket, Any]:
    """Return a socket of that kind, of both families for `::`, and the address that it is to be bound to.

    Raises AddressUnusable.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bind, port, type=kind, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind, protocol)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if bind == "::" else 1)
    except (OSError, UnicodeError, OverflowError) as error:
        raise AddressUnusable(f"{bind} is no address: give --bind a numeric one of this machine.") from error
    return sock, address


def someone_listens(port: int) -> bool:
    """Tell whether any socket of this machine listens on `port`; True where the system does not tell."""
    if not LINUX:
        return True
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            if any(address.endswith(wanted) for address, _ in listeners(table)):
                return True
        except OSError:
            continue
    return False


def why_not(bind: str, port: int, error: OSError) -> str:
    """Return why a socket could not be bound, and what to do."""
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{bind} is not an address of this machine: see `ip address` for those that are."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than you have: use one above 1023 with --port."
    return f"{with_port(bind, port)} can't be used ({error.strerror}): choose other --bind or --port."
