"""The recorder: senders of a LAN, whole lines, one file. Read `run` from top to bottom."""

from __future__ import annotations

import shutil
import time
from typing import Any, Sequence

from .address import Network, parse_network
from .daemon import COUNTERS, Daemon
from .errors import SocatUnusable
from .forks import SocatListener
from .intake import Intake, Limits
from .journal import Journal
from .kernel import LINUX
from .limits import most_senders, read, warnings
from .listener import TcpListener
from .sink import Sink, facts_of
from .socat import Door, cannot
from .stats import Publisher

#: Seconds that a stop may take to bring in what senders have sent.
DRAIN_WITHIN = 10.0


class Recorder:
    """One recording on this machine."""

    def __init__(self, daemon: Daemon) -> None:
        config = daemon.config
        self.daemon = daemon
        self.loop = daemon.loop
        self.port = int(config["port"])
        self.bind = str(config["bind"])
        self.allow = [parse_network(text) for text in config["allow"]]
        self.system = read()
        self.sink = Sink(str(config["file"]), daemon.log.say)
        self.journal = Journal(self.loop, daemon.log)
        self.with_socat = use_socat(str(config["listener"]), bool(config["stamp"]), self.bind, self.allow)
        places = int(config.get("max_senders") or most_senders(self.system, self.with_socat))
        self.limits = Limits(
            partial_after=float(config["partial_after"]),
            stamp=bool(config["stamp"]),
            allow=self.allow,
            senders=places,
            # One address can't take every place: a flood from one host leaves room for the others.
            senders_per_address=int(config.get("max_per_address") or max(1, places * 9 // 10)),
        )
        self.intake = Intake(self.loop, self.sink, self.journal, self.limits)
        self.builtin: TcpListener | None = None
        self.socat: SocatListener | None = None
        self.publisher = Publisher(self.loop, daemon.path(COUNTERS), self._changes, self._facts)

    def run(self) -> None:
        """Start, record until told to stop, drain, leave. Raises EngineError if it can't start."""
        self.start()
        while not self.daemon.stopping:
            self.loop.turn()
        self.stop()

    def start(self) -> None:
        """Open the file, listen, and say so."""
        self.sink.open()
        notes = self._listen()
        self.daemon.listen_for_stop()
        name = "socat" if self.socat else "builtin"
        self.daemon.announce(listener=name)
        self.publisher.publish()
        self.daemon.log.say("started", listener=name, port=self.port, file=self.sink.path)
        self.daemon.ready(listener=name, notes=notes + warnings(self.system, self.socat is not None))

    def _listen(self) -> list[str]:
        """Start the listener; return what the user should know of it."""
        if self.with_socat:
            door = Door(self.bind, self.port, self.allow, self.limits.senders)
            program = shutil.which("socat") or "socat"
            self.socat = SocatListener(
                self.loop, self.intake, program, door, self.daemon.folder, self.daemon.log.say
            )
            self.socat.start()
            if self.socat.shares_queue:
                return []
            if self.daemon.config["listener"] == "socat":
                return [
                    "This system does not let reclog share socat's queue: a stop may lose lines of senders "
                    "that connect at that moment; --listener builtin loses none."
                ]
            self.socat.close()
            self.socat = None
        self.builtin = TcpListener(self.bind, self.port)
        self.intake.serve(self.builtin)
        return []

    def stop(self) -> None:
        """Close the queue to newcomers, bring in what was sent, write it, end."""
        began = time.monotonic()
        until = began + DRAIN_WITHIN
        self.daemon.log.say("stopping", senders=self.intake.senders)
        drained = True
        if self.socat is not None:
            drained = self.socat.drain(until)
        if self.builtin is not None:
            self.builtin.refuse_newcomers()
            drained = self.intake.drain(self.builtin, until)
            drained = self.intake.drain_senders(until) and drained
        # What was read is written even if the time is up, should the disk have room by now.
        written = self.intake.hand_on_all(max(until, time.monotonic() + 0.1))
        senders, unread = self.intake.left_behind()
        if self.socat is not None:
            unread += self.socat.left_behind()
            self.socat.close()
        if self.builtin is not None:
            self.builtin.close()
        self.journal.write()
        left = unread + (0 if written else self.sink.queued)
        self.daemon.log.say(
            "stopped",
            lines=self.sink.lines,
            bytes=self.sink.bytes,
            drained=drained and written,
            left_bytes=left,
            left_senders=senders,
            reason=self.sink.paused,
            seconds=round(time.monotonic() - began, 3),
        )
        self.sink.close()

    def _changes(self) -> object:
        sink, intake = self.sink, self.intake
        return sink.bytes, intake.connects, intake.senders, sink.paused, intake.full, self._down()

    def _down(self) -> str:
        return self.socat.down if self.socat is not None else ""

    def _facts(self) -> dict[str, Any]:
        reason = self.sink.paused or self._down()
        return {
            **facts_of(self.sink),
            "state": "paused" if reason else "recording",
            "paused_for": reason,
            "senders": self.intake.senders,
            "connects": self.intake.connects,
            "refused": self.intake.refused,
            "splits": self.intake.splits,
            "listener_full": self.intake.full,
            "reconnects": self.socat.restarts if self.socat is not None else 0,
        }


def use_socat(wanted: str, stamp: bool, bind: str, allow: Sequence[Network]) -> bool:
    """Tell whether socat is the listener. Raises SocatUnusable if it is wanted and can't be.

    `auto` takes socat where it is installed and can do what is asked: it passes no sender's address on,
    checks one range only, and its life is tied to ours on Linux alone.
    """
    if wanted == "builtin":
        return False
    there = LINUX and shutil.which("socat") is not None
    if wanted == "auto":
        return there and not cannot(stamp, allow, bind)
    if not there:
        raise SocatUnusable(
            "socat is not installed: apt-get install socat, or use --listener builtin."
            if LINUX
            else "The socat listener works on Linux only: use --listener builtin."
        )
    return True
