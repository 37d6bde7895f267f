"""The bare sink: socat straight into the file, bytes as they come, lines of different senders may mix.

It keeps the promises about bursts, stopping and who may listen, and no others. The file goes to socat as
an open descriptor (`FD:n`): no file name needs escaping, and none is ever misread.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
from typing import Any

from ..errors import EngineError
from ..sources.capacity import most_senders, read, warnings
from ..sources.socat import Door, SocatParent, reap, socat_command
from ..stores.file import RecordedFile
from ..system.address import parse_network
from ..system.kernel import adopt_orphans
from .config import RecorderConfig
from .daemon import Daemon
from .entrance import DRAIN_WITHIN, use_socat

#: Seconds between two looks at the file's size.
LOOK_EVERY = 1.0


class RawRecorder:
    """socat, watched."""

    def __init__(self, daemon: Daemon, config: RecorderConfig) -> None:
        listening = config.listening
        self.daemon = daemon
        self.config = config
        self.loop = daemon.loop
        allow = [parse_network(text) for text in listening.allow]
        use_socat("socat", False, listening.bind, allow)
        self.system = read()
        # The sink opens and locks the file as ever; here only its descriptor is used.
        self.sink = RecordedFile(config.file, daemon.log.say)
        self.fd = self.sink.open()
        places = listening.max_senders or most_senders(self.system, socat=True)
        door = Door(listening.bind, listening.port, allow, places)
        program = shutil.which("socat") or "socat"

        def command(beside: bool) -> list[str]:
            return socat_command(program, door, f"FD:{self.fd}", one_way=True, beside=beside)

        self.parent = SocatParent(self.loop, command, door, daemon.folder, daemon.log.say)
        self.parent.child.pass_fds = (self.fd,)
        self.began_with = os.fstat(self.fd).st_size
        self.down = ""
        daemon.show(self._changes, self._facts)
        self._timer = self.loop.timer(self._wake)

    def run(self) -> None:
        """Start, watch until told to stop, drain, leave. Raises EngineError if it can't start."""
        adopt_orphans()
        self.loop.on_signal(signal.SIGCHLD, lambda: self._reap())
        try:
            self.parent.start()
        except EngineError:
            self.parent.close()
            raise
        self.parent.child.on_end = self._ended
        self.parent.child.on_due = self._start_again
        self.daemon.listen_for_stop(self.config.foreground_of)
        self.daemon.announce(listener="socat")
        self._wake()
        self.daemon.log.say("started", listener="socat", raw=True, file=self.sink.path)
        self.daemon.ready(listener="socat", notes=warnings(self.system, socat=True))
        while not self.daemon.stopping:
            self.loop.turn()
        self.stop()

    def stop(self) -> None:
        """Let socat take what waits, let its forks write what they have, end."""
        began = self.loop.now()
        until = began + DRAIN_WITHIN
        parent = self.parent
        parent.child.on_end = lambda status: None
        parent.child.give_up()
        parent.refuse_newcomers()
        while parent.queue is not None and parent.child.pid and self.loop.now() < until:
            if not select.select([parent.queue], [], [], 0)[0]:
                break
            parent.finish_forks()  # at max-children it accepts only when a fork ends
            self.loop.turn(at_most=0.02)
        drained = parent.finish(until, quiet=lambda: True)
        left = parent.unread()
        parent.close()
        self.daemon.stopped(
            bytes=self._bytes(),
            drained=drained,
            left_bytes=left,
            seconds=round(self.loop.now() - began, 3),
        )

    def _bytes(self) -> int:
        return os.fstat(self.fd).st_size - self.began_with

    def _senders(self) -> int:
        return sum(1 for _ in self.parent.forks())

    def _wake(self) -> None:
        self._timer.at(self.loop.now() + LOOK_EVERY)

    def _changes(self) -> object:
        return self._bytes(), self._senders(), self.down

    def _facts(self) -> dict[str, Any]:
        return {
            "state": "paused" if self.down else "recording",
            "paused_for": self.down,
            "lines": None,
            "bytes": self._bytes(),
            "senders": self._senders(),
            "last_line": None,
            "last_line_at": None,
            "reconnects": self.parent.child.restarts,
        }

    def _reap(self) -> None:
        reap(self.parent.child)

    def _ended(self, status: int) -> None:
        self.down = "socat ended; it is started again soon"
        self.daemon.log.say("listener died", wait_status=status, said=self.parent.child.last_words)
        if self.parent.queue is not None:
            self.parent.queue.close()
            self.parent.queue = None
        self.parent.child.start_later()

    def _start_again(self) -> None:
        self.parent.child.on_end = lambda status: None
        try:
            self.parent.start()
            self.down = ""
            self.daemon.log.say("listener restarted")
        except EngineError as error:
            self.down = str(error)
            self.daemon.log.say("listener does not start", reason=str(error))
            self.parent.child.start_later()
        self.parent.child.on_end = self._ended
