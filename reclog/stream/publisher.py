"""The daemon that hands recordings on to a stream. Read `_work` from top to bottom.

Rules kept here:

- It runs beside the recordings, with less of the processor's time than they: none waits for it.
- One connection serves all recordings; each goes its own way, and waits alone.
- At its end it brings what is in the files into the stream, for 10 s, and says what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reclog.engine.daemons.daemon import Daemon
from reclog.engine.errors import EngineError

from .asked import PublisherConfig
from .connecting import Connection, NotConnected, Refused, connected
from .found import Found, found
from .jetstream import Stream, opened
from .lane import Lane, Taken
from .message import subject
from .turning import turning

#: Seconds for what is left at the end.
DRAIN_WITHIN = 10.0
#: Seconds between looks at what is recorded, and at a connection that is not there.
LOOK, AGAIN, AT_MOST = 2.0, 0.25, 5.0
#: Seconds after which what goes wrong at the start is said, not waited for.
START_WITHIN = 10.0
#: What is added to its niceness.
NICER = 5


class NotStarted(EngineError):
    """It can't begin: there is no server, or no stream; the message says why."""

    cause = "stream"


class Publisher:
    """Recordings on their way to a stream."""

    def __init__(self, daemon: Daemon, config: PublisherConfig) -> None:
        self.daemon, self.config = daemon, config
        self.name = Path(daemon.folder).name
        self.machine = config.machine or socket.gethostname()
        self.lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stream: Stream | None = None
        self._known: list[str] = []
        self._reached = asyncio.Event()
        #: Why there is no stream; empty if there is one.
        self.trouble = "not connected yet"
        self._lost_at = 0.0
        self.reconnects = 0
        daemon.show(self._changes, self._facts)

    def run(self) -> None:
        """Start, publish until told to stop, bring the rest. Raises EngineError if it can't start."""
        with contextlib.suppress(OSError):
            os.nice(NICER)
        asyncio.run(self._work())

    async def _work(self) -> None:
        daemon = self.daemon
        daemon.listen_for_stop()
        turns = asyncio.ensure_future(turning(daemon.loop))
        self._look(found(self.config.state))
        if not daemon.again:
            await self._begin()
        daemon.announce(machine=self.machine)
        daemon.log.say("started", to=self.config.hosts, stream=self.config.stream, machine=self.machine)
        daemon.ready(notes=self._notes())
        link = asyncio.ensure_future(self._stay_connected())
        looked_at = time.monotonic()
        while not daemon.stopping:
            await asyncio.sleep(0.1)
            if time.monotonic() - looked_at >= LOOK:
                self._look(await asyncio.to_thread(found, self.config.state))
                looked_at = time.monotonic()
        await self._end()
        link.cancel()
        turns.cancel()

    # -- the stream -----------------------------------------------------------------------------

    async def stream(self) -> Stream:
        """Return the stream, once it can be reached."""
        while self._stream is None or self._stream.connection.is_lost:
            self._reached.clear()
            await self._reached.wait()
        return self._stream

    async def _begin(self) -> None:
        """Reach the stream, and have a recording if there are any, or say why not. Raises NotStarted."""
        try:
            await asyncio.wait_for(self._reach(), START_WITHIN)
        except asyncio.TimeoutError:
            raise NotStarted(f"{self.config.hosts} does not answer.") from None
        except (NotConnected, Refused) as error:
            raise NotStarted(f"Nothing is published: {error}.") from error
        taken = []
        for lane in self.lanes.values():
            try:
                lane.take()
            except (Taken, OSError) as error:
                taken.append(str(error))
        if taken and len(taken) == len(self.lanes):
            raise NotStarted(f"{taken[0]}.")

    async def _reach(self) -> None:
        config = self.config
        connection = await connected(config, f"reclog {self.machine} {self.name}", self._known)
        try:
            self._stream = await opened(connection, config.stream, config.any_stream, config.max_bytes)
        except BaseException:
            await connection.leave()
            raise
        self._known = connection.known or self._known
        self.trouble = ""
        self._reached.set()

    async def _stay_connected(self) -> None:
        again = AGAIN
        while True:
            connection = self._stream.connection if self._stream is not None else None
            if connection is not None and not connection.is_lost:
                await asyncio.sleep(0.05)
                again = AGAIN
                continue
            if connection is not None:
                self._lose(connection)
                await connection.leave()
            try:
                await self._reach()
            except (NotConnected, Refused) as error:
                self._trouble(str(error))
                await asyncio.sleep(again)
                again = min(AT_MOST, 2 * again)
            else:
                away = round(time.monotonic() - self._lost_at, 3) if self._lost_at else 0.0
                self.reconnects += 1
                self.daemon.log.say("connected", away_seconds=away)

    def _lose(self, connection: Connection) -> None:
        if not self.trouble:
            self._lost_at = time.monotonic()
            self._trouble(f"{self.config.hosts}: the connection is lost")

    def _trouble(self, why: str) -> None:
        if why != self.trouble:
            self.daemon.log.say("not connected", why=why)
        self.trouble = why

    # -- the recordings -------------------------------------------------------------------------

    def _look(self, there: Sequence[Found]) -> None:
        """Have a lane for each recording that is to be published, and none that is over."""
        for name, task in list(self._tasks.items()):
            if task.done():
                self._leave(name)
        wanted = {one.folder: one for one in there if self._wants(one)}
        for folder, lane in self.lanes.items():
            if folder not in wanted or wanted[folder].is_past:
                lane.end()
        for folder, one in wanted.items():
            if folder not in self.lanes and one.is_to_publish:
                of = subject(self.machine, one.name)
                twin = next((other.name for other in self.lanes.values() if other.subject == of), "")
                lane = Lane(one, of, self, self.daemon.log.say, self.name, twin)
                self.lanes[folder], self._tasks[folder] = lane, asyncio.ensure_future(lane.run())

    def _wants(self, one: Found) -> bool:
        names = self.config.recordings
        return one.name in names if names else not one.is_copy

    def _leave(self, folder: str) -> None:
        task, lane = self._tasks.pop(folder), self.lanes.pop(folder)
        lane.close()
        if not task.cancelled() and task.exception() is not None:
            self.daemon.log.say("lane failed", recording=lane.name, reason=repr(task.exception())[:500])

    async def _end(self) -> None:
        began = time.monotonic()
        self._look(await asyncio.to_thread(found, self.config.state))
        for lane in self.lanes.values():
            lane.end()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=DRAIN_WITHIN)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        left = {lane.name: lane.lag for lane in self.lanes.values() if lane.lag}
        reason = next((lane.waiting for lane in self.lanes.values() if lane.lag and lane.waiting), "")
        for folder in list(self._tasks):
            self._leave(folder)
        if self._stream is not None:
            await self._stream.connection.leave()
        self.daemon.stopped(
            drained=not left,
            left_bytes=sum(left.values()),
            left=left,
            reason=self.trouble or reason,
            seconds=round(time.monotonic() - began, 3),
        )

    # -- what others see ------------------------------------------------------------------------

    def _notes(self) -> list[str]:
        stream = self._stream
        notes = self.config.notes()
        if stream is not None and stream.connection.clustered and stream.replicas < 3:
            notes.append(
                f"The stream {stream.name} is kept by {stream.replicas} server: what that loses is lost."
            )
        return notes

    def _changes(self) -> object:
        lanes = [(lane.messages, lane.waiting, lane.lag) for lane in self.lanes.values()]
        return self.trouble, lanes

    def _facts(self) -> dict[str, Any]:
        told = [lane.facts() for lane in self.lanes.values()]
        waits = next((one["waiting_for"] for one in told if one["waiting_for"]), None)
        stream = self._stream
        return {
            "state": "waiting" if self.trouble or waits else "publishing",
            "waiting_for": self.trouble or waits,
            "connected": not self.trouble,
            "reconnects": self.reconnects,
            "replicas": stream.replicas if stream is not None else None,
            "lag_bytes": sum(one["lag_bytes"] for one in told),
            "recordings": told,
        }
