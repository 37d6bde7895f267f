"""What stands where the processes, the tunnel and the sockets of the two machines would be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Protocol, cast
from unittest import mock

from simdisk import SimDisk
from strangers import FILE

from reclog.engine.daemons import collector as collector_module
from reclog.engine.daemons.config import CollectorConfig
from reclog.engine.feed import server as feed_module
from reclog.engine.feed.protocol import ACK, Decoder
from reclog.engine.outlets import acks as acks_module
from reclog.engine.stores import kept as kept_module
from reclog.engine.stores import mark as mark_module
from reclog.engine.stores import rotated as rotated_module
from reclog.engine.stores.cursor import Cursor
from reclog.engine.stores.file import RecordedFile
from reclog.engine.system.aside import AtOnce, attempt
from reclog.engine.system.loop import Loop, Timer

# Small, so that segments end, fill and go within a few lines.
LIMIT, SEGMENT, RESERVE, SEND_AHEAD, FLUSH_AT, ACK_AT = 400, 60, 150, 90, 80, 200

STATE = "/state"


class Carrier(Protocol):
    """Who checks what the two ends hand to each other."""

    def fed(self, offset: int, data: bytes) -> None: ...

    def acking(self, offset: int) -> None: ...


class StubLoop:
    """A loop that turns by hand."""

    def __init__(self) -> None:
        self.watched: set[Any] = set()
        self.ends: list[Callable[[], None]] = []
        self.on_signal = lambda number, callback: None
        self.now = time.monotonic
        self.due = 0.0

    def timer(self, callback: Callable[[], None]) -> Timer:
        return Timer(cast(Loop, self), callback)

    def after_turn(self, callback: Callable[[], None]) -> None:
        self.ends.append(callback)

    def watch(self, thing: Any, callback: Callable[[], None], writing: bool = False) -> None:
        self.watched.add(thing)

    def unwatch(self, thing: Any) -> None:
        self.watched.discard(thing)


class StubTunnel:
    """A tunnel that the world makes and breaks."""

    def __init__(self, *_args: Any) -> None:
        self.trouble = ""

    def lost(self, why: str) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def look(self) -> None: ...

    def reap(self) -> None: ...


class StubAside(AtOnce):
    """Begins its work, and says that it is done, when the world lets it."""

    def __init__(self, _loop: object = None) -> None:
        self.busy = False
        self._steps: list[Callable[[], None]] = []

    def start(self, work: Callable[[], None], done: Callable[[OSError | None], None]) -> None:
        self.busy = True
        error: OSError | None = None

        def at_work() -> None:
            nonlocal error
            error = attempt(work)

        def ended() -> None:
            self.busy = False
            done(error)

        self._steps = [at_work, ended]

    def step(self) -> None:
        """Do the work, if that is not done; else say so."""
        if self._steps:
            self._steps.pop(0)()

    def wait(self) -> None:
        for _ in range(len(self._steps)):
            self.step()


class EagerAside(StubAside):
    """Works at once: what comes later is not in it."""

    def start(self, work: Callable[[], None], done: Callable[[OSError | None], None]) -> None:
        super().start(work, done)
        self.step()


class StubDaemon:
    """What a collector needs of its daemon."""

    def __init__(self, disk: SimDisk, say: Callable[..., None]) -> None:
        self.config = CollectorConfig(FILE, "laptop", 1, "5e" * 32, ["true"], ["true"])
        self.loop = StubLoop()
        self.disk = disk
        self.folder = STATE
        self.counters = SimpleNamespace(write=lambda: None)
        self.log = SimpleNamespace(say=say, mention=say, last=lambda event: {})
        self.stopping = False
        self.keep_state = self.keep_config = False
        self.again = False

    def path(self, name: str) -> str:
        return f"{STATE}/{name}"

    def ready(self, **facts: Any) -> None: ...

    def announce(self, **facts: Any) -> None: ...

    def listen_for_stop(self, foreground_of: int) -> None: ...

    def show(self, *_: Any) -> None: ...

    def stopped(self, **facts: Any) -> None:
        self.log.say("stopped", **facts)


class Peer:
    """The relay's end of a connection: what the feed uses of its own `Peer`."""

    def __init__(self, world: Carrier) -> None:
        self.collector = "laptop"
        self.asks_for_runs = False
        self.cursor: Cursor | None = None
        self.said_last = False
        self.closed = False
        self.out = bytearray()
        self.decoder = Decoder(64)
        self._world = world

    @property
    def backlog(self) -> int:
        return len(self.out)

    def queue(self, *pieces: bytes) -> None:
        if len(pieces) > 1:  # of DATA alone the head stands apart
            assert self.cursor is not None
            self._world.fed(self.cursor.offset - len(pieces[1]), pieces[1])
        for piece in pieces:
            self.out += piece

    def send(self, data: bytes) -> None:
        self.queue(data)

    def close(self) -> None:
        self.closed = True


class Sock:
    """The collector's end of a connection."""

    def __init__(self, world: Carrier, peer: Peer) -> None:
        self.peer = peer
        self.incoming = bytearray()
        #: What was sent and has not arrived.
        self.outgoing: list[bytes] = []
        self.closed_by_peer = False
        self._world = world

    def recv_into(self, view: memoryview) -> int:
        if not self.incoming:
            if self.closed_by_peer:
                return 0
            raise BlockingIOError
        count = min(len(view), len(self.incoming))
        view[:count] = self.incoming[:count]
        del self.incoming[:count]
        return count

    def sendall(self, data: bytes) -> None:
        for frame in Decoder().feed(data):
            if frame.kind == ACK:
                self._world.acking(frame.offset)
        self.outgoing.append(data)

    def close(self) -> None: ...


@contextmanager
def small() -> Iterator[None]:
    """Have the engine work in small pieces, without processes and sockets."""
    with (
        mock.patch.multiple(mark_module, RESERVE=RESERVE),
        mock.patch.multiple(feed_module, SEND_AHEAD=SEND_AHEAD),
        mock.patch.object(collector_module, "Tunnel", StubTunnel),
        mock.patch.multiple(acks_module, Aside=EagerAside, ACK_AT=ACK_AT),
        mock.patch.multiple(rotated_module, Aside=lambda loop: AtOnce()),
        mock.patch.multiple(kept_module, Aside=lambda loop: AtOnce()),
        mock.patch.object(RecordedFile, "FLUSH_AT", FLUSH_AT),
    ):
        yield
