"""A device that listens: connected to over TCP, without a word to it but telnet's refusals."""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from ..streams.telnet import Telnet
from ..system.aside import Aside
from ..system.loop import Loop
from .dialler import Dialler, Lost, Reached
from .tcp import find_dead_and_urgent

#: Seconds for one of its addresses to answer.
WITHIN = 3.0
#: Keepalive: a device that has vanished without a word is noticed within 20 s.
KEEPALIVE = (10, 3, 3)

_ADDRESS = re.compile(r"tcp://(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/@\[\]]+)):([0-9]{1,5})/?")


def host_and_port(address: str) -> tuple[str, int]:
    """Return what `tcp://HOST:PORT` names. Raises ValueError."""
    found = _ADDRESS.fullmatch(address)
    port = int(found.group(3)) if found else 0
    if not found or not 1 <= port <= 65535:
        raise ValueError("give tcp://HOST:PORT, with a port from 1 to 65535")
    host = found.group(1) or found.group(2)
    host.encode("idna")  # else it would be the resolver that raises; UnicodeError is a ValueError
    return host.lower(), port


class Connecting(Dialler):
    """A connection to a device, and before it the look-up of its name."""

    named = staticmethod(host_and_port)

    def __init__(self, loop: Loop, address: str, cwd: str, reached: Reached, lost: Lost) -> None:
        self._loop = loop
        self._host, self._port = host_and_port(address)
        self._reached = reached
        self._lost = lost
        self._aside = Aside(loop)  # a look-up may take half a minute
        self._late = loop.timer(lambda: self._failed(f"no answer within {WITHIN:g} s"))
        # What the name stands for and was not tried; what is being tried.
        self._found: list[Any] = []
        self._sock: socket.socket | None = None
        self._closed = False

    def dial(self) -> None:
        """Look the name up, and connect."""
        if not self._aside.busy:
            self._aside.start(self._look_up, self._looked_up)

    def close(self) -> None:
        """Connect no more."""
        self._closed = True
        self._hang_up()

    def _look_up(self) -> None:
        self._found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)

    def _looked_up(self, error: OSError | None) -> None:
        if self._closed:
            return
        if error is not None:
            self._lost(f"the name {self._host} is not found ({error.strerror or error})")
        else:
            self._try()

    def _try(self) -> None:
        family, kind, protocol, _, address = self._found.pop(0)
        try:
            self._sock = sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            find_dead_and_urgent(sock, KEEPALIVE)
            sock.connect(address)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(error.strerror or str(error))
            return
        self._late.at(self._loop.now() + WITHIN)
        self._loop.watch(sock, self._answered, writing=True)

    def _answered(self) -> None:
        sock = self._sock
        assert sock is not None
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._failed(os.strerror(error))
            return
        try:
            itself = sock.getsockname() == sock.getpeername()
        except OSError:
            return  # not connected yet
        if itself:  # to a port that is free TCP may connect what dials it to itself (RFC 9293, 3.5)
            self._failed("Connection refused")
            return
        self._late.off()
        self._loop.unwatch(sock)
        self._sock = None
        self._reached(Telnet(sock, self._hung_up))

    def _failed(self, why: str) -> None:
        self._hang_up()
        if self._found:
            self._try()
        else:
            self._lost(why)

    def _hung_up(self, why: str) -> None:
        if not self._closed:
            self._lost(why)

    def _hang_up(self) -> None:
        """Give up a connection that is being made."""
        self._late.off()
        if self._sock is not None:
            self._loop.unwatch(self._sock)
            self._sock.close()
            self._sock = None
