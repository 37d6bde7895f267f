"""Text that is no whole message yet: kept until its end comes, or until it is due to be handed on.

It is due after `partial_after` seconds without more, when it grows over `LINE_MAX`, and, the longest first,
when all unfinished text together exceeds `PENDING_MAX`.

Only time in which its sender could have been heard counts as the sender's silence. While nobody is read
(`stop_clock`) no text becomes due, and afterwards each has its whole time again, for the rest may have waited
at the sender. Where we were late ourselves (stopped, starved, in a long write), or a process that passes it
on is, the rest may wait in the kernel: a sender is asked before its text is handed on.

Where it is not known yet what ends a message, more text puts nothing off: it may be lines already.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Callable

from ..records.events import Say
from ..system.loop import Loop
from .noted import Came
from .sender import Sender

#: Bytes of one sender, and of all together.
LINE_MAX = 1024 * 1024
PENDING_MAX = 32 * 1024 * 1024
#: Seconds at least before a sender that is late, but not silent, is asked again.
ASK_AGAIN = 0.05


class Unfinished:
    """The unfinished messages of all senders (`Sender.pending`), and when each is due."""

    def __init__(
        self,
        loop: Loop,
        partial_after: float,
        hand_on: Callable[[Sender, bool], None],
        ask: Callable[[Sender], None],
        say: Say,
    ) -> None:
        """`hand_on` is called with a sender whose text is due, and whether nothing more will come of it.

        `ask` is called with one that was silent for `partial_after` seconds: it reads on, hands on, or grants
        it a `delay`.
        """
        #: Bytes of all.
        self.size = 0
        #: Bytes that a newline in the middle of a message counts for beside itself.
        self.newline_weighs = 0
        self._partial_after = partial_after
        self._hand_on = hand_on
        self._ask = ask
        self._say = say
        self._stopped = False
        self._now = loop.now
        # When each is due. A dict keeps the order of insertion, and every time is inserted as the latest.
        self._due: dict[Sender, float] = {}
        self._timer = loop.timer(self._ask_quiet)

    def adopt(self, partial_after: float) -> None:
        """Have what comes from now on be due after so many seconds, and what is here at once."""
        self._partial_after = partial_after
        if not self._stopped:
            self.start_clock()

    def keep(self, sender: Sender, text: bytes, ms: int, came: Came | None = None) -> None:
        """Keep `text`, read at `ms`, which goes on with what the sender has not finished.

        `came` tells when its lines began, if it was kept before.
        """
        newlines = text.count(b"\n")
        begin = newlines - (text[-1] == 0x0A)
        if sender.pending:
            if came is None:
                sender.came.add(begin + (sender.pending[-1] == 0x0A), ms)
            # In place: a line sent byte by byte costs no quadratic copying.
            if not isinstance(sender.pending, bytearray):
                sender.pending = bytearray(sender.pending)
            sender.pending += text
        else:
            sender.pending = text
            sender.came = came or Came(begin + 1, ms)
        weight = len(text) + self.newline_weighs * newlines
        sender.weight += weight
        self.size += weight
        if sender.framing.settled or sender not in self._due:
            when = self._now() + self._partial_after
            self._due.pop(sender, None)
            if not self._due and not self._stopped:
                self._timer.at(when)
            self._due[sender] = when
        if sender.weight >= LINE_MAX:
            self._hand_on(sender, False)
        elif self.size > PENDING_MAX:
            self._relieve()

    def give(self, sender: Sender) -> bytes | bytearray:
        """Return what the sender has not finished, and keep it no more."""
        text, sender.pending = sender.pending, b""
        if text:
            self.size -= sender.weight
            sender.weight = 0
            del self._due[sender]
        return text

    def delay(self, sender: Sender) -> None:
        """Give a sender that was asked its time anew."""
        del self._due[sender]
        self._due[sender] = self._now() + max(self._partial_after, ASK_AGAIN)

    def hand_on_all(self) -> None:
        """Hand on all that is kept, whether it is due or not: nothing more will come."""
        for sender in list(self._due):
            self._hand_on(sender, True)

    def stop_clock(self) -> None:
        """Take note that nobody is read any more."""
        self._stopped = True
        self._timer.off()

    def start_clock(self) -> None:
        """Take note that everybody is read again."""
        self._stopped = False
        if self._due:
            when = self._now() + self._partial_after
            self._due = dict.fromkeys(self._due, when)
            self._timer.at(when)

    def _relieve(self) -> None:
        """Hand the longest ones on, until half of the memory for them is free."""
        self._say("unfinished lines handed on", reason="memory", bytes=self.size)
        for sender in sorted(self._due, key=lambda sender: -sender.weight):
            self._hand_on(sender, False)
            if self.size <= PENDING_MAX // 2:
                break

    def _ask_quiet(self) -> None:
        now = self._now()
        # In one go: to find the oldest, a dict passes over those that have just left it, each time.
        for sender, _ in list(takewhile(lambda item: item[1] <= now, self._due.items())):
            if not self._stopped and self._due.get(sender, now + 1) <= now:
                self._ask(sender)
        if self._due and not self._stopped:
            self._timer.at(next(iter(self._due.values())))
