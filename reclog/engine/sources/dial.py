"""Devices that we dial: one that listens, a serial line, a program. Each is a source of one sender.

Rules kept here:

- A device is tried again for ever, with pauses that grow to `AGAIN` seconds.
- What is not heard meanwhile is a hole: each loss and each return is stated, with how long that was. One that
  comes and goes all the time is stated once in `STATED_EVERY` where holes are, always where strangers are.
- Its sender is an ordinary one that nobody turns away: it was our wish to hear it.
"""

from __future__ import annotations

from typing import Any, Callable, Hashable, NamedTuple

from ..intake.framing import Framing
from ..intake.intake import Intake
from ..records.events import Say, timestamp
from ..streams.stream import Stream
from ..system.backoff import STEADY_AFTER, Backoff
from ..system.loop import Loop
from .commands import Command, Socat
from .connecting import Connecting
from .dialler import Dialler
from .serial import Serial
from .source import Source, SourceFacts

#: By how its addresses begin.
DIALLERS: dict[str, type[Dialler]] = {"tcp://": Connecting, "/": Serial, "exec:": Command, "socat:": Socat}
#: Seconds at most between two attempts, but for jitter: what is back is heard within 5.
AGAIN = 4.0
#: Seconds for which a device that comes and goes fills the log of holes with no other event.
STATED_EVERY = 60.0
#: Characters of a sender's name.
LONGEST_NAME = 80


def dialler_of(address: str) -> type[Dialler]:
    """Return what dials an address. Raises ValueError if nothing does."""
    for beginning, kind in DIALLERS.items():
        if address.startswith(beginning):
            return kind
    raise ValueError("give tcp://HOST:PORT, /dev/LINE@BAUD, exec:COMMAND or socat:ADDRESS")


def named(address: str) -> Hashable:
    """Return what an address names: the same for two that mean one device. Raises ValueError."""
    return dialler_of(address).named(address)


def sender_name(address: str) -> str:
    """Return a device's address as its sender's name: printable ASCII, without a space, and not too long."""
    name = "".join(c if "!" <= c <= "~" else "_" for c in address)
    return name[:LONGEST_NAME]


class Contact(NamedTuple):
    """How it stands with a device."""

    address: str
    connected: bool
    #: Since when, as an event's time.
    since: str
    #: Why it is not connected; empty while it is, or before the first attempt has ended.
    why: str

    @property
    def open(self) -> bool:
        """Tell whether the first attempt has not ended."""
        return not self.connected and not self.why

    @property
    def trouble(self) -> str:
        """Why it is not connected, for a person to read; empty if it is."""
        if self.connected:
            return ""
        return f"{self.address} is not connected ({self.why or 'no answer yet'}): it is tried again for ever."


class Dialled(Source):
    """A device that we dial, and its sender while it is connected."""

    NAME = "dialled"

    def __init__(
        self, loop: Loop, intake: Intake, address: str, framing: Callable[[], Framing], cwd: str, say: Say
    ) -> None:
        """`cwd` is where a program is started."""
        self._loop = loop
        self._intake = intake
        self._framing = framing
        self._say = say
        self._dialler = dialler_of(address)(loop, address, cwd, self._reached, self._lost)
        self._backoff = Backoff(AGAIN)
        self._timer = loop.timer(self._dial)
        self._given_up = False
        self._returns = 0
        # When it was last connected, or not any more (seconds of the loop's clock); how that is stated.
        self._since = loop.now()
        self._stated_at = float("-inf")
        self._state: Say = say
        self.contact = Contact(address, False, timestamp(), "")

    def start(self, patience: float) -> None:
        """Dial; whether that works is seen later."""
        self._dial()

    def refuse_newcomers(self) -> None:
        """Dial no more."""
        self._given_up = True
        self._timer.off()

    def drain(self, until: float) -> bool:
        """Have a program pass on what it has, and end; False if `until` came first."""
        return self._dialler.finish(until)

    def close(self) -> None:
        """Hang up."""
        self.refuse_newcomers()
        self._dialler.close()

    def facts(self) -> SourceFacts:
        """Return how often it was lost and came back."""
        return SourceFacts(self.NAME, restarts=max(0, self._returns - 1))

    def told(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        return {**self.contact._asdict(), "name": self._name}

    def _dial(self) -> None:
        self._dialler.dial()

    def _reached(self, stream: Stream) -> None:
        address, seconds = self.contact.address, self._turned()
        self._returns += 1
        self.contact = Contact(address, True, timestamp(), "")
        self._state("device reached", device=self._name, seconds=seconds)
        self._intake.take_in(stream, sender_name(address), self._framing())

    def _lost(self, why: str) -> None:
        was = self.contact
        if was.connected:
            seconds = self._turned()
            self._backoff.lasted(seconds)
            often = self._since - self._stated_at < STATED_EVERY and seconds < STEADY_AFTER
            self._state = self._intake.note if often else self._say
            if not often:
                self._stated_at = self._since
            self.contact = Contact(was.address, False, timestamp(), why)
            if not self._given_up:
                self._state("device lost", device=self._name, why=why, seconds=seconds)
        elif was.why != why:
            self.contact = was._replace(why=why)
            state = self._intake.note if was.why else self._state
            state("device not reached", device=self._name, why=why)
        if not self._given_up:
            self._timer.at(self._loop.now() + self._backoff.pause())

    @property
    def _name(self) -> str:
        return self._intake.roster.shown("", sender_name(self.contact.address))

    def _turned(self) -> float:
        """Return the seconds since it was last connected or lost; from now on others are counted."""
        before, self._since = self._since, self._loop.now()
        return round(self._since - before, 3)
