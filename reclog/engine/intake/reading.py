"""The senders' side of a daemon: admit them, assemble their messages, hand whole ones to a store.

Rules kept here:

- A sender is read only while the store takes what it says; while it takes nothing, TCP holds the sender back.
- What is no whole message is handed on when its sender closes, and when `unfinished` says that it is due. So
  is what is held until it is known what ends a message (`settling`).
- Who sends what is no text is told so, and closed; nothing of it goes anywhere.
- A stream's readiness is a reason to read it, and no promise that there is something, or all of it.
- At the cap newcomers wait (`gate`); who may not send is closed (`roster`), who has to show that it may is
  nobody's sender before it has (`strangers`).
"""

from __future__ import annotations

import functools
from time import time

from ..records.journal import Journal
from ..streams.stream import Stream
from ..system.loop import Loop
from .asking import Asking
from .batch import Bytes
from .binary import NoText
from .datagrams import Datagrams
from .framing import Framing
from .gate import ROOM_AGAIN, Gate
from .gathering import GATHER, Gathering, Turn
from .roster import Limits, Roster
from .sender import LOOK_AGAIN, Sender
from .settling import Settling
from .stamps import Stamps
from .store import Store
from .strangers import Strangers
from .unfinished import Unfinished
from .valve import Valve
from .yielding import LOOK_EVERY, Yielding

#: Bytes of one read at most. Fewer calls are cheaper, as long as the processor's cache holds what they bring.
READ_SIZE = 512 * 1024
#: Of one whose lines are stamped: each newline may become 90 bytes, and all stand in the batch at once.
STAMPED_READ_SIZE, NEWLINE_WEIGHS = 32 * 1024, 90


class Reading:
    """Read every sender of every endpoint in one loop."""

    def __init__(self, loop: Loop, store: Store, journal: Journal, limits: Limits) -> None:
        self.splits = 0
        #: Senders that had to go because their places were needed.
        self.made_room = 0
        #: When senders were last heard, or could be again (seconds of the loop's clock).
        self.last_read_at = 0.0
        self.note = journal.note
        self.roster = Roster(limits, journal, loop.now)
        self._loop = loop
        self._valve = Valve(loop, store, self._stop_reading, self._read_again)
        self._batch = store.batch
        self._flush_at = store.FLUSH_AT
        self._senders = self.roster.senders
        self.strangers = Strangers(
            loop, self._welcome, self.roster.refuse, lambda: not (self._valve.shut or self.roster.full)
        )
        self.strangers.adopt(limits.token, limits.strangers)
        self.gate = Gate(loop, self._welcome, self._senders.__len__, self.strangers.open, self.note)
        self._unfinished = Unfinished(loop, limits.partial_after, self._hand_on, self._ask, journal.note)
        self._asking = Asking(loop.now)
        self._settling = Settling(self._batch, self._unfinished, self._add, self._turn_away)
        self._stamps = Stamps(False)
        self._set_stamps(limits.stamp)
        self._gathering, self._this_turn = Gathering(), Turn()
        turn, stamp = self._this_turn, self._stamps.of
        self.datagrams = Datagrams(loop, store, self._valve, limits, stamp, self.roster, turn, self.note)
        self._yielding = Yielding(self._senders.values, loop.now)
        self._yield_timer = loop.timer(self._make_room)
        # Those whose streams hold more than was read: the kernel will not wake us for it.
        self._more: dict[Sender, None] = {}
        self._more_timer = loop.timer(self._read_more)
        loop.after_turn(self._end_turn)

    @property
    def paused(self) -> bool:
        """Tell whether nobody is read now, for the store takes nothing."""
        return self._valve.shut

    @property
    def senders(self) -> int:
        """Connections open now."""
        return len(self._senders)

    # -- a turn ---------------------------------------------------------------------------------

    def _welcome(
        self, stream: Stream, host: str, name: str, framing: Framing, leaving: str | None = None
    ) -> None:
        if leaving is None and (self.strangers.token is not None or stream.shaking):
            self._meet(stream, host, name, framing)
            return
        sender = self._admit(stream, host, name, framing)
        if sender is None:
            return
        sender.leaving = leaving or ""
        # A sender of one line has said it, and closed, by now; who passes on what another says does it later.
        if host:
            self._read(sender, twice=True)
        else:
            self._asking.ask(sender)
        if sender.id in self._senders:
            self._watch(sender)

    def _meet(self, stream: Stream, host: str, name: str, framing: Framing) -> None:
        if self.roster.allows(stream, host, name):
            self.strangers.meet(stream, host, name, framing)
            if self.gate.open and self.strangers.crowded:
                self.gate.fill(self.strangers.crowded, ROOM_AGAIN)

    def _admit(self, stream: Stream, host: str, name: str, framing: Framing) -> Sender | None:
        self._this_turn.newcomer(host)
        sender = self.roster.admit(stream, host, name, framing)
        if self.roster.full:
            self.gate.fill(self.roster.full)
            self._yield_timer.at(self._yielding.again_at)
        return sender

    def _make_room(self) -> None:
        """While all places are taken and somebody waits, have one go who says nothing."""
        if not self.roster.full:
            return
        wanted = not self._valve.shut and (self.strangers.knock or self.gate.waits())
        sender = self._yielding.next(self._valve.open_since) if wanted else None
        if sender is None:
            self._yield_timer.at(max(self._yielding.again_at, self._loop.now() + LOOK_EVERY))
            return
        self.made_room += 1
        seconds = round(self._loop.now() - sender.heard_at, 3)
        self.note("made room", sender=sender.name, silent_seconds=seconds, senders=self.senders)
        self._see_off(sender, "silent, and its place was needed")

    def _see_off(self, sender: Sender, why: str) -> None:
        """Accept no more of a sender, and disconnect it once all that was accepted is read."""
        if sender.stream.leave():
            sender.heard_at = self._loop.now()  # should it not end, it is told again
            return
        sender.leaving, sender.heard_at = why, self._loop.now()
        self._come_back(sender)

    def _watch(self, sender: Sender) -> None:
        if sender.on_ready is None:
            sender.on_ready = functools.partial(self._read, sender, True)
        if not self._valve.shut:
            self._loop.watch(sender.stream.fileno(), sender.on_ready)
            if sender.stream.holds or sender.leaving:
                self._come_back(sender)

    def _read(self, sender: Sender, twice: bool = False) -> int | None:
        """Read once; `twice` if its first bytes come: they may be its only line, and it has closed then.

        Return the bytes read: 0 when there are none now, None when the sender is gone, -1 when there is no
        memory for any: then it is as if the store had no room.
        """
        pending, batch, stream, stamp = sender.pending, self._batch, sender.stream, b""
        try:
            if self._stamps.on:
                # Room for the stamps, too: once bytes are read there must be a place for them.
                stamp = self._stamps.of(sender.name)
                size = STAMPED_READ_SIZE
                room = batch.room(sender.id, len(pending), size * (1 + len(stamp)))[:size]
            else:
                room = batch.room(sender.id, len(pending), READ_SIZE)
            count = stream.receive_into(room)
        except MemoryError:
            self._valve.starve()
            return -1
        except (BlockingIOError, InterruptedError):
            if sender.leaving and not sender.awaits_rest(self._loop.now()):
                self._goodbye(sender, sender.leaving)
                return None
            if sender.leaving:
                self._come_back(sender, LOOK_AGAIN)
            return 0
        except OSError as error:
            self._goodbye(sender, error.strerror or str(error))
            return None
        if count == 0:
            self._goodbye(sender, "closed")
            return None
        turn = self._this_turn
        if not turn.largest:
            turn.began = self._loop.now()
        ms = int(time() * 1000)  # of each read: it may have been said after the one before was read
        if count > turn.largest:
            turn.largest = count
        sender.heard_at = turn.began
        twice = twice and not sender.bytes
        sender.bytes += count
        if sender.framing.settled or self._settling.begins(sender, count, ms):
            whole = batch.commit(
                sender.id, pending, count, sender.framing, stamp, sender.origin, ms, sender.came
            )
            if whole is None:
                self._unfinished.keep(sender, batch.received(count), ms)
            else:
                lines, rest = whole
                sender.lines += lines
                if pending:
                    self._unfinished.give(sender)
                if rest:
                    self._unfinished.keep(sender, rest, ms)
        elif sender.gone:
            return None
        if stream.holds or sender.leaving:
            self._come_back(sender)
        if batch.queued >= self._flush_at:
            self._valve.flush()
        if twice and not self._valve.shut and self._read(sender) is None:
            return None
        return count

    def _turn_away(self, sender: Sender, what: NoText) -> None:
        """Tell who sends no text so, and disconnect it."""
        self._unfinished.give(sender)
        sender.stream.answer(what.answer)
        self.roster.count_refused(sender.name, what.why)
        self._goodbye(sender, "refused")

    def _come_back(self, sender: Sender, after: float = 0.0) -> None:
        self._more[sender] = None
        self._more_timer.at(min(self._more_timer.when, self._loop.now() + after))

    def _read_more(self) -> None:
        more, self._more = self._more, {}
        for sender in more:
            if sender.id in self._senders and not self._valve.shut:
                self._read(sender)

    def _hand_on(self, sender: Sender, last: bool) -> None:
        """Give the store what a sender has not finished, and may go on with unless it is the `last` of it."""
        if not sender.framing.settled:
            self._settling.settle(sender, True, int(time() * 1000))
        if sender.pending:
            text = sender.framing.part(sender.pending, last)
            if text is None:
                self._unfinished.delay(sender)
                return
            self._unfinished.give(sender)
            self.splits += 1
            self._add(sender, text, int(time() * 1000))
        if self._batch.queued >= self._flush_at:
            self._valve.flush()

    def _add(self, sender: Sender, text: Bytes, ms: int) -> None:
        lines = self._batch.lines
        self._batch.add(sender.id, text, self._stamps.of(sender.name))
        self._batch.note(sender.origin, ms, sender.came)
        sender.lines += self._batch.lines - lines

    def _ask(self, sender: Sender) -> None:
        """Hand on what a silent sender has not finished, unless more of it waits unread."""
        if self._read(sender) == 0:
            if sender.stream.unread():
                self._unfinished.delay(sender)
            else:
                self._hand_on(sender, False)

    def _set_stamps(self, stamps: bool) -> None:
        self._stamps.on = stamps
        self._unfinished.newline_weighs = NEWLINE_WEIGHS if stamps else 0

    def _goodbye(self, sender: Sender, why: str) -> None:
        if sender.pending:
            self._hand_on(sender, True)
        self._loop.unwatch(sender.stream.fileno())
        self.roster.dismiss(sender, why)
        if self.gate.full and not self.roster.full:
            self.gate.have_room()

    def _end_turn(self) -> None:
        self._valve.flush()
        if self._stamps.on:
            self._stamps.end_turn()
        turn, now = self._this_turn, self._loop.now()
        if turn.largest or turn.datagrams:
            self.last_read_at = now
        if self._gathering.ends(turn, self._batch.lines, now):
            self._loop.rest(GATHER)

    def _stop_reading(self) -> None:
        self._unfinished.stop_clock()
        self.datagrams.shut()
        self.gate.shut()
        for sender in self._senders.values():
            self._loop.unwatch(sender.stream.fileno())

    def _read_again(self) -> None:
        for sender in self._senders.values():
            self._watch(sender)
        self._unfinished.start_clock()
        self.datagrams.reopen()
        self.last_read_at = self._loop.now()
        self.gate.reopen()
