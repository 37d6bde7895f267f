"""The recorder: senders of a LAN, whole lines, one file. Read `run` from top to bottom."""

from __future__ import annotations

from typing import Any

from ..stores.rotated import RotatedFile
from .asking import DRAIN_WITHIN
from .config import RecorderConfig
from .daemon import Daemon
from .entrance import Entrance


class Recorder:
    """One recording on this machine."""

    def __init__(self, daemon: Daemon, config: RecorderConfig) -> None:
        self.daemon = daemon
        self.loop = daemon.loop
        self.config = config
        self.sink = RotatedFile(
            self.loop, config.file, daemon.folder, daemon.log.say, config.set_aside.rotating, daemon.disk
        )
        self.entrance = Entrance(self.loop, self.sink, config.listening, daemon.folder, daemon.log)
        daemon.show(self._changes, self._facts, self._adopt)

    def run(self) -> None:
        """Start, record until told to stop, drain, leave. Raises EngineError if it can't start."""
        self.start()
        while not self.daemon.stopping:
            self.loop.turn()
        self.stop()

    def start(self) -> None:
        """Open the file, listen, and say so."""
        self.sink.open()
        notes = self.entrance.open()
        self.daemon.listen_for_stop(self.config.foreground_of)
        listener = self.entrance.listener
        self.daemon.announce(listener=listener)
        self.daemon.counters.write()
        self.daemon.log.say("started", listener=listener, port=self.entrance.port, file=self.sink.path)
        self.daemon.ready(listener=listener, notes=notes)

    def stop(self) -> None:
        """Close the queue to newcomers, bring in what was sent, write it, end."""
        began = self.loop.now()
        self.daemon.log.say("stopping", senders=self.entrance.intake.senders)
        drained = self.entrance.drain(began + DRAIN_WITHIN)
        self.entrance.close()
        self.daemon.stopped(
            lines=self.sink.batch.lines,
            bytes=self.sink.batch.bytes,
            drained=drained.complete,
            left_bytes=drained.left_bytes,
            left_senders=drained.left_senders,
            reason=self.sink.paused,
            seconds=round(self.loop.now() - began, 3),
        )
        self.sink.close()

    def _adopt(self, config: RecorderConfig) -> None:
        self.entrance.adopt(config.listening)
        self.sink.rotate_as(config.set_aside.rotating)

    def _changes(self) -> object:
        return self.sink.batch.bytes, self.sink.base, self.sink.paused, self.entrance.changes()

    def _facts(self) -> dict[str, Any]:
        reason = self.sink.paused or self.entrance.down
        return {
            **self.sink.facts(),
            **self.entrance.facts(),
            "state": "paused" if reason else "recording",
            "paused_for": reason,
            "reconnects": self.entrance.restarts,
        }
