"""The senders' way in: a listener, socat's or our own, and the intake behind it."""

from __future__ import annotations

import shutil
import time
from typing import Any, NamedTuple, Sequence

from ..errors import SocatUnusable
from ..intake.intake import Intake, Limits, Store
from ..records.events import EventLog
from ..records.journal import Journal
from ..sources.capacity import most_senders, read, warnings
from ..sources.forks import SocatListener
from ..sources.socat import Door, cannot
from ..sources.tcp import PATIENCE, TcpListener
from ..system.address import Network, parse_network
from ..system.kernel import LINUX
from ..system.loop import Loop
from .config import Listening

#: Seconds that a stop may take to bring in what senders have sent.
DRAIN_WITHIN = 10.0
#: Of these, seconds at most for bytes that are on their way and not acknowledged yet, and the silence after
#: which there are none.
ARRIVE_WITHIN, QUIET_AFTER = 0.5, 0.05


class Drained(NamedTuple):
    """How a stop went."""

    #: All that senders had sent is in the store, and written.
    complete: bool
    left_bytes: int
    left_senders: int


class Entrance:
    """Listen on one port, hand whole lines to a store, and bring everything in at the end."""

    def __init__(self, loop: Loop, store: Store, config: Listening, folder: str, log: EventLog) -> None:
        self._loop = loop
        self._store = store
        self._folder = folder
        self._log = log
        self._wanted = config.listener
        self._allow = [parse_network(text) for text in config.allow]
        self._bind = config.bind
        per_address = config.max_per_address
        stamp = config.stamp
        self._with_socat = use_socat(self._wanted, stamp, self._bind, self._allow, per_address)
        self._system = read()
        self._socat: SocatListener | None = None
        self._builtin: TcpListener | None = None
        self.port = config.port
        places = config.max_senders or most_senders(self._system, self._with_socat)
        self._limits = Limits(
            partial_after=config.partial_after,
            stamp=config.stamp,
            allow=self._allow,
            senders=places,
            # No cap of its own unless asked for: who is over it is closed, where over `senders` one waits.
            senders_per_address=per_address or places,
        )
        self.journal = Journal(loop, log)
        self.intake = Intake(loop, store, self.journal, self._limits)

    @property
    def listener(self) -> str:
        """`socat` or `builtin`: who accepts the senders."""
        return "socat" if self._socat is not None else "builtin"

    @property
    def down(self) -> str:
        """Why nobody listens for now; empty while somebody does."""
        return self._socat.down if self._socat is not None else ""

    @property
    def restarts(self) -> int:
        """How often socat was started again."""
        return self._socat.restarts if self._socat is not None else 0

    def open(self, patience: float = PATIENCE) -> list[str]:
        """Listen; return what the user should know. Raises PortTaken, AddressUnusable, SocatUnusable."""
        notes: list[str] = []
        if self._with_socat:
            program = shutil.which("socat") or "socat"
            door = Door(self._bind, self.port, self._allow, self._limits.senders)
            socat = SocatListener(self._loop, self.intake, program, door, self._folder, self._log.say)
            socat.start(patience)
            if socat.shares_queue or self._wanted == "socat":
                self._socat = socat
            else:
                # A stop could not empty socat's queue on this system; our own listener keeps that promise.
                socat.close()
            if self._wanted == "socat" and not socat.shares_queue:
                notes.append(
                    "This system does not let reclog share socat's queue: a stop may lose lines of senders "
                    "that connect at that moment; --listener builtin loses none."
                )
        if self._socat is None:
            self._builtin = TcpListener(self._bind, self.port, patience)
            self.intake.serve(self._builtin)
        return notes + warnings(self._system, self._socat is not None)

    def drain(self, until: float) -> Drained:
        """Close the queue to newcomers, bring in what was sent and write it, by `until` (monotonic)."""
        complete = True
        if self._socat is not None:
            self._socat.refuse_newcomers()
        if self._builtin is not None:
            self._builtin.refuse_newcomers()
        self._let_arrive()
        if self._socat is not None:
            complete = self._socat.drain(until)
        if self._builtin is not None:
            complete = self.intake.drain(self._builtin, until)
            complete = self.intake.drain_senders(until) and complete
        # What was read is written even if the time is up, should the disk have room by now.
        written = self.intake.hand_on_all(max(until, time.monotonic() + 0.1))
        senders, left = self.intake.left_behind()
        if self._socat is not None:
            left += self._socat.left_behind()
        return Drained(complete and written, left + (0 if written else self._store.batch.queued), senders)

    def _let_arrive(self) -> None:
        """Read on for a moment: who sent a lot and closed has no way left to learn that a part was cut."""
        now = began = time.monotonic()
        while now - began < ARRIVE_WITHIN and now - max(began, self.intake.last_read_at) < QUIET_AFTER:
            before = self.intake.connects
            self._loop.turn(at_most=QUIET_AFTER / 5)
            now = time.monotonic()
            if not self.intake.senders and self.intake.connects == before and self._builtin is not None:
                return  # nobody is connected, and nobody waits in the queue

    def close(self) -> None:
        """Listen no more; who is still connected is cut off."""
        if self._socat is not None:
            self._socat.close()
            self._socat = None
        if self._builtin is not None:
            self.intake.leave(self._builtin)
            self._builtin.close()
            self._builtin = None
        self.journal.write()

    def changes(self) -> object:
        """Return what is different when `facts` are; cheap."""
        intake = self.intake
        return intake.connects, intake.refused, intake.senders, intake.full, self.down, self.restarts

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        return {
            "senders": self.intake.senders,
            "connects": self.intake.connects,
            "refused": self.intake.refused,
            "splits": self.intake.splits,
            "listener_full": self.intake.full,
        }


def use_socat(wanted: str, stamp: bool, bind: str, allow: Sequence[Network], per_address: int = 0) -> bool:
    """Tell whether socat is the listener. Raises SocatUnusable if it is wanted and can't be.

    `auto` takes socat where it is installed and can do what is asked: it passes no sender's address on,
    checks one range only, and its life is tied to ours on Linux alone.
    """
    if wanted == "builtin":
        return False
    there = LINUX and shutil.which("socat") is not None
    reason = cannot(stamp, allow, bind, per_address)
    if wanted == "auto":
        return there and not reason
    if not there:
        raise SocatUnusable(
            "socat is not installed: apt-get install socat, or use --listener builtin."
            if LINUX
            else "The socat listener works on Linux only: use --listener builtin."
        )
    if reason:
        raise SocatUnusable(f"{reason}: use --listener builtin.")
    return True
