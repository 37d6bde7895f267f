"""The senders' side of a daemon: accept them, assemble their lines, hand whole lines to a store.

Rules kept here:

- A sender is read only while the store takes what it says; held back, TCP holds it back in turn.
- Text without a newline is handed on when its sender closes, when it grows over `LINE_MAX`, after
  `partial_after` seconds without more, and when all unfinished text together exceeds `PENDING_MAX`.
- Small input is gathered for `GATHER` seconds before the next write when it comes thick; a line that
  comes after a quiet moment is written at once.
- No sender is turned away silently: at the cap newcomers wait in the listener's queue, an address that
  is not allowed or has too many connections is closed; the event log says so.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Callable, NamedTuple, Protocol, Sequence

from .address import Network, allows
from .batch import Batch
from .events import timestamp
from .journal import Journal
from .kernel import drop_incoming, reset_on_close, unread
from .loop import Loop

LINE_MAX = 1024 * 1024
PENDING_MAX = 32 * 1024 * 1024
GATHER = 0.001
#: Turns that follow each other within this many seconds count as busy.
BUSY_WITHIN = 0.003
RETRY_AFTER = 0.25
#: Bytes of one read at most. Fewer calls are cheaper, as long as the processor's cache holds what they bring.
READ_SIZE = 512 * 1024
#: Bytes of one read from which on nothing is gained by gathering: a fork of socat passes 64 KiB on and waits.
THICK = 32 * 1024
ACCEPT_BATCH = 64


class Store(Protocol):
    """Where whole lines go: a file, or a spool."""

    #: Bytes queued at which it is written without waiting for the end of the turn.
    FLUSH_AT: int
    #: What it is to write.
    batch: Batch

    def flush(self) -> bool:
        """Write what its batch holds; False if that isn't possible now."""


class Source(Protocol):
    """A listening socket that senders come from."""

    @property
    def sock(self) -> socket.socket:
        """What to watch."""

    def accept(self) -> tuple[socket.socket, str, str]:
        """Return a connection, its host (empty: unknown) and its name. Raises OSError."""


class Limits(NamedTuple):
    """Who may send, how many at once, how their text is treated."""

    #: Seconds.
    partial_after: float = 2.0
    stamp: bool = False
    allow: Sequence[Network] = ()
    senders: int = 1000
    senders_per_address: int = 1000


class Sender:
    """One connection and its unfinished line."""

    __slots__ = ("bytes", "held", "host", "id", "lines", "name", "on_ready", "since", "sock")

    def __init__(self, number: int, sock: socket.socket, host: str, name: str) -> None:
        self.id = number
        self.sock = sock
        self.host = host
        self.name = name
        self.since = time.monotonic()
        self.bytes = 0
        self.lines = 0
        #: The beginning of a line whose newline has not come.
        self.held: bytes | bytearray = b""
        self.on_ready: Callable[[], None] | None = None


class Intake:
    """Serve every sender of every source in one loop."""

    def __init__(self, loop: Loop, store: Store, journal: Journal, limits: Limits) -> None:
        self.connects = 0
        self.refused = 0
        self.splits = 0
        #: When senders were last heard (monotonic seconds).
        self.last_read_at = 0.0
        #: Set while the store can't take more.
        self.held = False
        self._loop = loop
        self._store = store
        self._batch = store.batch
        self._flush_at = store.FLUSH_AT
        self._journal = journal
        self._limits = limits
        self._senders: dict[int, Sender] = {}
        self._per_address: dict[str, int] = {}
        self._sources: dict[Source, Callable[[], None]] = {}
        self._full_since = 0.0
        self._pending = 0
        self._quiet_until: dict[Sender, float] = {}
        self._next_id = 0
        self._time = b""
        # Bytes of the largest read.
        self._most_in_turn = 0
        self._accepted_in_turn = 0
        self._forks_in_turn = 0
        # When senders last came or were heard.
        self._busy_at = 0.0
        self._partial_timer = loop.timer(self._hand_on_quiet)
        self._retry_timer = loop.timer(self._retry)
        self._room_timer = loop.timer(self._reopen)
        loop.after_turn(self._end_turn)

    # -- what the daemon sees -------------------------------------------------------------------

    @property
    def senders(self) -> int:
        """Connections open now."""
        return len(self._senders)

    @property
    def full(self) -> bool:
        """Tell whether newcomers wait because there is no place for one more."""
        return bool(self._full_since)

    def serve(self, source: Source) -> None:
        """Accept the senders of `source` from now on."""
        self._sources[source] = lambda: self._accept_batch(source)
        if not self.held and not self.full:
            self._loop.watch(source.sock, self._sources[source])

    def leave(self, source: Source) -> None:
        """Accept none of `source` any more."""
        self._loop.unwatch(source.sock)
        self._sources.pop(source, None)

    def drain(self, source: Source, until: float) -> bool:
        """Take in every connection that waits in the queue of `source`, and all it has sent.

        `source` should refuse newcomers already. False if `until` (monotonic) came first.
        """
        while time.monotonic() < until:
            try:
                sock, host, name = source.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EINTR):
                    continue
                return error.errno == errno.EINVAL  # its listener was shut down: nothing waits there
            sender = self._admit(sock, host, name)
            if sender is not None and not self._finish(sender, until):
                return False
        return False

    def drain_senders(self, until: float) -> bool:
        """Take in all that the connected senders have sent so far, then disconnect them."""
        return all(self._finish(sender, until) for sender in list(self._senders.values()))

    def hand_on_all(self, until: float) -> bool:
        """Hand every unfinished line on and write all; False if the store did not take it by `until`."""
        for sender in list(self._quiet_until):
            self._hand_on(sender)
        return self._written(until)

    def left_behind(self) -> tuple[int, int]:
        """Return how many senders are still connected, and the bytes they sent that were not read."""
        return len(self._senders), sum(unread(sender.sock) for sender in self._senders.values())

    # -- a turn ---------------------------------------------------------------------------------

    def _accept_batch(self, source: Source) -> None:
        for _ in range(ACCEPT_BATCH):
            if self.held or self.full or source not in self._sources:
                return
            try:
                sock, host, name = source.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                # No descriptor or no memory left: the newcomers keep waiting in the queue.
                self._close_doors(error.strerror or str(error))
                self._room_timer.at(time.monotonic() + RETRY_AFTER)
                return
            sender = self._admit(sock, host, name)
            if sender is None:
                continue
            # A sender of one line has said it, and closed, by now: then there is nothing to watch. A fork
            # of socat connects first and says it later.
            if sender.host:
                self._read_twice(sender)
            if sender.id in self._senders:
                self._watch(sender)

    def _admit(self, sock: socket.socket, host: str, name: str) -> Sender | None:
        self._accepted_in_turn += 1
        limits = self._limits
        if host:
            here = self._per_address.get(host, 0)
            if not allows(limits.allow, host):
                self._refuse(sock, name, "its address is not allowed (--allow)")
                return None
            if here >= limits.senders_per_address:
                self._refuse(sock, name, f"{here} connections from its address are open already")
                return None
            self._per_address[host] = here + 1
        else:
            self._forks_in_turn += 1
        self._next_id += 1
        self.connects += 1
        sender = Sender(self._next_id, sock, host, name)
        self._senders[sender.id] = sender
        self._journal.connected(name)
        if len(self._senders) >= limits.senders:
            self._close_doors(f"{limits.senders} senders are connected")
        return sender

    def _refuse(self, sock: socket.socket, name: str, why: str) -> None:
        self.refused += 1
        self._journal.refused(name, why)
        reset_on_close(sock)
        sock.close()

    def _watch(self, sender: Sender) -> None:
        if sender.on_ready is None:
            sender.on_ready = lambda: self._on_ready(sender)
        if not self.held:
            self._loop.watch(sender.sock, sender.on_ready)

    def _on_ready(self, sender: Sender) -> None:
        if self.held:
            return
        if sender.bytes:
            self._read(sender)
        else:
            self._read_twice(sender)

    def _read_twice(self, sender: Sender) -> None:
        """Read what may be a sender's only line, and whether it has closed then."""
        if self._read(sender) and not self.held:
            self._read(sender)

    def _read(self, sender: Sender) -> int | None:
        """Read once. Return the bytes read: 0 when there are none now, None when the sender is gone."""
        held, batch = sender.held, self._batch
        try:
            # The flag spares each connection the call that would make its socket a non-blocking one.
            count = sender.sock.recv_into(batch.room(sender.id, len(held), READ_SIZE), 0, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._goodbye(sender, error.strerror or str(error))
            return None
        if count == 0:
            self._goodbye(sender, "closed")
            return None
        self._most_in_turn = max(self._most_in_turn, count)
        sender.bytes += count
        taken = batch.take(sender.id, held, count, self._stamp(sender) if self._limits.stamp else b"")
        if taken is None:
            self._hold_back(sender, batch.received(count))
        else:
            lines, rest = taken
            sender.lines += lines
            if held or rest:
                self._pending -= len(held)
                self._quiet_until.pop(sender, None)
                sender.held = b""
                if rest:
                    self._hold_back(sender, rest)
        if batch.queued >= self._flush_at:
            self._flush()
        return count

    def _hold_back(self, sender: Sender, text: bytes) -> None:
        """Keep `text`, which is no whole line, until more of it comes or it is due to be handed on."""
        if sender.held:
            # In place: a line sent byte by byte costs no quadratic copying.
            if not isinstance(sender.held, bytearray):
                sender.held = bytearray(sender.held)
            sender.held += text
            del self._quiet_until[sender]
        else:
            sender.held = text
        self._pending += len(text)
        when = time.monotonic() + self._limits.partial_after
        if not self._quiet_until:
            self._partial_timer.at(when)
        self._quiet_until[sender] = when
        if len(sender.held) >= LINE_MAX:
            self._hand_on(sender)
        elif self._pending > PENDING_MAX:
            self._relieve()

    def _relieve(self) -> None:
        """Hand the longest unfinished lines on, until half of the memory for them is free."""
        self._journal.say("unfinished lines handed on", reason="memory", bytes=self._pending)
        for sender in sorted(self._quiet_until, key=lambda sender: -len(sender.held)):
            self._hand_on(sender)
            if self._pending <= PENDING_MAX // 2:
                break

    def _hand_on(self, sender: Sender) -> None:
        """Give the store what the sender has not finished; its line stays open there."""
        self._quiet_until.pop(sender, None)
        text, sender.held = sender.held, b""
        if text:
            self._pending -= len(text)
            self.splits += 1
            self._batch.add(sender.id, text, self._stamp(sender))
            if self._batch.queued >= self._flush_at:
                self._flush()

    def _hand_on_quiet(self) -> None:
        now = time.monotonic()
        # A dict keeps the order of insertion, and every deadline is inserted as the latest.
        while self._quiet_until:
            sender, when = next(iter(self._quiet_until.items()))
            if when > now:
                self._partial_timer.at(when)
                return
            self._hand_on(sender)

    def _stamp(self, sender: Sender) -> bytes:
        if not self._limits.stamp:
            return b""
        if not self._time:
            self._time = timestamp().encode("ascii")
        return self._time + b" " + sender.name.encode("utf-8") + b" "

    def _goodbye(self, sender: Sender, why: str) -> None:
        self._hand_on(sender)
        self._loop.unwatch(sender.sock)
        sender.sock.close()
        del self._senders[sender.id]
        if sender.host:
            left = self._per_address[sender.host] - 1
            if left:
                self._per_address[sender.host] = left
            else:
                del self._per_address[sender.host]
        seconds = time.monotonic() - sender.since
        self._journal.disconnected(sender.name, why, seconds, sender.bytes, sender.lines)
        if self._full_since and len(self._senders) < self._limits.senders:
            self._reopen()

    def _end_turn(self) -> None:
        self._flush()
        self._time = b""
        most, self._most_in_turn = self._most_in_turn, 0
        accepted, self._accepted_in_turn = self._accepted_in_turn, 0
        forks, self._forks_in_turn = self._forks_in_turn, 0
        if most or forks:
            now = time.monotonic()
            # Our newcomers come as quick as they can; a fork of socat has its sender's text a moment later.
            if accepted == forks and most < THICK and now - self._busy_at < BUSY_WITHIN:
                self._loop.rest(GATHER)
                now += GATHER
            self._busy_at = now
            if most:
                self.last_read_at = now

    # -- holding back ---------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._store.flush():
            if self.held:
                self._release()
        elif not self.held:
            self._hold()

    def _hold(self) -> None:
        self.held = True
        for source in self._sources:
            self._loop.unwatch(source.sock)
        for sender in self._senders.values():
            self._loop.unwatch(sender.sock)
        self._retry_timer.at(time.monotonic() + RETRY_AFTER)

    def _retry(self) -> None:
        if self.held:
            self._retry_timer.at(time.monotonic() + RETRY_AFTER)
            self._flush()

    def _release(self) -> None:
        self.held = False
        self._retry_timer.off()
        for sender in self._senders.values():
            self._watch(sender)
        if not self.full:
            self._open_doors()

    def _close_doors(self, why: str) -> None:
        if not self._full_since:
            self._full_since = time.monotonic()
            self._journal.say("listener full", reason=why, senders=len(self._senders))
            for source in self._sources:
                self._loop.unwatch(source.sock)

    def _reopen(self) -> None:
        if self._full_since:
            seconds = round(time.monotonic() - self._full_since, 3)
            self._full_since = 0.0
            self._room_timer.off()
            self._journal.say("listener has room again", full_seconds=seconds)
            if not self.held:
                self._open_doors()

    def _open_doors(self) -> None:
        for source, callback in self._sources.items():
            self._loop.unwatch(source.sock)
            self._loop.watch(source.sock, callback)

    # -- the end --------------------------------------------------------------------------------

    def _finish(self, sender: Sender, until: float) -> bool:
        """Take in what the kernel has accepted from `sender`, not a byte more, and disconnect it."""
        self._loop.unwatch(sender.sock)
        first = True
        bound = None
        if drop_incoming(sender.sock):
            # Set now: if the sender has closed, the read below closes, too. The acknowledgement of that is
            # dropped, and the connection would stand in LAST-ACK for minutes and swallow a new one's SYN.
            reset_on_close(sender.sock)
        else:  # what stands in the queue now is the bound
            bound = sender.bytes + unread(sender.sock)
        while bound is None or sender.bytes < bound:
            if not self._written(until) or (not first and time.monotonic() >= until):
                return False
            if sender.id not in self._senders:
                return True  # a turn of the loop has seen its end
            first = False
            count = self._read(sender)
            if count is None:
                return True
            if count == 0:
                break
        reset_on_close(sender.sock)
        self._goodbye(sender, "stopped")
        return True

    def _written(self, until: float) -> bool:
        while not self._store.flush():
            if time.monotonic() >= until:
                return False
            # Not a sleep: a relay's spool has room again when the loop hears the collector's ack.
            self._loop.turn(at_most=0.02)
        return True
