"""The room of strangers: a connection is nobody's until it has shown that it may send.

That is: its stream is through its handshake, and its first line is the token, where one is asked for.

Rules kept here:

- What a stranger says is in no batch, no file and no unfinished text, and is forgotten with it. Not a byte
  behind its token is read: that is the text of the sender that it becomes.
- Who has shown it by the time of its accept takes no place here: as a rule that is who may send.
- `PLACES` in all, `EACH` of them for an address (of IPv6, its /64); the oldest makes room, but not in its
  first `GRACE` seconds, nor with words that were not heard yet. Where it can't, newcomers wait in the
  listener's queue: honest ones come in bursts, too. So one has places / (newcomers a second) seconds, `GRACE`
  at least and `LONGEST` at most.
- They take no place of senders. Who says something while no sender may come in (all places are taken, the
  store takes nothing) is heard once one may, and has its whole time again then.
"""

from __future__ import annotations

import functools
from typing import Callable

from ..streams.stream import Stream
from ..system.address import site_of
from ..system.loop import Loop
from .binary import AT_MOST, no_text
from .framing import Framing
from .token import Token

#: Strangers at once, and of one address. A handshake takes 46 KiB.
PLACES, EACH = 1024, 64
HANDSHAKES = 512
#: Seconds that one may take: while all places are free, and while few are.
LONGEST, SHORTEST = 5.0, 1.0
#: Seconds that nobody takes from it.
GRACE = 0.5

#: Who comes; and of one that may send, why it goes once all is read that was accepted, empty if it stays.
Welcome = Callable[[Stream, str, str, Framing], None]
WelcomeProven = Callable[[Stream, str, str, Framing, str], None]


class Stranger:
    """One who has not shown that it may send."""

    __slots__ = ("framing", "host", "leaving", "name", "said", "since", "site", "stream")

    def __init__(self, stream: Stream, host: str, name: str, framing: Framing, since: float) -> None:
        self.stream = stream
        self.host = host
        self.name = name
        self.framing = framing
        self.site = site_of(host)
        #: When it came, or could be heard again (seconds of the loop's clock).
        self.since = since
        #: What there is of its first line.
        self.said = b""
        #: Why it has to go, and no more is accepted of it; empty while it may stay.
        self.leaving = ""


class Strangers:
    """All who are here, each until it is known what it is."""

    def __init__(
        self,
        loop: Loop,
        welcome: WelcomeProven,
        refuse: Callable[[Stream, str, str, str], None],
        is_open: Callable[[], bool],
    ) -> None:
        """`welcome` is called with who may send, `refuse` with who may not and why: it closes that one.

        `is_open` tells whether a sender may come in now.
        """
        #: What is asked for; None if nothing is.
        self.token: Token | None = None
        self._places = PLACES
        self._loop = loop
        self._welcome = welcome
        self._refuse = refuse
        self._is_open = is_open
        # The oldest first: all, and those of each site.
        self._here: dict[Stranger, None] = {}
        self._sites: dict[object, dict[Stranger, None]] = {}
        # Who said something while no sender could come in.
        self._knocking: list[Stranger] = []
        self._timer = loop.timer(self._dismiss_late)
        self._room = memoryview(bytearray(AT_MOST))

    @property
    def crowded(self) -> str:
        """Why no one more can be met for a moment; empty if one can."""
        if len(self._here) < self._places or not self._stays(next(iter(self._here))):
            return ""
        return f"{len(self._here)} strangers have just come"

    @property
    def knock(self) -> bool:
        """Tell whether some are to be heard once a sender may come in."""
        return bool(self._knocking)

    def adopt(self, token: Token | None, places: int) -> None:
        """Ask for `token` from now on, and have so many places; who has not said it so far goes."""
        if token != self.token:
            for one in self.leave():
                # Who has shown by now what was asked for is a sender like those who came before.
                why = self._hear(one) if self._is_open() else None
                self._end(one, _lacks(one) if why is None else why)
        self.token = token
        self._places = min(places, PLACES)

    def meet(self, stream: Stream, host: str, name: str, framing: Framing) -> None:
        """Hear a newcomer, and have it here if that does not tell what it is."""
        one = Stranger(stream, host, name, framing, self._loop.now())
        why = self._hear(one)
        if why is not None:
            self._end(one, why)
            return
        for there, places in ((self._sites.get(one.site, {}), EACH), (self._here, self._places)):
            if len(there) >= places and not self._stays(oldest := next(iter(there))):
                self._dismiss(oldest, "its place was needed")
                break
        self._keep(one)

    def open(self) -> None:
        """Hear those who said something while no sender could come in."""
        knocking, self._knocking = self._knocking, []
        for number, one in enumerate(knocking):
            if not self._is_open():
                self._knocking += knocking[number:]
                return
            one.since = self._loop.now()
            why = self._hear(one)
            if why is None:
                self._keep(one)
            else:
                self._end(one, why)

    def leave(self) -> list[Stranger]:
        """Return all who are here, and have none any more."""
        everybody = [*self._here, *self._knocking]
        for one in list(self._here):
            self._forget(one)
        self._knocking.clear()
        return everybody

    def proves(self, one: Stranger) -> bool:
        """Have the last word of a stranger; tell whether it may send. One that may not is refused."""
        one.stream.refuse()  # what it says from now on it can't believe delivered
        why = self._hear(one)
        if why != "":
            self._refuse(one.stream, one.host, one.name, why or _lacks(one))
        return why == ""

    def _hear(self, one: Stranger) -> str | None:
        """Return why a stranger may not send, empty if it may; None while that is not known."""
        stream, token = one.stream, self.token
        try:
            while token is not None or stream.shaking:
                wanted = token.wants(one.said) if token is not None else 0
                if token is not None and not wanted:
                    return "" if token.is_in(one.said) else self._what(one)
                count = stream.receive_into(self._room[:wanted])
                if not count and (wanted or stream.shaking):
                    return _lacks(one)
                one.said += self._room[:count]
        except (BlockingIOError, InterruptedError):
            return "" if token is None and not stream.shaking else None
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _what(self, one: Stranger) -> str:
        """Return what one is that said something else; what is no text is told so."""
        try:
            one.said += self._room[: one.stream.receive_into(self._room)]
        except OSError:
            pass  # there is no more of it
        found = no_text(one.said)
        if found is None:
            return "wrong token"
        one.stream.answer(found.answer)
        return found.why

    def _on_ready(self, one: Stranger) -> None:
        if not self._is_open():
            self._forget(one)
            self._knocking.append(one)
            return
        why = self._hear(one)
        if why is not None:
            self._forget(one)
            self._end(one, why)

    def _end(self, one: Stranger, why: str) -> None:
        """Let a stranger in, or with a reason, have it refused."""
        if why:
            self._refuse(one.stream, one.host, one.name, why)
        else:
            self._welcome(one.stream, one.host, one.name, one.framing, one.leaving)

    def _dismiss(self, one: Stranger, why: str = "") -> None:
        """Have one go; what was accepted of it by now counts, for it may believe that delivered."""
        self._forget(one)
        found = self._hear(one)  # who has shown it by now stays
        if found is None:
            one.leaving = why or "came too late"
            one.stream.refuse()
            found = self._hear(one)
        if found is None:
            found = f"{_lacks(one)}, and {why}" if why else _lacks(one)
        if found or self._is_open():
            self._end(one, found)
        else:
            self._knocking.append(one)

    def _stays(self, one: Stranger) -> bool:
        """Tell whether one can't make room yet."""
        return self._loop.now() - one.since < GRACE or one.stream.unread() > 0

    def _keep(self, one: Stranger) -> None:
        self._here[one] = None
        self._sites.setdefault(one.site, {})[one] = None
        self._loop.watch(one.stream.fileno(), functools.partial(self._on_ready, one))
        self._timer.at(self._due())

    def _forget(self, one: Stranger) -> None:
        self._loop.unwatch(one.stream.fileno())
        del self._here[one]
        there = self._sites[one.site]
        del there[one]
        if not there:
            del self._sites[one.site]

    def _due(self) -> float:
        """Return when the oldest has had its time: less than `LONGEST` while places are short."""
        patience = max(SHORTEST, LONGEST * (1 - len(self._here) / self._places))
        return next(iter(self._here)).since + patience

    def _dismiss_late(self) -> None:
        while self._here:
            due = self._due()
            if due > self._loop.now():
                self._timer.at(due)
                return
            self._dismiss(next(iter(self._here)))


def _lacks(one: Stranger) -> str:
    """Return what one has not shown."""
    return "made no handshake" if one.stream.shaking else "said no token"
