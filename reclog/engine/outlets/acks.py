"""The collector's acks: what has landed is settled, then the relay is told.

Rules kept here:

- Settled first, then acked: the relay deletes nothing that could be lost.
- A sync takes as long as the disk likes, so it is done beside the loop while more comes.
- While data come, something goes back now and then: else lines would wait for an acknowledgement of TCP's.
"""

from __future__ import annotations

import time
from typing import Callable

from ..system.aside import Aside
from ..system.disk import Disk
from ..system.faultpoints import reach
from ..system.loop import Loop
from .landing import Landing, Settling

#: Seconds, and bytes, after which what was written is synced and acked.
ACK_EVERY, ACK_AT = 0.2, 32 * 1024 * 1024
#: Seconds until a sync that failed is tried again.
AGAIN_AFTER = 1.0
#: sshd sends with Nagle's algorithm (RFC 896), and a kernel that has nothing to send back delays its
#: acknowledgement, 40 ms on Linux: lines that trickle, and the last ones of many, would wait for it. So,
#: while data come, something goes back each so many seconds, and takes the acknowledgement along.
ANSWER_EVERY = 0.005

Report = Callable[..., None]


class Acks:
    """Settle what has landed in time, and say so to the relay, if one is connected."""

    def __init__(
        self, loop: Loop, landing: Landing, disk: Disk, say: Report, send: Callable[[int], bool]
    ) -> None:
        """`send` tells the relay an offset, if one is connected; True if it is on its way."""
        #: Called when a sync beside the loop has ended and more is to be settled.
        self.on_more: Callable[[], None] = lambda: None
        #: Due when what has landed is to be settled; whoever owns us says what happens then.
        self.timer = loop.timer(lambda: self.on_due())
        self.on_due: Callable[[], None] = lambda: None
        self.aside = Aside(loop)
        self._landing = landing
        self._disk = disk
        self._say = say
        self._send = send
        self._unacked = 0
        self._failing = False
        self._answer_timer = loop.timer(self._answer)
        self._answered_at = 0.0

    def landed(self, count: int) -> None:
        """Take note that `count` bytes have come."""
        self._unacked += count
        self._answer_timer.at(self._answered_at + ANSWER_EVERY)

    def in_time(self) -> None:
        """See that what has landed is settled soon: now, if it is much."""
        if self._landing.position > self._landing.settled:
            if self._unacked >= ACK_AT:
                self.settle_aside()
            elif self.timer.when > time.monotonic() + ACK_EVERY:
                self.timer.at(time.monotonic() + ACK_EVERY)

    def settle(self) -> bool:
        """Settle and ack what has landed; True if the ack is on its way."""
        self._begin()
        try:
            if not self._landing.settle():
                return False
        except OSError as error:
            self._failed(error)
            return False
        self._failing = False
        return self._ack()

    def settle_aside(self) -> None:
        """The same, while more may come."""
        if self.aside.busy:
            return  # the next is begun when it ends
        try:
            settling = self._landing.begin_settling()
        except OSError as error:
            self._failed(error)
            return
        if settling is None:
            self.settle()
            return
        self._begin()
        self.aside.start(
            lambda: self._disk.fdatasync(settling.fd), lambda error: self._synced(settling, error)
        )

    def _begin(self) -> None:
        self.timer.off()
        self._unacked = 0

    def _synced(self, settling: Settling, error: OSError | None) -> None:
        try:
            if error is not None:
                raise error
            settled = self._landing.end_settling(settling)
        except OSError as failed:
            self._failed(failed)
            return
        self._failing = False
        if settled:
            self._ack()
        if self._landing.position > self._landing.settled:
            self.on_more()

    def _ack(self) -> bool:
        """Send what is settled; True if it is on its way."""
        try:
            reach(self._disk, "ack.before-send")
        except OSError as error:
            self._failed(error)
            return False
        return self._send(self._landing.settled)

    def _answer(self) -> None:
        """Send something: the last ack again, which the relay knows."""
        self._answered_at = time.monotonic()
        self._send(self._landing.settled)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            self._say("sync failed", reason=error.strerror or str(error))
        self._failing = True
        self.timer.at(time.monotonic() + AGAIN_AFTER)
