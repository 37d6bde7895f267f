"""The collector's side of the feed: dial, shake hands, then frames. Nothing here waits."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Callable, Iterator

from . import protocol
from .handshake import AsCollector
from .protocol import Decoder, FeedError, Frame

#: Bytes that one read brings at most; reads, and frames, after which others have their turn.
READ_SIZE, READS, FRAMES = 512 * 1024, 8, 8192


class FeedClient:
    """One connection to a relay."""

    def __init__(self, port: int, secret: str, now: float, hello: Callable[[], dict[str, Any]]) -> None:
        """Begin to connect to the tunnel's end here; `hello` is what we say then. Raises OSError."""
        self.hands = AsCollector(secret, now, hello)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self._decoder = Decoder(READ_SIZE)
        error = self.sock.connect_ex(("127.0.0.1", port))
        if error not in (0, errno.EINPROGRESS):
            self.close()
            raise OSError(error, os.strerror(error))

    def shake_hands(self) -> bool:
        """Go on with the handshake when something came; True once it is over.

        Raises Refused, OSError, FeedError.
        """
        try:
            data = self.sock.recv(4096)
        except (BlockingIOError, InterruptedError):
            return False
        if self.sock.getsockname() == self.sock.getpeername():
            # A dial to a closed ephemeral port can meet itself (TCP's simultaneous open).
            raise FeedError("nobody listens there")
        if not data:
            raise FeedError("the connection was closed")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        said = self.hands.take(data)
        if said:
            self._send(said)
        return self.hands.answer is not None

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are here now, of a few reads. Raises OSError, FeedError."""
        if self.hands.rest:
            data, self.hands.rest = self.hands.rest, b""
            yield from self._decoder.feed(data)
        frames = 0
        for _ in range(READS):
            if frames > FRAMES:
                return
            try:
                with self._decoder.space() as space:
                    count = self.sock.recv_into(space)
            except (BlockingIOError, InterruptedError):
                return
            if not count:
                raise FeedError("the relay closed the connection")
            for frame in self._decoder.filled(count):
                frames += 1
                yield frame

    def send(self, kind: bytes, offset: int) -> None:
        """Send a small frame. Raises OSError."""
        self._send(protocol.encode(kind, offset))

    def close(self) -> None:
        """Break the connection."""
        self.sock.close()

    def _send(self, data: bytes) -> None:
        # A few bytes: the socket's buffer has room, or the connection is as good as dead.
        self.sock.sendall(data)
