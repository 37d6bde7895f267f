"""The senders' way in: the sources that they come from, and the intake behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import EngineError, ListenerUnusable
from ..intake.framing import DIALLED, FRAMINGS
from ..intake.intake import Intake
from ..intake.roster import Limits
from ..intake.store import Store
from ..intake.strangers import HANDSHAKES, PLACES
from ..intake.token import Token
from ..records.events import EventLog
from ..records.journal import Journal
from ..sources.capacity import Capacity, most_senders, shortages
from ..sources.choice import choose
from ..sources.dial import Dialled, sender_name
from ..sources.source import Asked, Source, SourceFacts
from ..sources.tcp import PATIENCE
from ..sources.udp import Udp
from ..system.address import named_address, parse_network
from ..system.loop import Loop
from .config import Listening

if TYPE_CHECKING:
    from ..streams.tls import Secured

#: Seconds of a stop at most for bytes that are on their way and not acknowledged yet, and the silence after
#: which there are none.
ARRIVE_WITHIN, QUIET_AFTER = 0.5, 0.05
#: Seconds for datagrams that have come, once none may any more.
END_WITHIN = 0.5
#: Seconds that a start waits for devices that are dialled to answer.
ANSWER_WITHIN = 1.5


class Drained(NamedTuple):
    """How a stop went."""

    #: All that senders had sent is in the store, and written.
    complete: bool
    left_bytes: int
    left_senders: int


class Entrance:
    """Let senders in, hand whole messages to a store, and bring everything in at the end."""

    def __init__(self, loop: Loop, store: Store, config: Listening, folder: str, log: EventLog) -> None:
        """Raises ListenerUnusable if what is asked can't be done."""
        self._loop = loop
        self._store = store
        self._folder = folder
        self._log = log
        self.port = config.port
        self._config = config
        self._capacity = Capacity.read()
        self._secured = _secured(loop, config)
        self._kinds = choose(config.listener, Asked.of(config, config.port)) if config.listens else []
        #: The first of them is the one for streams, if one listens.
        self.sources: list[Source] = []
        self._dialled: list[Dialled] = []
        self._udp: Udp | None = None
        self.journal = Journal(loop, log)
        self.intake = Intake(loop, store, self.journal, self._limits(config))

    @property
    def listener(self) -> str:
        """The name of what accepts the senders, or is to; empty if nothing is."""
        if not self._kinds:
            return ""
        return self.sources[0].facts().listener if self.sources else self._kinds[0].NAME

    @property
    def down(self) -> str:
        """Why nobody listens for now; empty while somebody does."""
        return next((facts.down for facts in self._facts_of_sources() if facts.down), "")

    @property
    def restarts(self) -> int:
        """How often sources were started again."""
        return sum(facts.restarts for facts in self._facts_of_sources())

    def adopt(self, config: Listening) -> None:
        """Have other limits, and another certificate, from now on.

        Raises ListenerUnusable or TlsUnusable, and has the old ones then.
        """
        kind = type(self.sources[0]) if self.sources else self._kinds[0]
        limits, known = self._limits(config), self._limits(self._config)
        if not kind.ABILITIES.changes and limits._replace(partial_after=known.partial_after) != known:
            raise ListenerUnusable(f"while {kind.NAME} listens only --partial-after changes")
        if self._secured is not None and config.fingerprint != self._config.fingerprint:
            self._secured.load(config.tls_cert, config.tls_key)
        self._config = config
        if not config.hears_datagrams:
            self._end_datagrams()
        self.intake.adopt(limits)
        if self.sources and self._kinds and config.hears_datagrams and self._udp not in self.sources:
            self._receive(Asked.of(config, config.port)._replace(framing=FRAMINGS[config.framing]))
            self._log.say("datagrams again", udp=self._udp in self.sources)

    def _end_datagrams(self) -> None:
        """Receive none any more: those that came before are recorded."""
        if self._udp is not None and self._udp in self.sources:
            self._udp.refuse_newcomers()
            self._udp.drain(self._loop.now() + END_WITHIN)
            self._udp.left_behind()  # counted as dropped
            self._udp.close()
            self.sources.remove(self._udp)
            self._log.say("no datagrams", reason="who sends one can't say a token")

    def _limits(self, config: Listening) -> Limits:
        process_each = any(kind.ABILITIES.process_each for kind in self._kinds[:1])
        most = most_senders(self._capacity, process_each)
        token = Token.parse(config.token) if config.token else None
        # Of few descriptors strangers get a part.
        wanted = HANDSHAKES if config.tls else PLACES if token is not None else 0
        strangers = min(wanted, most // 4)
        places = config.max_senders or most - strangers
        return Limits(
            partial_after=config.partial_after,
            stamp=config.stamp,
            allow=[parse_network(text) for text in config.allow],
            senders=places,
            # No cap of its own unless asked for: who is over it is closed, where over `senders` one waits.
            senders_per_address=config.max_per_address or places,
            names={sender_name(address): name for address, name in map(named_address, config.names)},
            token=token,
            strangers=max(1, strangers),
        )

    def open(self, patience: float = PATIENCE) -> list[str]:
        """Let senders in; return what the user should know.

        Raises PortTaken, AddressUnusable, ListenerUnusable.
        """
        limits = self._limits(self._config)
        asked = Asked.of(self._config, self._config.port)._replace(
            places=limits.senders, framing=FRAMINGS[self._config.framing]
        )
        if self._secured is not None:
            asked = asked._replace(carry=self._secured.carry)
        notes = self._listen(asked, patience) + self._receive(asked) if self._kinds else []
        return notes + self._dial()

    def _listen(self, asked: Asked, patience: float) -> list[str]:
        for kind in self._kinds:
            source = kind(self._loop, self.intake, asked, self._folder, self._log.say)
            source.start(patience)
            # One that keeps less than is promised serves only where no other can.
            if not source.loses or kind is self._kinds[-1]:
                break
            source.close()
        self.sources.append(source)
        notes = [source.loses] if source.loses else []
        return notes + shortages(self._capacity, source.ABILITIES.process_each)

    def _receive(self, asked: Asked) -> list[str]:
        """Receive datagrams, too, whoever listens for streams: where that can't be, it is a note."""
        if not self._config.hears_datagrams:
            return []
        udp = self._udp or Udp(self._loop, self.intake, asked, self._folder, self._log.say)
        try:
            udp.start(0)
        except EngineError as error:
            self._log.say("no datagrams", reason=str(error))
            return [f"Datagrams are not recorded: {error}"]
        self._udp = udp
        self.sources.append(udp)
        return udp.shortages()

    def _dial(self) -> list[str]:
        """Dial each device, and say which of them did not answer at once: they are tried again for ever."""
        framing, cwd = DIALLED[self._config.framing], self._config.dial_in
        for address in self._config.dial:
            one = Dialled(self._loop, self.intake, address, framing, cwd, self._log.say)
            self.sources.append(one)
            self._dialled.append(one)
            one.start(0)
        until = self._loop.now() + ANSWER_WITHIN
        while self._loop.now() < until and any(one.contact.open for one in self._dialled):
            self._loop.turn(at_most=0.02)
        return [one.contact.trouble for one in self._dialled if one.contact.trouble]

    def drain(self, until: float) -> Drained:
        """Close the queues to newcomers, bring in and write what was sent, by `until` (the loop's clock)."""
        for source in self.sources:
            source.refuse_newcomers()
        self._let_arrive()
        # The listener last: then no child of ours is left but its own.
        emptied = [source.drain(until) for source in reversed(self.sources)]
        complete = self.intake.drain_senders(until) and all(emptied)
        # What was read is written even if the time is up, should the disk have room by now.
        written = self.intake.hand_on_all(max(until, self._loop.now() + 0.1))
        senders, left = self.intake.left_behind()
        left += sum(source.left_behind() for source in self.sources)
        return Drained(complete and written, left + (0 if written else self._store.batch.queued), senders)

    def close(self) -> None:
        """Let nobody in any more; who is still connected is cut off."""
        while self.sources:
            self.sources.pop().close()
        self.journal.write()

    def changes(self) -> object:
        """Return what is different when `facts` are; cheap."""
        intake, roster = self.intake, self.intake.roster  # each turn: what `facts` are made of, and no more
        senders = roster.connects, roster.refused, intake.senders, intake.splits, intake.datagrams.count
        contacts = [one.contact for one in self._dialled]
        return senders, intake.gate.full_at, intake.made_room, self._facts_of_sources(), contacts

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        intake = self.intake
        return {
            "listener": self.listener,
            "senders": intake.senders,
            "connects": intake.roster.connects,
            "refused": intake.roster.refused,
            "no_text": intake.roster.no_text,
            "splits": intake.splits,
            "listener_full": intake.gate.full,
            "full_since": intake.gate.full_at,
            "made_room": intake.made_room,
            "dialled": [one.told() for one in self._dialled],
            "udp": self._udp in self.sources,
            "datagrams": intake.datagrams.count,
            "datagrams_dropped": self._udp.dropped() if self._udp is not None else 0,
        }

    def _facts_of_sources(self) -> list[SourceFacts]:
        return [source.facts() for source in self.sources]

    def _let_arrive(self) -> None:
        """Read on for a moment: who sent a lot and closed has no way left to learn that a part was cut."""
        intake, now = self.intake, self._loop.now
        began = now()
        passed_on = any(source.ABILITIES.process_each for source in self.sources)
        while now() - began < ARRIVE_WITHIN and now() - max(began, intake.last_read_at) < QUIET_AFTER:
            before = intake.roster.connects
            self._loop.turn(at_most=QUIET_AFTER / 5)
            if not intake.senders and intake.roster.connects == before and not passed_on:
                return  # nobody is connected, and nobody waits in the queue


def _secured(loop: Loop, config: Listening) -> Secured | None:
    """Return what TLS connections have in common; None where there are none. Raises TlsUnusable."""
    if not config.tls:
        return None
    try:
        from ..streams.tls import Secured  # here: `ssl` takes 5 MiB and 20 ms
    except ImportError as error:
        raise ListenerUnusable("--tls needs a Python with ssl: this one has none.") from error
    return Secured(loop, config.tls_cert, config.tls_key, config.tls_clients)
