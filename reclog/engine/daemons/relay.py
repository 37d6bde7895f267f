"""The relay: the daemon on the tremplin. Senders' whole lines into the spool, the spool to the collector."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from ..errors import EngineError, PortTaken
from ..feed.end import End
from ..feed.owner import Owner
from ..feed.server import Feed
from ..records.events import timestamp
from ..records.names import FEED, OWNER, SPOOL, STOPPING
from ..sources.tcp import PATIENCE
from ..stores.spool import Spool, SpoolUnusable
from ..system.address import everywhere
from ..system.aside import Aside
from ..system.disk import DISK
from .asking import DRAIN_WITHIN
from .config import Listening, RelayConfig
from .daemon import Daemon
from .entrance import Entrance

SYNC_EVERY = 1.0
#: Seconds between two attempts to get a port that somebody holds.
PORT_AGAIN = 1.0
#: Seconds that the owner has to take the rest after a stop.
OWNER_WITHIN = 3600.0


class SpoolError(EngineError):
    """The spool can't be used."""

    cause = "spool"


class Relay:
    """One relay of one account on one host."""

    def __init__(self, daemon: Daemon, config: RelayConfig) -> None:
        self.daemon = daemon
        self.loop = daemon.loop
        say, disk = daemon.log.say, daemon.disk
        self.port_out = config.port_remote_out
        self.spool = Spool(daemon.path(SPOOL), config.spool_max, say, disk, beside=lambda: Aside(self.loop))
        self.entrance = Entrance(self.loop, self.spool, _listening(config), daemon.folder, daemon.log)
        self.owner = Owner(daemon.path(OWNER), say, disk)
        note = self.entrance.journal.note
        self.feed = Feed(
            self.loop, self.spool, config.secret, self.owner, say, note, self._facts, self._asked_to_stop
        )
        # Whose counters they are: a collector tells by it that they have begun anew.
        self._counts_since = timestamp()
        #: Why senders can't connect; empty when they can.
        self.waiting_for = ""
        self._stop_asked = False
        self._notes: list[str] = []
        self._sync_timer = self.loop.timer(self._sync)
        self._port_timer = self.loop.timer(self._listen)
        daemon.show(self._changes, self._facts, self._adopt)

    def run(self) -> None:
        """Start, relay until told to stop, drain, leave. Raises EngineError if it can't start."""
        self.start()
        while not self.daemon.stopping and not self._stop_asked:
            self.loop.turn()
        self.stop()

    def start(self) -> None:
        """Open the spool, serve the feed, and only then listen to senders: who can send is recorded."""
        if os.path.exists(self.daemon.path(STOPPING)):
            self._stop_asked = True  # it was stopping when it died: it only gives the rest away
        try:
            jumps = self.spool.open()
        except SpoolUnusable as error:
            raise SpoolError(str(error)) from error
        for jump in jumps:
            self.daemon.log.say("gap", reason="power lost", start=jump.start, end=jump.end)
        self.feed.serve(End(self.daemon.path(FEED), self.port_out))
        if not self._stop_asked:
            # The first time a person waits for an answer; later nobody does, and we try for ever.
            self._listen(first_time=not self.daemon.again)
        listener = self.entrance.listener
        self.daemon.listen_for_stop()
        self.daemon.announce(listener=listener, spool=self.spool.id)
        self.daemon.counters.write()
        self._sync()
        self.daemon.log.say("started", port=self.entrance.port, spool=self.spool.id, end=self.spool.end)
        self.daemon.ready(
            listener=listener,
            spool=self.spool.id,
            owner=self.owner.name,
            waiting_for=self.waiting_for,
            notes=self._notes,
        )

    def stop(self) -> None:
        """Listen no more, spool what was sent. If the owner asked for it, give all away and leave nothing."""
        drained = self.entrance.drain(self.loop.now() + DRAIN_WITHIN)
        self._close_entrance()
        if self._stop_asked:
            self._give_the_rest()
        self.daemon.stopped(
            lines=self.spool.batch.lines,
            bytes=self.spool.batch.bytes,
            drained=drained.complete,
            left_bytes=drained.left_bytes,
            left_senders=drained.left_senders,
            delivered=self.feed.finished,
        )
        self.feed.close()
        if self.feed.finished:
            self.spool.remove()
            for name in (OWNER, STOPPING):
                DISK.remove(self.daemon.path(name))
        else:
            self.spool.close()
        self.daemon.keep_config = not self.feed.finished

    def _close_entrance(self) -> None:
        self._port_timer.off()
        self.entrance.close()

    def _give_the_rest(self) -> None:
        """Send what is left and wait for its ack; a SIGTERM, or an owner who stays away, ends that."""
        self.feed.ending = True
        until = self.loop.now() + OWNER_WITHIN
        while not self.feed.finished and not self.daemon.stopping and self.loop.now() < until:
            self.loop.turn(at_most=1.0)

    def _asked_to_stop(self) -> None:
        if not self._stop_asked:
            # On disk first: whoever starts us again must know that we are not to listen any more.
            try:
                with open(self.daemon.path(STOPPING), "w", encoding="ascii") as file:
                    file.write(timestamp())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:  # a full disk: the name alone says it
                self.daemon.log.say("stop not noted", reason=error.strerror or str(error))
            self.daemon.log.say("asked to stop", collector=self.owner.name)
            self._stop_asked = True

    def _listen(self, first_time: bool = False) -> None:
        try:
            self._notes = self.entrance.open(patience=PATIENCE if first_time else 0.0)
        except PortTaken as error:
            if first_time:
                raise
            if not self.waiting_for:
                self.daemon.log.say("port is taken", port=self.entrance.port)
            self.waiting_for = str(error)
            self._port_timer.at(self.loop.now() + PORT_AGAIN)
        else:
            if self.waiting_for:
                self.daemon.log.say("port is free again", port=self.entrance.port)
            self.waiting_for = ""

    def _adopt(self, config: RelayConfig) -> None:
        self.entrance.adopt(_listening(config))
        self.spool.adopt(config.spool_max)

    def _sync(self) -> None:
        self._sync_timer.at(self.loop.now() + SYNC_EVERY)
        self.spool.sync_beside()
        self.spool.runs.keep(self.spool.acked)
        self.owner.save_again()

    def _changes(self) -> object:
        spool = self.spool
        here = spool.end, spool.acked, spool.paused, self.waiting_for, self.feed.connected
        return here, self.entrance.changes()

    def _facts(self) -> dict[str, Any]:
        spool = self.spool
        reason = spool.paused or self.waiting_for or self.entrance.down
        return {
            **spool.facts(),
            "state": "paused" if reason else "recording",
            "paused_for": reason,
            "end": spool.end,
            "acked": spool.acked,
            "spool_bytes": spool.size,
            "crc": spool.crc,
            "crc_from": spool.begun,
            **self.entrance.facts(),
            "counts_since": self._counts_since,
            "owner": self.owner.name,
            "connected": self.feed.connected,
            "stopping": self._stop_asked,
        }


def _listening(config: RelayConfig) -> Listening:
    """Return how to listen on a host that isn't ours: it may have no IPv6, and nothing but python3."""
    listening = config.listening
    listener = "builtin" if listening.listener == "auto" else listening.listener
    bind = everywhere() if listening.bind == "::" else listening.bind
    return dataclasses.replace(listening, listener=listener, bind=bind)
