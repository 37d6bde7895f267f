"""Where the tunnel ends on the tremplin, and the collector comes out of sshd.

That is a UNIX socket in the relay's folder, which nobody but its own user reaches; or a port of 127.0.0.1,
which all of the host's users reach, where OpenSSH can't forward to a UNIX socket or a port was asked for.
"""

from __future__ import annotations

import socket

from ..errors import AddressUnusable, PortTaken
from ..sources.tcp import PATIENCE, bound_socket
from ..system.disk import DISK
from ..system.private import is_own, listen_at

#: Connections that may wait to be accepted.
BACKLOG = 128


class End:
    """A socket that listens for the collector."""

    def __init__(self, path: str, port: int = 0, patience: float = PATIENCE) -> None:
        """Listen at `path`, or at `port` where there is one. Raises PortTaken, AddressUnusable."""
        self._path = "" if port else path
        if not port:
            try:
                self.sock = listen_at(path, BACKLOG)
            except OSError as error:
                raise AddressUnusable(f"{path} can't be listened at ({error.strerror or error}).") from error
            return
        self.sock = bound_socket("127.0.0.1", port, patience)
        try:
            self.sock.listen(BACKLOG)
        except OSError as error:  # two sockets may be bound with SO_REUSEADDR; only one may listen
            self.sock.close()
            raise PortTaken(f"Port {port} is in use already.") from error
        self.sock.setblocking(False)

    def accept(self) -> socket.socket | None:
        """Return the next connection; None if there is none, or it is another user's."""
        try:
            sock, _ = self.sock.accept()
        except OSError:
            return None
        if not self._path:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif not is_own(sock):
            sock.close()
            return None
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        """Listen no more."""
        self.sock.close()
        if self._path:
            DISK.remove(self._path)
