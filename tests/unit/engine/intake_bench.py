"""An intake with all that it works with: senders, a store in memory, a clock that is moved by hand."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from scripted import Clock

from reclog.engine.intake.batch import Batch, Bytes
from reclog.engine.intake.framing import Framing, Lines
from reclog.engine.intake.intake import Intake
from reclog.engine.intake.roster import Limits
from reclog.engine.records.events import EventLog
from reclog.engine.records.journal import Journal
from reclog.engine.sources.source import Asked
from reclog.engine.sources.tcp import Queue, listening
from reclog.engine.streams.plain import Plain
from reclog.engine.streams.stream import Stream
from reclog.engine.system.loop import Loop
from reclog.engine.system.segments import save_syn

WITHIN = 20.0


class Heard(EventLog):
    """An event log in memory."""

    def __init__(self) -> None:
        super().__init__("")
        self.heard: list[dict[str, Any]] = []

    def mention(self, event: str, **facts: Any) -> None:
        self.heard.append({"event": event, **facts})


class Taken(Batch):
    """A batch that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[Hashable, bytes, bytes]] = []
        self.most = 0
        self.on_add: Callable[[], None] = lambda: None

    def commit(
        self, who: Hashable, before: Bytes, count: int, framing: Framing, stamp: bytes = b"", *noted: Any
    ) -> tuple[int, bytes] | None:
        text = bytes(before) + self.received(count)
        came = super().commit(who, before, count, framing, b"" if framing.verbatim else stamp, *noted)
        if came is not None and framing.verbatim:
            self._note(who, text[: len(text) - len(came[1])], stamp)
        return came

    def add(self, who: Hashable, text: Bytes, stamp: bytes = b"") -> None:
        super().add(who, text)
        self._note(who, bytes(text), stamp)

    def _note(self, who: Hashable, text: bytes, stamp: bytes) -> None:
        self.texts.append((who, text, stamp))
        self.most = max(self.most, self.queued)
        self.on_add()


class MemoryStore:
    """A store kept in memory, full when told so."""

    FLUSH_AT = 256 * 1024

    def __init__(self) -> None:
        self.full = False
        self.reasons: list[str] = []
        self.taken = Taken()
        self.batch: Batch = self.taken
        self.written = 0
        self.on_flush: Callable[[], None] = lambda: None

    @property
    def texts(self) -> list[tuple[Hashable, bytes, bytes]]:
        return self.taken.texts

    def flush(self) -> bool:
        if self.batch.queued:
            self.on_flush()
        if not self.full and self.batch.queued:
            self.written += self.batch.queued
            self.batch.written(self.batch.queued)
        return not self.batch.queued

    def pause(self, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def text(self) -> bytes:
        return b"".join(text for _, text, _ in self.texts)

    def by_sender(self) -> dict[Hashable, bytes]:
        found: dict[Hashable, bytes] = {}
        for who, text, _ in self.texts:
            found[who] = found.get(who, b"") + text
        return found


class Pairs:
    """An endpoint made of socket pairs: it gives what was put into it, errors too."""

    def __init__(self, framing: Callable[[], Framing] = Lines) -> None:
        self.framing = framing
        self._sock, self._bell = socket.socketpair()
        self._sock.setblocking(False)
        self.fileno = self._sock.fileno
        self._waiting: deque[tuple[Stream, str, str] | OSError] = deque()
        self._peers: list[socket.socket] = []

    def comes(
        self, host: str = "", name: str = "", stream: Callable[[socket.socket], Stream] = Plain
    ) -> socket.socket:
        """Let a sender connect; its end of the connection."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._waiting.append((stream(ours), host, name or f"{host}:{len(self._peers) + 1}"))
        self._peers.append(theirs)
        self._bell.send(b".")
        return theirs

    def fails(self, number: int) -> None:
        """Let the next accept fail."""
        self._waiting.append(OSError(number, os.strerror(number)))
        self._bell.send(b".")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def waits(self) -> bool:
        return bool(self._waiting)

    def accept(self) -> tuple[Stream, str, str]:
        self._sock.recv(1)  # BlockingIOError when nobody waits
        came = self._waiting.popleft()
        if isinstance(came, OSError):
            raise came
        return came

    def close(self) -> None:
        for sock in (self._sock, self._bell, *self._peers):
            sock.close()
        for waiting in self._waiting:
            if not isinstance(waiting, OSError):
                waiting[0].close()


class Bench:
    """What a test of the intake works with."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.loop = Loop(self.clock)
        self.store = MemoryStore()
        self.heard = Heard()
        self.journal = Journal(self.loop, self.heard)
        self.queue = Pairs()
        self.intake: Intake
        self.closing: list[Callable[[], None]] = [self.queue.close]

    def serve(self, **limits: Any) -> Intake:
        """Serve the queue with these limits."""
        self.intake = Intake(self.loop, self.store, self.journal, Limits(**limits))
        self.intake.gate.serve(self.queue)
        return self.intake

    def listen(self, carry: Callable[[socket.socket], Stream] = Plain) -> tuple[Queue, int]:
        """Serve a port of the loopback, too."""
        queue = listening(Asked("127.0.0.1", 0, carry=carry))
        save_syn(queue.sock)
        self.closing.append(queue.close)
        self.intake.gate.serve(queue)
        return queue, queue.sock.getsockname()[1]

    def connect(self, port: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.closing.append(sock.close)
        sock.setblocking(False)
        return sock

    def events(self, name: str = "") -> list[dict[str, Any]]:
        self.journal.write()
        return [event for event in self.heard.heard if name in ("", event["event"])]

    def until(self, seen: Callable[[], bool]) -> None:
        """Turn the loop until something is seen, whatever the clock says."""
        give_up_at = time.monotonic() + WITHIN
        while not seen():
            assert time.monotonic() < give_up_at, "not seen in time"
            self.loop.turn(at_most=0.01)

    def until_stored(self, text: bytes) -> None:
        self.until(lambda: self.store.text == text)

    def settle(self) -> None:
        """Turn until all that is there is dealt with."""
        for _ in range(4):
            self.loop.turn(at_most=0)

    def later(self, seconds: float) -> None:
        """Deal with what is there, let time go by, and do what is due then."""
        self.settle()
        self.clock.time += seconds
        self.settle()

    def soon(self, seconds: float = 5.0) -> float:
        return self.clock.time + seconds

    def pour(self, sock: socket.socket, data: bytes) -> None:
        """Send all of it, as far as the intake reads it."""
        rest = memoryview(data)

        def sent() -> bool:
            nonlocal rest
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                pass  # the loop's turn first
            return not rest

        self.until(sent)

    def close(self) -> None:
        self.store.full = False
        self.store.taken.on_add = self.store.on_flush = lambda: None
        if hasattr(self, "intake"):
            self.intake.drain_senders(self.soon())
        for call in self.closing:
            call()
        self.loop.close()
