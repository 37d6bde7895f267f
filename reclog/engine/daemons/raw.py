"""The bare sink: bytes into the file as they come; lines of different senders may mix.

It keeps the promises about bursts, stopping and who may listen, and no others.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import ListenerUnusable
from ..sources.bare import BareSource
from ..sources.capacity import Capacity, most_senders, shortages
from ..sources.source import Asked
from ..sources.tcp import PATIENCE
from ..stores.file import RecordedFile
from ..system.address import parse_network
from .asking import DRAIN_WITHIN
from .config import RecorderConfig
from .daemon import Daemon

#: Seconds between two looks at the file's size.
LOOK_EVERY = 1.0


class RawRecorder:
    """A source that writes by itself, watched."""

    def __init__(self, daemon: Daemon, config: RecorderConfig) -> None:
        listening = config.listening
        self.daemon = daemon
        self.config = config
        self.loop = daemon.loop
        self.capacity = Capacity.read()
        places = listening.max_senders or most_senders(self.capacity, process_each=True)
        allow = [parse_network(text) for text in listening.allow]
        asked = Asked(listening.bind, listening.port, allow, places=places)
        # The sink opens and locks the file as ever; here only its descriptor is used.
        log = daemon.log
        self.sink = RecordedFile(config.file, log.say)
        self.fd = self.sink.open()
        self.source = BareSource(self.loop, asked, self.fd, daemon.folder, log.say, log.mention)
        self.began_with = os.fstat(self.fd).st_size
        daemon.show(self._changes, self._facts, self._adopt)
        self._timer = self.loop.timer(self._wake)

    def run(self) -> None:
        """Start, watch until told to stop, drain, leave. Raises EngineError if it can't start."""
        self.source.start(PATIENCE)
        self.daemon.listen_for_stop(self.config.foreground_of)
        listener = self.source.facts().listener
        self.daemon.announce(listener=listener)
        self._wake()
        self.daemon.log.say("started", listener=listener, raw=True, file=self.sink.path)
        self.daemon.ready(listener=listener, notes=shortages(self.capacity, process_each=True))
        while not self.daemon.stopping:
            self.loop.turn()
        self.stop()

    def stop(self) -> None:
        """Let what waits be taken and written, end."""
        began = self.loop.now()
        self.source.refuse_newcomers()
        drained = self.source.drain(began + DRAIN_WITHIN)
        left = self.source.left_behind()
        self.source.close()
        self.daemon.stopped(
            bytes=self._bytes(),
            drained=drained,
            left_bytes=left,
            seconds=round(self.loop.now() - began, 3),
        )

    def _bytes(self) -> int:
        return os.fstat(self.fd).st_size - self.began_with

    def _wake(self) -> None:
        self._timer.at(self.loop.now() + LOOK_EVERY)

    def _adopt(self, config: RecorderConfig) -> None:
        raise ListenerUnusable(f"{self.source.facts().listener} is told once, when it starts, with --raw")

    def _changes(self) -> object:
        return self._bytes(), self.source.senders(), self.source.facts()

    def _facts(self) -> dict[str, Any]:
        facts = self.source.facts()
        return {
            "state": "paused" if facts.down else "recording",
            "paused_for": facts.down,
            "lines": None,
            "bytes": self._bytes(),
            "senders": self.source.senders(),
            "last_line": None,
            "last_line_at": None,
            "reconnects": facts.restarts,
        }
