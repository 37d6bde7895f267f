"""The collector's side of the feed: dial, prove, check the other's proof, then frames."""

from __future__ import annotations

import json
import socket
import time
from typing import Any, Iterator

from ..errors import EngineError
from ..records.jsonfile import parse_json
from . import protocol as frames
from .protocol import Decoder, FeedError, Frame

#: Seconds for the whole handshake.
HANDSHAKE_WITHIN = 5.0
#: Bytes that one read brings at most, and reads before others have their turn.
READ_SIZE, READS = 512 * 1024, 8


class Refused(EngineError):
    """The relay knows us and does not let us have its spool."""

    cause = "refused"


class FeedClient:
    """One connection to a relay."""

    def __init__(self, port: int, secret: str) -> None:
        """Connect to the tunnel's end here. Raises OSError, FeedError."""
        self._secret = secret
        self._until = time.monotonic() + HANDSHAKE_WITHIN
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=HANDSHAKE_WITHIN)
        if self.sock.getsockname() == self.sock.getpeername():
            # A dial to a closed ephemeral port can meet itself (TCP's simultaneous open).
            self.sock.close()
            raise FeedError("nobody listens there")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._decoder = Decoder(READ_SIZE)

    def shake_hands(self, hello: dict[str, Any]) -> dict[str, Any]:
        """Prove, check, say who we are; return the answer. Raises Refused, OSError, FeedError."""
        try:
            theirs = frames.read_greeting(self._line())
            ours = frames.nonce()
            self.sock.sendall(frames.answer(self._secret, theirs, ours))
            frames.check_relay(self._secret, ours, theirs, self._line())
            self.sock.sendall(json.dumps(hello).encode("utf-8") + b"\n")
            answer = parse_json(self._line())
            if "refused" in answer:
                owner, since = answer.get("owner"), answer.get("since")
                raise Refused(
                    f"The relay belongs to {owner} since {since}: add --take-over to have it from now on."
                )
            frames.checked_offset(answer.get("offset"))
            frames.checked_offset(answer.get("end"))
            frames.checked_name(answer.get("spool"))
        except ValueError as error:
            self.close()
            raise FeedError("the relay's words make no sense") from error
        except (OSError, FeedError, Refused):
            self.close()
            raise
        self.sock.setblocking(False)
        return answer

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are here now, of a few reads. Raises OSError, FeedError."""
        if self._rest:
            data, self._rest = self._rest, b""
            yield from self._decoder.feed(data)
        for _ in range(READS):
            try:
                with self._decoder.space() as space:
                    count = self.sock.recv_into(space)
            except (BlockingIOError, InterruptedError):
                return
            if not count:
                raise FeedError("the relay closed the connection")
            yield from self._decoder.filled(count)

    def send(self, kind: bytes, offset: int) -> None:
        """Send a small frame. Raises OSError."""
        # A few bytes: the socket's buffer has room, or the connection is as good as dead.
        self.sock.sendall(frames.encode(kind, offset))

    def close(self) -> None:
        """Break the connection."""
        self.sock.close()

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            left = self._until - time.monotonic()
            if left <= 0:
                raise FeedError("the relay did not answer in time")
            self.sock.settimeout(left)
            data = self.sock.recv(4096)
            if not data:
                raise FeedError("the connection was closed")
            self._rest += data
            if len(self._rest) > 64 * 1024:
                raise FeedError("who answers is no relay of reclog")
        line, _, self._rest = self._rest.partition(b"\n")
        return line
