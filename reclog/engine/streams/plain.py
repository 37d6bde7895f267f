"""A connected socket, its bytes as they come."""

from __future__ import annotations

import socket

from ..system.kernel import drop_incoming, reset_on_close, unread

_NOW = socket.MSG_DONTWAIT


class Plain:
    """The bytes of one connection."""

    __slots__ = ("_sock", "fileno")

    shaking = False
    holds = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.fileno = sock.fileno

    @property
    def half(self) -> int:
        """Return 0: what is taken from the kernel is given."""
        return 0

    def receive_into(self, room: memoryview) -> int:
        """Receive what is there; 0 at the end. Raises OSError."""
        # The flag spares each connection the call that would make its socket a non-blocking one.
        return self._sock.recv_into(room, 0, _NOW)

    def answer(self, words: bytes) -> None:
        """Say something back, as far as that goes without waiting."""
        try:
            self._sock.send(words, socket.MSG_DONTWAIT)
        except OSError:
            pass  # who does not listen is not told

    def address(self) -> str:
        """Return nothing: whoever accepted it knows."""
        return ""

    def unread(self) -> int:
        """Return the bytes that the kernel holds for us."""
        return unread(self._sock)

    def refuse(self) -> bool:
        """Accept not a byte more; False where the system can't."""
        # Set now: if the sender has closed, the next read closes, too. The acknowledgement of that is
        # dropped, and the connection would stand in LAST-ACK for minutes and swallow a new one's SYN.
        reset_on_close(self._sock)
        return drop_incoming(self._sock)

    def leave(self) -> bool:
        """Accept not a byte more: what is read until there is nothing is all."""
        self.refuse()
        return False

    def close(self) -> None:
        """Close it."""
        self._sock.close()
