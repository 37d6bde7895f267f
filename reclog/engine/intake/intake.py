"""The senders' side of a daemon: admit them, assemble their lines, hand whole lines to a store.

Rules kept here:

- A sender is read only while the store takes what it says; held back, TCP holds it back in turn.
- Text without a newline is handed on when its sender closes, and when `unfinished` says that it is due.
- Small input is gathered for `GATHER` seconds before the next write when it comes thick; a line that
  comes after a quiet moment is written at once.
- No sender is turned away silently: at the cap newcomers wait (`doors`), an address that is not allowed or
  has too many connections is closed; the event log says so.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import NamedTuple, Protocol, Sequence

from ..records.events import timestamp
from ..records.journal import Journal
from ..system.address import Network, allows
from ..system.kernel import drop_incoming, reset_on_close, unread
from ..system.loop import Loop
from .batch import Batch
from .gate import Doors, Source
from .sender import Sender
from .unfinished import Unfinished

GATHER = 0.001
#: Turns that follow each other within this many seconds count as busy.
BUSY_WITHIN = 0.003
RETRY_AFTER = 0.25
#: Bytes of one read at most. Fewer calls are cheaper, as long as the processor's cache holds what they bring.
READ_SIZE = 512 * 1024
#: Bytes of one read from which on nothing is gained by gathering: a fork of socat passes 64 KiB on and waits.
THICK = 32 * 1024


class Store(Protocol):
    """Where whole lines go: a file, or a spool."""

    #: Bytes queued at which it is written without waiting for the end of the turn.
    FLUSH_AT: int
    #: What it is to write.
    batch: Batch

    def flush(self) -> bool:
        """Write what its batch holds; False if that isn't possible now."""


class Limits(NamedTuple):
    """Who may send, how many at once, how their text is treated."""

    #: Seconds.
    partial_after: float = 2.0
    stamp: bool = False
    allow: Sequence[Network] = ()
    senders: int = 1000
    senders_per_address: int = 1000


class Intake:
    """Serve every sender of every source in one loop."""

    def __init__(self, loop: Loop, store: Store, journal: Journal, limits: Limits) -> None:
        self.connects = 0
        self.refused = 0
        self.splits = 0
        #: When senders were last heard, or could be again (monotonic seconds).
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
        self._doors = Doors(loop, self._welcome, lambda: self.senders, journal.say)
        self._unfinished = Unfinished(loop, limits.partial_after, self._hand_on, self._ask, journal.say)
        self._next_id = 0
        self._time = b""
        # Bytes of the largest read.
        self._most_in_turn = 0
        self._accepted_in_turn = 0
        self._forks_in_turn = 0
        # When senders last came or were heard.
        self._busy_at = 0.0
        self._retry_timer = loop.timer(self._retry)
        loop.after_turn(self._end_turn)

    # -- what the daemon sees -------------------------------------------------------------------

    @property
    def senders(self) -> int:
        """Connections open now."""
        return len(self._senders)

    @property
    def full(self) -> bool:
        """Tell whether newcomers wait because there is no place for one more."""
        return self._doors.full

    def serve(self, source: Source) -> None:
        """Accept the senders of `source` from now on."""
        self._doors.serve(source)

    def leave(self, source: Source) -> None:
        """Accept none of `source` any more."""
        self._doors.leave(source)

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
        self._unfinished.hand_on_all()
        return self._written(until)

    def left_behind(self) -> tuple[int, int]:
        """Return how many senders are still connected, and the bytes they sent that were not read."""
        return len(self._senders), sum(unread(sender.sock) for sender in self._senders.values())

    # -- a turn ---------------------------------------------------------------------------------

    def _welcome(self, sock: socket.socket, host: str, name: str) -> None:
        sender = self._admit(sock, host, name)
        if sender is None:
            return
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
            self._doors.fill(f"{limits.senders} senders are connected")
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
            self._unfinished.keep(sender, batch.received(count))
        else:
            lines, rest = taken
            sender.lines += lines
            if held:
                self._unfinished.take(sender)
            if rest:
                self._unfinished.keep(sender, rest)
        if batch.queued >= self._flush_at:
            self._flush()
        return count

    def _hand_on(self, sender: Sender) -> None:
        """Give the store what the sender has not finished; its line stays open there."""
        text = self._unfinished.take(sender)
        if text:
            self.splits += 1
            self._batch.add(sender.id, text, self._stamp(sender))
            if self._batch.queued >= self._flush_at:
                self._flush()

    def _ask(self, sender: Sender) -> None:
        """Hand on what a silent sender has not finished, unless more of it waits here unread."""
        if self._read(sender) == 0:
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
        if self._doors.full and len(self._senders) < self._limits.senders:
            self._doors.have_room()

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
        self._unfinished.stop_clock()
        self._doors.hold()
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
        self._unfinished.start_clock()
        self.last_read_at = time.monotonic()
        self._doors.release()

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
