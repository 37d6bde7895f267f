"""Datagrams: each is a message, whoever sent it.

Rules kept here:

- They are read while the store takes what they say. While it takes nothing they stay in the kernel, which
  counts those that it has no room for.
- All that wait are read, or 1 MiB of them, at the beginning of a turn: nothing but the kernel's buffer holds
  their senders back.
- A datagram's end is the message's. The NUL that ends syslog or JSON goes, a newline is added where none is,
  all else is as it was sent; an empty one says nothing. GELF is undone (`gelf`). With `--framing lines` only
  the newline is added.
- What is kept of addresses is bounded, for they may be forged.
"""

from __future__ import annotations

import functools
from itertools import repeat
from time import time
from typing import Any, Callable, Protocol

from ..records.events import Say
from ..system.address import allows, host_of, with_port
from ..system.loop import Loop
from .framing import BEGINS, LINES
from .gathering import Turn
from .gelf import FIRST, Gelf
from .roster import NOT_ALLOWED, Limits, Roster
from .store import Store
from .valve import Valve

#: Bytes of one at most, with a newline; of those received at once; of a turn.
LARGEST, AT_ONCE, TURN = 65536, 320 * 1024, 1024 * 1024
#: How many, empty and refused ones too, are read at once; what each costs of a turn beside its bytes, and one
#: that has to be unpacked to see what it is.
MOST, EACH, UNPACKING = 1024, 256, 32 * 1024
#: Addresses of which is known whether they may send, those that were heard last.
ADDRESSES = 4096

#: Stands for all who send datagrams: none ever leaves a line open.
_WHO = "datagram"


class Port(Protocol):
    """Where datagrams come in."""

    #: Whether nothing is undone: neither GELF, nor the NUL that ends a message.
    as_sent: bool

    def receive_into(self, room: memoryview, /) -> tuple[int, Any]:
        """Receive one; return its size and its sender's address. Raises OSError where none waits."""

    def fileno(self) -> int:
        """Return the descriptor to watch."""

    def dropped(self) -> int:
        """Take note of what the kernel had no room for; return how many datagrams that were so far."""


class Datagrams:
    """Read the ports that datagrams come to."""

    def __init__(
        self,
        loop: Loop,
        store: Store,
        valve: Valve,
        limits: Limits,
        stamp: Callable[[str], bytes],
        roster: Roster,
        turn: Turn,
        note: Say,
    ) -> None:
        """`stamp` makes what each line of a sender begins with, nothing where that is not asked for."""
        #: Datagrams that were taken.
        self.count = 0
        self._loop = loop
        self._batch = store.batch
        self._flush_at = store.FLUSH_AT
        self._valve = valve
        self._stamp = stamp
        self._roster = roster
        self._ports: dict[Port, Callable[[], None]] = {}
        self._gelf = Gelf(note)
        self._turn = turn
        # One that there was no memory for.
        self._left: tuple[bytes, Any] | None = None
        self._timer = loop.timer(self._give_up_chunks)
        self.adopt(limits)

    def adopt(self, limits: Limits) -> None:
        """Have other limits from now on."""
        self._limits = limits
        self._allowed = functools.lru_cache(ADDRESSES)(self._may_send) if limits.allow else None

    def serve(self, port: Port) -> None:
        """Read `port` from now on."""
        self._ports[port] = lambda: self._read(port)
        self.reopen()

    def leave(self, port: Port) -> None:
        """Read it no more."""
        self._loop.unwatch(port.fileno())
        del self._ports[port]

    def shut(self) -> None:
        """Let all wait until `reopen`."""
        self._timer.off()
        for port in self._ports:
            self._loop.unwatch(port.fileno())

    def reopen(self) -> None:
        """Read again."""
        if not self._valve.shut:
            self._gelf.wait_again(self._loop.now())
            self._timer.at(self._gelf.due)
            for port, read in self._ports.items():
                self._loop.watch(port.fileno(), read, first=True)

    def drain(self, port: Port, until: float) -> bool:
        """Take all that waits, which should be no more by and by; False if `until` came first."""
        while self._valve.written(until):
            came = self._receive(port)
            if came <= 0:
                self._hand_out_chunks(float("inf"))
                return came == 0
            if self._loop.now() >= until:
                break
        return False

    def _read(self, port: Port) -> None:
        left = TURN
        while left > 0 and not self._valve.shut:
            came = self._receive(port)
            if self._batch.queued >= self._flush_at:
                self._valve.flush()
            if came <= 0:
                break
            left -= came
        port.dropped()

    def _receive(self, port: Port) -> int:
        """Take some of what waits.

        Return what that cost of a turn; 0 when nothing waits any more, -1 when there is no memory.
        """
        batch, receive, allowed, stamps = self._batch, port.receive_into, self._allowed, self._limits.stamp
        as_sent = port.as_sent
        try:
            room = batch.room(_WHO, 0, AT_ONCE)
        except MemoryError:
            self._valve.starve()
            return -1
        at = count = others = 0
        sizes: list[int] = []
        hosts: list[str] = []
        host = None
        other, self._left = self._left, None
        try:
            for _ in range(MOST if other is None else 0):
                size, peer = receive(room[at:])
                if not size or (allowed is not None and not allowed(peer[0])):
                    others += 1
                    continue
                count += 1
                end = at + size
                last = room[end - 1]
                if stamps or (not as_sent and (not last or room[at] in FIRST)):
                    other = bytes(room[at:end]), peer
                    break
                if last != 0x0A:
                    room[end] = 0x0A
                    end += 1
                if peer[0] == host:
                    sizes[-1] += end - at
                else:
                    host = peer[0]
                    hosts.append(host)
                    sizes.append(end - at)
                at = end
                if at > AT_ONCE - LARGEST:
                    break
            waits = True
        except OSError:
            waits = False
        self.count += count
        if at:
            batch.commit(_WHO, b"", at, LINES)
            batch.note_each(sizes, repeat(int(time() * 1000), len(sizes)), hosts)
        cost = at + EACH * (count + others)
        if other is not None:
            try:
                cost += self._take(*other, as_sent)
            except MemoryError:
                self._left = other
                self._valve.starve()
                return -1
        if count:
            self._turn.datagrams = max(self._turn.datagrams, cost)
        return cost if waits else 0

    def _take(self, datagram: bytes, peer: Any, as_sent: bool) -> int:
        """Take one that is not just written as it came; return the bytes that it became."""
        sender = with_port(host_of(peer), peer[1])
        if as_sent or datagram[0] not in FIRST:
            return self._add(sender, datagram, as_sent)
        size = sum(self._add(*one) for one in self._gelf.take(sender, datagram, self._loop.now()))
        self._timer.at(self._gelf.due)
        return UNPACKING + size

    def _add(self, sender: str, text: bytes, as_sent: bool = False) -> int:
        host = sender.rpartition(":")[0].strip("[]")
        self._batch.add(_WHO, whole(text, as_sent), self._stamp(self._limits.shown(host, sender)))
        self._batch.note(host, int(time() * 1000))
        return len(text)

    def _give_up_chunks(self) -> None:
        if not self._valve.shut:
            self._hand_out_chunks(self._loop.now())
            self._timer.at(self._gelf.due)

    def _hand_out_chunks(self, now: float) -> None:
        for sender, text in self._gelf.hand_out(now):
            self._add(sender, text)

    def _may_send(self, address: str) -> bool:
        host = host_of((address,))
        may = allows(self._limits.allow, host)
        if not may:
            self._roster.count_refused(self._limits.shown(host, f"{host}:udp"), NOT_ALLOWED)
        return may


def whole(datagram: bytes, as_sent: bool = False) -> bytes:
    """Return what a datagram says, as lines: without the NUL that ends syslog or JSON, with a newline."""
    if not as_sent and datagram.endswith(b"\0") and BEGINS.match(datagram):
        datagram = datagram[:-1]
    return datagram if datagram.endswith(b"\n") else datagram + b"\n"
