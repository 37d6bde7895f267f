"""One connection to the feed, at the relay: it shakes hands, then is sent what waits for it."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from ..stores.cursor import Cursor
from .handshake import AsRelay
from .protocol import Decoder, FeedError, why

if TYPE_CHECKING:
    from .server import Feed

#: Bytes sent in one go at most, so that senders are served between the pieces of a backlog.
SEND_AT_ONCE = 4 * 1024 * 1024
#: Pieces in one sendmsg(2) at most; the kernel takes no more than 1024 (IOV_MAX).
PIECES = 512


class Peer:
    """One connection to the feed."""

    def __init__(self, feed: Feed, sock: socket.socket) -> None:
        self.sock = sock
        self.collector = ""
        #: Whether it wants to be told who said what when.
        self.asks_for_runs = False
        #: Where it is in the spool; None until the handshake is done.
        self.cursor: Cursor | None = None
        self.said_last = False
        self.closed = False
        self.hands = AsRelay(feed.secret, feed.loop.now(), lambda hello: feed.welcome(self, hello))
        self._feed = feed
        self._decoder = Decoder()
        # What waits to be sent: whole pieces, never joined or copied, the first perhaps sent in part.
        self._out: deque[bytes | memoryview] = deque()
        #: Bytes of it.
        self.backlog = 0
        self.queue(self.hands.greeting)
        feed.loop.watch(sock, self._ready, writing=True)
        self._writing = True

    def send(self, data: bytes) -> None:
        """Queue `data` and send what goes."""
        self.queue(data)
        self._push()

    def queue(self, *pieces: bytes) -> None:
        """Have `pieces` sent next."""
        for piece in pieces:
            if piece:
                self._out.append(piece)
                self.backlog += len(piece)

    def close(self) -> None:
        """Break the connection."""
        self.closed = True
        if self.cursor is not None:
            self.cursor.close()
        self._feed.loop.unwatch(self.sock)
        self.sock.close()

    def _ready(self) -> None:
        try:
            data = self.sock.recv(65536)
            if not data:
                self._feed.gone(self, "closed")
                return
            self._take(data)
        except (BlockingIOError, InterruptedError):
            pass
        except (FeedError, OSError) as error:
            self._feed.gone(self, why(error))
            return
        if not self.closed:
            self._push()

    def _take(self, data: bytes) -> None:
        if self.cursor is None:
            self.send(self.hands.take(data))
            answer = self.hands.answer
            if answer is None or self.closed:  # it may have left before it had our answer
                return
            if "refused" in answer:
                raise FeedError(f"refused: {answer['refused']}")
            self.cursor = self._feed.admitted(self, answer["offset"])
            data = self.hands.rest
        for frame in self._decoder.feed(data):
            if self.closed:
                return
            self._feed.heard(self, frame)

    def _push(self) -> None:
        left = SEND_AT_ONCE
        try:
            while left > 0:
                self._feed.fill(self)
                if not self._out:
                    break
                sent = self.sock.sendmsg(list(islice(self._out, PIECES)))
                left -= sent
                self._forget(sent)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._feed.gone(self, why(error))
            return
        writing = bool(self._out) or left <= 0
        if writing != self._writing:
            self._writing = writing
            self._feed.loop.watch(self.sock, self._ready, writing=writing)

    def _forget(self, sent: int) -> None:
        self.backlog -= sent
        while sent:
            first = self._out.popleft()
            if sent < len(first):
                self._out.appendleft(memoryview(first)[sent:])
                return
            sent -= len(first)
