"""The relay's end of the feed, and who connects to it, in one thread: for unit tests and for fuzzing."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Callable, Dict, List

from reclog.engine.feed import handshake
from reclog.engine.feed import protocol as frames
from reclog.engine.feed.end import End
from reclog.engine.feed.owner import Owner
from reclog.engine.feed.protocol import DATA, Decoder, Frame
from reclog.engine.feed.server import Feed
from reclog.engine.stores.spool import Spool
from reclog.engine.system.address import short_name
from reclog.engine.system.disk import DISK, Disk
from reclog.engine.system.loop import Loop

SECRET = "5e" * 32
#: What a caller's nonce is.
OURS = "1" * 32


class RelayEnd:
    """A spool and its feed, and what it says of them."""

    def __init__(self, folder: str, loop: Loop, disk: Disk = DISK) -> None:
        self.loop = loop
        self.events: List[str] = []
        self.stops = 0
        self.callers: List[Caller] = []
        self.spool = Spool(folder, 1 << 20, self.say, disk, boot="this")
        self.spool.open()
        self.owner = Owner(f"{folder}-owner.json", self.say, disk)
        self.feed = Feed(loop, self.spool, SECRET, self.owner, self.say, self.say, self._counters, self._stop)
        #: Where the tunnel ends.
        self.end = f"{folder}-feed"
        self.feed.serve(End(self.end))

    def say(self, event: str, **facts: Any) -> None:
        self.events.append(event)
        json.dumps(facts)

    def write(self, text: bytes, sender: str = "") -> None:
        self.spool.batch.add(1, text)
        self.spool.batch.note(sender, 1)
        assert self.spool.flush()

    def connect(self) -> Caller:
        self.callers.append(Caller(self))
        return self.callers[-1]

    def until(self, seen: Callable[[], bool]) -> None:
        for _ in range(200_000):
            if seen():
                return
            self.loop.turn(at_most=0)
        raise AssertionError("not seen in time")

    def close(self) -> None:
        for caller in self.callers:
            caller.sock.close()
        self.feed.close()
        self.spool._let_go()

    def _counters(self) -> Dict[str, Any]:
        return {"lines": self.spool.batch.lines}

    def _stop(self) -> None:
        self.stops += 1


class Caller:
    """Who connects to the feed."""

    def __init__(self, relay: RelayEnd) -> None:
        self.relay = relay
        self.sock = socket.socket(socket.AF_UNIX)
        with short_name(relay.end) as name:
            self.sock.connect(name)
        self.sock.setblocking(False)
        self.heard = b""
        self.closed = False
        self.answer: Dict[str, Any] = {}
        self._taken: List[Frame] = []
        self._decoder = Decoder()

    def until(self, seen: Callable[[], bool]) -> None:
        def look() -> bool:
            self._listen()
            return seen()

        self.relay.until(look)

    def until_closed(self) -> None:
        self.until(lambda: self.closed)

    def say(self, data: bytes) -> None:
        """Say it all, as far as anyone listens."""
        rest = memoryview(data)

        def said() -> bool:
            nonlocal rest
            try:
                rest = rest[self.sock.send(rest) :] if rest else rest
            except BlockingIOError:
                pass  # the loop's turn first
            except ConnectionError:
                self.closed = True
            self.relay.loop.turn(at_most=0)
            return self.closed or not rest

        self.until(said)

    def send(self, kind: bytes, offset: int) -> None:
        self.say(frames.encode(kind, offset))

    def line(self) -> bytes:
        self.until(lambda: b"\n" in self.heard or self.closed)
        line, _, self.heard = self.heard.partition(b"\n")
        return line

    def prove(self) -> None:
        nonce = handshake.read_greeting(self.line())
        self.say(handshake.answer(SECRET, nonce, OURS))
        handshake.check_relay(SECRET, OURS, nonce, self.line())

    def shake_hands(self, name: str, **hello: Any) -> None:
        self.prove()
        self.say(json.dumps({"collector": name, **hello}).encode() + b"\n")
        self.answer = json.loads(self.line())

    def frames(self) -> List[Frame]:
        """Return all that came behind the handshake."""
        self._listen()
        data, self.heard = self.heard, b""
        self._taken += self._decoder.feed(data)
        return self._taken

    def data(self) -> bytes:
        return b"".join(frame.payload for frame in self.frames() if frame.kind == DATA)

    def break_off(self) -> None:
        """Close with a reset, so that the other side's next send fails."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _listen(self) -> None:
        try:
            while not self.closed:
                data = self.sock.recv(1 << 20)
                self.heard += data
                self.closed = not data
        except BlockingIOError:
            pass
        except ConnectionError:
            self.closed = True
