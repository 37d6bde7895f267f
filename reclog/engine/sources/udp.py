"""UDP, to the port that streams come to: bind, count what the kernel drops, end without losing what it has.

Rules kept here:

- The kernel's own count of what it had no room for (SO_MEMINFO) is read after each turn that read datagrams,
  and at the end. SO_RXQ_OVFL would tell of the last ones only with a datagram that comes behind them.
- At a stop the socket is connected to itself: the kernel lets nothing more in, tells senders so (ICMP), and
  counts only what it had no room for. All that it has is then recorded.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from ..errors import AddressUnusable, PortTaken
from ..intake.datagrams import LARGEST
from ..intake.intake import Intake
from ..records.events import Say
from ..records.losses import Losses
from ..system.kernel import drop_incoming, dropped, widen
from ..system.loop import Loop
from .source import Asked, Source
from .tcp import socket_for, why_not

#: Bytes that are to wait in the kernel, and of these that the smallest datagram takes at least there.
BUFFER, LEAST = 8 * 1024 * 1024, 256


class Udp(Source):
    """Datagrams, received by the engine whoever listens for streams."""

    NAME = "udp"

    def __init__(self, loop: Loop, intake: Intake, asked: Asked, folder: str, say: Say) -> None:
        self._datagrams = intake.datagrams
        self._asked = asked
        self.as_sent = asked.framing().settled  # it is lines, and nothing else
        self._losses = Losses(loop, say)
        self._sock: socket.socket | None = None
        # How far the kernel's count has come, and whether it is of what it had no room for alone.
        self._seen, self._counts = 0, True
        self._held = 0

    def start(self, patience: float) -> None:
        """Receive. Raises AddressUnusable, PortTaken."""
        bind, port = self._asked.bind, self._asked.port
        sock, address = socket_for(bind, port, socket.SOCK_DGRAM)
        try:
            sock.bind(address)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"UDP port {port} is in use already (`ss -ulpn` tells by whom).") from error
            raise AddressUnusable(why_not(bind, port, error)) from error
        sock.setblocking(False)
        self._held = widen(sock, BUFFER)
        self._sock, self._seen, self._counts = sock, 0, True
        self.receive_into = sock.recvfrom_into
        self.fileno = sock.fileno
        self._datagrams.serve(self)

    def shortages(self) -> list[str]:
        """Say what this system does not allow, and the remedy."""
        said = []
        if self._held < BUFFER:
            said.append(
                f"This system lets {self._held // 1024} KiB of datagrams wait; what it has no room for is "
                f"dropped, and counted: sudo sysctl -w net.core.rmem_max={BUFFER}"
            )
        if self._sock is not None and dropped(self._sock) is None:
            said.append("This system does not tell how many datagrams it drops.")
        return said

    def dropped(self) -> int:
        """Take note of what was dropped meanwhile; return how many datagrams were so far."""
        now = dropped(self._sock) if self._sock is not None and self._counts else None
        if now is not None:
            self._losses.add((now - self._seen) % (1 << 32))
            self._seen = now
        return self._losses.total

    def refuse_newcomers(self) -> None:
        """Let what the kernel has stay, and add nothing."""
        if self._sock is None:
            return
        host, port, *rest = self._sock.getsockname()
        host = {"0.0.0.0": "127.0.0.1", "::": "::ffff:127.0.0.1"}.get(host, host)
        try:
            self._sock.connect((host, port, *rest))
        except OSError:  # there is no loopback, or it is no host's address
            self.dropped()
            self._counts = not drop_incoming(self._sock)  # what a filter drops is in the kernel's count

    def drain(self, until: float) -> bool:
        """Take in all that the kernel has; False if `until` came first."""
        return self._sock is None or self._datagrams.drain(self, until)

    def left_behind(self) -> int:
        """Return the bytes of the datagrams that could not be recorded; they count as dropped."""
        size = count = 0
        room = bytearray(LARGEST)
        with contextlib.suppress(OSError):  # none is left
            while self._sock is not None and count < BUFFER // LEAST:
                size += self._sock.recv_into(room)
                count += 1
        self._losses.add(count)
        return size

    def close(self) -> None:
        """Receive no more, and state what was not stated yet."""
        if self._sock is not None:
            self.dropped()
            self._losses.state()
            self._datagrams.leave(self)
            self._sock.close()
            self._sock = None
