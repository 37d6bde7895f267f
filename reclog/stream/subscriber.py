"""The subscriber: the daemon of recordings whose sender is a stream.

Rules kept here:

- A thread speaks NATS (`pull`); all else is done in the engine's loop, as in a collector: what comes is
  written, settled beside the loop, and then it is noted how far the stream was read.
- That note is never ahead of a file. It may be behind: what comes again is in the files already.
- Where nothing can be written nothing is taken, and the stream keeps it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from reclog.engine.daemons.config import SetAside
from reclog.engine.daemons.daemon import Daemon
from reclog.engine.daemons.fields import Meant
from reclog.engine.errors import EngineError

from . import position as positions
from .account import Account
from .copied import Copy, NotInOrder
from .copies import NOT_NOW, Copies, NotTaken
from .message import EVERYTHING, decode
from .position import Position, Stream
from .pull import Pull, Taken, Wanted

#: Seconds until what could not be written is tried again; between two notes of how far the stream was read.
RETRY_AFTER, NOTE_EVERY = 0.25, 0.5
#: Seconds between two statements of what was not taken; in which a loss of the stream is stated once.
STATE_EVERY = 60.0


class Unreachable(EngineError):
    """The stream can't be had, when somebody waits for that."""

    cause = "unreachable"


@dataclasses.dataclass(frozen=True)
class SubscriberConfig(SetAside, Account):
    """What is subscribed to, from where, where it goes, and what becomes of that."""

    MEANT: ClassVar[Mapping[str, Meant]] = {**Account.MEANT, **SetAside.MEANT}

    subject: str = EVERYTHING
    #: `first`, `now` or a time in ISO 8601.
    start: str = "first"
    #: One of them: a plain name, or one with room for names.
    file: str = ""
    files: str = ""
    #: The pid of the command that stays in front of it; 0 if none does.
    foreground_of: int = 0


class Subscriber:
    """One subscription."""

    def __init__(self, daemon: Daemon, config: SubscriberConfig) -> None:
        self.daemon = daemon
        self.config = config
        self.loop = daemon.loop
        self.say = daemon.log.say
        self.copies = Copies(
            daemon, config.file, config.files, config.start == "first", config.rotating, self._settled
        )
        self.refusal: EngineError | None = None
        position = positions.read(daemon.folder)
        wanted = Wanted(config, f"reclog {os.path.basename(daemon.folder)}", config.subject, config.start)
        self._pull = Pull(self.loop, wanted, position, self)
        # Batches that are not done with, and what of the first of them.
        self._waiting: deque[deque[Taken]] = deque()
        #: Behind what all is taken; and what is noted of that once these copies have settled so much.
        self._at = self._noted = position
        self._due: tuple[Position, list[tuple[Copy, int, str]]] | None = None
        self._ready = self._started = False
        self._held = ""
        self._away = "not connected yet"
        self._away_since = time.monotonic()
        self._said_lost, self._state = -STATE_EVERY, self.say
        self._pending = 0
        self._stream = ""
        self._foreign = 0
        self._not_taken = ""
        self._stated = 0
        self._retry_timer = self.loop.timer(self._work)
        self._note_timer = self.loop.timer(self._note)
        self._state_timer = self.loop.timer(self._state_foreign)
        daemon.show(self._changes, self._facts, self._adopt)

    def run(self) -> None:
        """Start, take what comes until told to end, leave. Raises EngineError."""
        self.daemon.listen_for_stop(self.config.foreground_of)
        self.daemon.announce()
        if self.daemon.again:  # at boot there may be no server for long
            self._start()
            self._ready = True
            self.daemon.ready(stream="")
        self._pull.start()
        while not self.daemon.stopping and not self.refusal:
            self.loop.turn()
        self._pull.stop()
        if self.refusal is not None:
            raise self.refusal  # it never began
        self._stop()

    def _start(self) -> None:
        """Begin, once it is certain that there is a stream, or nobody waits for one."""
        if not self._started:
            self._started = True
            self.copies.open()
            sequence = self._at.sequence if self._at else 0
            self.say("started", spool="", subject=self.config.subject, sequence=sequence)

    def _stop(self) -> None:
        for copy in self.copies:
            copy.landing.flush()
        self.copies.close()
        self._note()
        self._state_foreign()
        facts = self._sums()
        left = sum(copy.left for copy in self.copies)
        self.daemon.stopped(**facts, drained=not left, left_bytes=left, left_senders=0, reason=self._paused)
        self.daemon.counters.write()

    # -- what the thread says -------------------------------------------------------------------

    def reached(self, stream: Stream, position: Position | None) -> None:
        """Take note that messages come."""
        self._start()
        if self._at is None and position is not None:
            self._at = position
            self._note()  # where "now" was, whatever happens next
        self._stream = stream.name
        if self._away:
            away = round(time.monotonic() - self._away_since, 3)
            sequence = position.sequence if position else 0
            self._state(
                "stream reached", stream=stream.name, sequence=sequence, last=stream.last, away_seconds=away
            )
        self._away = ""
        if not self._ready:
            self._ready = True
            self.daemon.ready(stream=stream.name, notes=[stream.note] if stream.note else [])

    def lost(self, reason: str) -> None:
        """Take note of why nothing comes."""
        if not self._ready and not self.daemon.again:
            self.refusal = Unreachable(reason)
            return
        self._start()
        if not self._away:
            self._away_since = time.monotonic()
            soon = self._away_since - self._said_lost < STATE_EVERY  # it is to wash no hole away
            self._state = self.daemon.log.mention if soon else self.say
            self._said_lost = self._said_lost if soon else self._away_since
            self._state("stream lost", why=reason)
        self._away = reason

    def reset(self, reason: str) -> None:
        """Take note that the stream is another, or not what it was."""
        known = self._at.sequence if self._at else 0
        for copy in self.copies:
            copy.begin_again()
        self.say("stream reset", reason=reason, known=known)

    def came(self, taken: list[Taken]) -> None:
        """Take messages."""
        self._waiting.append(deque(taken))
        self._work()

    # -- what comes -----------------------------------------------------------------------------

    def _work(self) -> None:
        """Take what waits, as far as that can be written."""
        waiting = self._waiting
        while waiting:
            while waiting[0]:
                if not self._take(waiting[0][0]):
                    self._retry_timer.at(self.loop.now() + RETRY_AFTER)
                    return
                self._at = waiting[0].popleft().position
            waiting.popleft()
            self._pull.done()
        full = False
        for copy in self.copies:
            full |= not copy.landing.flush()
            copy.acks.in_time()
        if full:
            self._retry_timer.at(self.loop.now() + RETRY_AFTER)
        if self._note_timer.when == float("inf"):
            self._note_timer.at(self.loop.now() + NOTE_EVERY)

    def _take(self, taken: Taken) -> bool:
        """Take a message; False if that can't be now."""
        self._pending = taken.pending
        try:
            message = decode(taken.headers, taken.payload)
            copy = self.copies.of(taken.subject)
        except (ValueError, NotTaken) as error:
            self._pass_over(taken, str(error))
            return True
        except NOT_NOW as error:
            self._hold((isinstance(error, OSError) and error.strerror) or str(error))
            return False
        try:
            done = copy.take(taken.subject, message)
        except NotInOrder as error:
            self._pass_over(taken, str(error))
            done = True
        if message.sent and taken.came:
            copy.clock.hear(message.sent, taken.came)
        self._hold("" if done else copy.paused)
        return done

    def _hold(self, reason: str) -> None:
        if reason and not self._held:
            self.say("held up", reason=reason)
        self._held = reason

    def _pass_over(self, taken: Taken, why: str) -> None:
        self._foreign += 1
        self._not_taken = f"{taken.subject[:200]}: {why}"
        if self._state_timer.when == float("inf"):
            if not self._stated:
                self._state_foreign()
            self._state_timer.at(self.loop.now() + STATE_EVERY)

    def _state_foreign(self) -> None:
        if self._foreign > self._stated:
            count, self._stated = self._foreign - self._stated, self._foreign
            sequence = self._at.sequence if self._at else 0
            self.say("messages not taken", messages=count, after=sequence, last=self._not_taken)

    def _settled(self) -> None:
        """Take note that a copy has settled something; note how far all have come, if it is time."""
        if self._due is not None:
            position, owed = self._due
            if all(copy.landing.settled >= offset or copy.landing.spool != of for copy, offset, of in owed):
                with contextlib.suppress(OSError):  # a full disk: the next time
                    positions.save(self.daemon.folder, position, self.daemon.disk)
                    self._noted = position
                self._due = None
        for copy in self.copies:
            copy.acks.in_time()

    def _note(self) -> None:
        """Note how far the stream is read, once all that is settled."""
        self._note_timer.off()
        if self._due is None and self._at is not None and self._at != self._noted:
            owed = [(copy, copy.landing.offset, copy.landing.spool) for copy in self.copies]
            self._due = self._at, owed
        self._settled()
        if self._due is not None or self._at != self._noted:
            self._note_timer.at(self.loop.now() + NOTE_EVERY)

    # -- what others see ------------------------------------------------------------------------

    def _adopt(self, config: SubscriberConfig) -> None:
        self.copies.rotate_as(config.rotating)

    @property
    def _paused(self) -> str:
        return self._held or next((copy.paused for copy in self.copies if copy.paused), "")

    def _sums(self) -> dict[str, int]:
        facts = [copy.facts() for copy in self.copies]
        return {name: sum(one[name] for one in facts) for name in ("lines", "bytes")}

    def _changes(self) -> object:
        sequence = self._at.sequence if self._at else 0
        settled = sum(copy.landing.settled for copy in self.copies)
        return sequence, settled, self._away, self._paused, self._foreign, self._pending

    def _facts(self) -> dict[str, Any]:
        paused = self._paused
        state = "reconnecting" if self._away else "paused" if paused else "recording"
        facts = [copy.facts() for copy in self.copies]
        one = facts[0] if facts and self.config.file else {}
        last = max((fact["last_line_at"] or 0.0 for fact in facts), default=0.0)
        return {
            **one,
            **self._sums(),
            "last_line_at": last or None,
            "gaps": sum(fact["gaps"] for fact in facts),
            "state": state,
            "paused_for": self._away or paused,
            "stream": self._stream,
            "recordings": len(facts),
            "messages_behind": self._pending,
            "messages_not_taken": self._foreign,
            "not_taken": self._not_taken,
            "sequence": self._at.sequence if self._at else 0,
        }
