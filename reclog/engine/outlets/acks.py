"""The collector's acks: when what an outlet has taken is settled, and that the relay is told.

Rules kept here:

- Settled first, then acked: the relay deletes nothing that could be lost.
- A sync takes as long as the disk likes, so it is done beside the loop while more comes.
- While data come, something goes back now and then: else lines would wait for an acknowledgement of TCP's.
"""

from __future__ import annotations

from typing import Callable

from ..records.events import Say
from ..system.aside import Aside, attempt
from ..system.disk import Disk
from ..system.loop import Loop
from .outlet import Outlet, Settling

#: Seconds, and bytes, after which what was taken is synced and acked.
ACK_EVERY, ACK_AT = 0.2, 32 * 1024 * 1024
#: Seconds until a sync that failed is tried again.
AGAIN_AFTER = 1.0
#: sshd sends with Nagle's algorithm (RFC 896), and a kernel that has nothing to send back delays its
#: acknowledgement, 40 ms on Linux: lines that trickle, and the last ones of many, would wait for it. So,
#: while data come, something goes back each so many seconds, and takes the acknowledgement along.
ANSWER_EVERY = 0.005


class Acks:
    """Settle in time what has come, and say so to the relay, if one is connected."""

    def __init__(
        self,
        loop: Loop,
        outlet: Outlet,
        disk: Disk,
        say: Say,
        send: Callable[[int], bool],
        settled: Callable[[], None],
    ) -> None:
        """`send` tells the relay an offset, if one is connected; True if it is on its way.

        `settled` is called when a settling beside the loop has ended.
        """
        #: Due when what has come is to be settled.
        self.timer = loop.timer(self.settle_aside)
        self.aside = Aside(loop)
        self._now = loop.now
        self._outlet = outlet
        self._disk = disk
        self._say = say
        self._send = send
        self._settled = settled
        self._unacked = 0
        # What failed since the last success, and why: what is stated of it already.
        self._failing: set[tuple[str, str]] = set()
        self._answer_timer = loop.timer(self._answer)
        self._answered_at = 0.0

    def came(self, count: int) -> None:
        """Take note that `count` bytes have come."""
        self._unacked += count
        self._answer_timer.at(self._answered_at + ANSWER_EVERY)

    def in_time(self) -> None:
        """See that what has come is settled soon: now, if it is much."""
        if self._outlet.offset > self._outlet.settled:
            if self._unacked >= ACK_AT:
                self.settle_aside()
            else:
                self.timer.at(min(self.timer.when, self._now() + ACK_EVERY))

    def settle(self) -> bool:
        """Settle and ack what has come; True if the ack is on its way."""
        settling = self._begin()
        return settling is not None and self._end(settling, attempt(settling.sync))

    def settle_aside(self) -> None:
        """The same, while more may come."""
        settling = None if self.aside.busy else self._begin()  # if it is: the next is begun when it ends
        if settling is not None:
            self.aside.start(settling.sync, lambda error: self._synced(settling, error))

    def _begin(self) -> Settling | None:
        self.timer.off()
        self._unacked = 0
        try:
            return self._outlet.settle()
        except OSError as error:
            self._failed("look", error)
            return None

    def _synced(self, settling: Settling, error: OSError | None) -> None:
        self._end(settling, error)
        if not self._failing:
            self._settled()

    def _end(self, settling: Settling, error: OSError | None) -> bool:
        """Take note of what is settled and send it; True if it is on its way."""
        if error is not None:
            self._failed("sync", error)
            return False
        try:
            settled = settling.end()
            self._failing.clear()
            if settled:
                self._disk.reach("ack.before-send")
        except OSError as failed:
            self._failed("checkpoint", failed)
            return False
        return settled and self._send(self._outlet.settled)

    def _answer(self) -> None:
        """Send something: the last ack again, which the relay knows."""
        self._answered_at = self._now()
        self._send(self._outlet.settled)

    def _failed(self, what: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if (what, reason) not in self._failing:  # another failure right after is a fact of its own
            self._failing.add((what, reason))
            self._say("sync failed", of=what, reason=reason)
        self.timer.at(self._now() + AGAIN_AFTER)
