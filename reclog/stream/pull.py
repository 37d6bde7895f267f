"""Messages out of a stream, in its order, from a position on: a thread of its own, which speaks NATS alone.

Rules kept here:

- The consumer is a pull consumer that nobody acknowledges to: how far we are, the files say. It is worth
  nothing, and made anew whenever it may not be right: once the connection was lost, when it answers with an
  error, and when nothing came for `IDLE` seconds and it does not say that there is nothing. (nats-py's
  ordered consumer stalled for 16.7 s after a server was started again.)
- It is asked for the last message that was had as well: if that is another, or the stream ends before it, the
  stream lost what it had, and is read from its first message.
- The consumer counts what it sends. Where its count has a hole, one was lost on the way: anew.
- What is handed on and not done with yet is bounded: by `AHEAD` batches, each of so many bytes as messages of
  ours have at most. One that is larger comes by itself.
- A message of the stream has a reply, what the server says of a request has none: that tells them apart. A
  header `Status` is anybody's to put into a message: nats-py's `fetch` would pass it over, for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import nats.errors
from nats.aio.msg import Msg

from reclog.engine.system.loop import Loop

from .account import Account
from .connecting import Connection, NotConnected, Refused, connected, why
from .message import LARGEST, LONGEST_RUNS
from .position import Position, Stream

#: Messages of a batch at most, their bytes (with what the server counts besides), and batches that are handed
#: on before the first of them is done with.
BATCH, AHEAD = 16, 2
BYTES = BATCH * (LARGEST + LONGEST_RUNS + 4096)
#: Seconds without a message after which the consumer is asked; and until what failed is tried again: more
#: each time.
IDLE, AGAIN, AGAIN_MOST = 2.0, 0.25, 5.0
#: What is asked for: what is there, and if that is nothing, or the first is too large, the next one.
_THERE: Mapping[str, Any] = {"batch": BATCH, "max_bytes": BYTES, "no_wait": True}
_NEXT: Mapping[str, Any] = {"batch": 1, "expires": int(IDLE * 1e9)}
#: Seconds for which the server keeps a consumer that nobody asks.
KEPT = 60


class Wanted(NamedTuple):
    """What is to be pulled."""

    account: Account
    #: What we are called there.
    label: str
    subject: str
    #: `first`, `now` or a time in ISO 8601: of use where there is no position.
    start: str


class Taken(NamedTuple):
    """A message as it came."""

    subject: str
    headers: dict[str, str] | None
    payload: bytes
    #: Messages that come behind it.
    pending: int
    #: Where we are behind it.
    position: Position


class Hears(Protocol):
    """Who is told, in the loop, what came of it."""

    def reached(self, stream: Stream, position: Position | None) -> None:
        """Take note that messages come, from behind that position on; None: from the time asked for on."""

    def lost(self, reason: str) -> None:
        """Take note of why none can come."""

    def reset(self, reason: str) -> None:
        """Take note that the stream is not the one that was read: it is read from its first message on."""

    def came(self, taken: list[Taken]) -> None:
        """Take messages; `Pull.done` is to be called once they are done with."""


class _Anew(Exception):
    """The consumer is to be made anew."""


class Pull:
    """The thread, and what the loop says to it."""

    def __init__(self, loop: Loop, wanted: Wanted, position: Position | None, hears: Hears) -> None:
        self._tell = loop.call
        self._wanted = wanted
        self._position = position
        self._hears = hears
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Semaphore(AHEAD)
        self._connection: Connection | None = None
        self._known: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def done(self) -> None:
        """Take note that a batch is done with."""
        self._have(self._room.release)

    def stop(self, within: float = 3.0) -> None:
        """End the connection and the thread."""
        self._have(lambda: self._task and self._task.cancel())
        self._thread.join(within)

    def _have(self, done: Callable[[], object]) -> None:
        """Have something done in the thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(done)

    # -- in the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._loop is not None
        self._task = self._loop.create_task(self._go_on())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        if self._connection is not None:
            self._loop.run_until_complete(self._connection.leave())
        self._loop.close()

    async def _go_on(self) -> None:
        wait = AGAIN
        while True:
            try:
                await self._pull()
            except _Anew:
                wait = AGAIN
                continue
            except Exception as error:  # whatever it is: nobody would see that the thread has ended
                self._lost(why(error))
            await asyncio.sleep(wait)
            wait = min(2 * wait, AGAIN_MOST)

    def _lost(self, reason: str) -> None:
        self._tell(functools.partial(self._hears.lost, reason))

    async def _pull(self) -> None:
        """Have messages come until something fails. Raises _Anew, ReclogError, and what nats-py raises."""
        account, label, subject, _ = self._wanted
        connection = self._connection
        if connection is None or connection.is_lost:
            connection = self._connection = await connected(account, label, self._known)
            self._known = connection.known
        stream = await _stream(connection, subject)
        position = self._position = self._where(stream)
        config = {"ack_policy": "none", "mem_storage": True, "inactive_threshold": KEPT * 10**9}
        config.update(filter_subject=subject, num_replicas=1, **_begin(position, self._wanted.start))
        made = await connection.ask(f"CONSUMER.CREATE.{stream.name}", stream_name=stream.name, config=config)
        consumer = f"{stream.name}.{made.get('name')}"
        box = await _Box(connection, consumer).open()
        self._tell(functools.partial(self._hears.reached, stream, position))
        try:
            await self._read(connection, box, stream, consumer)
        finally:
            await box.close()

    def _where(self, stream: Stream) -> Position | None:
        """Return behind what to go on; None where a time decides."""
        position, start = self._position, self._wanted.start
        if position is not None and (reason := position.lacks(stream)):
            self._tell(functools.partial(self._hears.reset, reason))
            return Position(stream.name, stream.created, 0, 0.0)
        if position is None and start in ("now", "first"):
            return Position(stream.name, stream.created, stream.last if start == "now" else 0, 0.0)
        return position

    async def _read(self, connection: Connection, box: _Box, stream: Stream, consumer: str) -> None:
        count = 0
        while True:
            await self._room.acquire()
            taken: list[Taken] = []
            try:
                for message in await self._fetch(connection, box, consumer):
                    count += 1
                    if message.metadata.sequence.consumer != count:
                        raise _Anew
                    self._look(message, stream, taken)
            finally:
                if taken:
                    self._position = taken[-1].position
                    self._tell(functools.partial(self._hears.came, taken))
                else:
                    self._room.release()

    async def _fetch(self, connection: Connection, box: _Box, consumer: str) -> list[Msg]:
        while True:
            try:
                found = await box.ask(_THERE, "404", "409") or await box.ask(_NEXT, "408")
                if found:
                    return found
            except (nats.errors.Error, asyncio.TimeoutError) as error:
                if connection.is_lost:
                    raise NotConnected(f"{self._wanted.account.hosts}: the connection is lost") from error
                raise _Anew from error
            facts = await connection.ask(f"CONSUMER.INFO.{consumer}")
            had = self._position.sequence if self._position else 0
            if facts.get("num_pending") or facts.get("delivered", {}).get("stream_seq", 0) > had:
                raise _Anew

    def _look(self, message: Msg, stream: Stream, taken: list[Taken]) -> None:
        """Take a message, if it is behind the last one that was had. Raises _Anew if that is another."""
        facts = message.metadata
        sequence, time = facts.sequence.stream, facts.timestamp.timestamp()
        position = self._position
        if position is not None and sequence <= position.sequence:
            if not position.is_at(sequence, time):
                reason = f"its message {sequence} is another than the one that was had"
                self._tell(functools.partial(self._hears.reset, reason))
                self._position = Position(stream.name, stream.created, 0, 0.0)
                raise _Anew
            return
        here = Position(stream.name, stream.created, sequence, time)
        taken.append(Taken(message.subject, message.headers, message.data, facts.num_pending, here))


class _Box:
    """Where what a consumer sends comes in."""

    def __init__(self, connection: Connection, consumer: str) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer}"
        self._inbox = connection.new_inbox()
        self._count = 0

    async def open(self) -> _Box:
        """Have it come in. Raises what nats-py does."""
        self._came = await self._connection.subscribe(f"{self._inbox}.*")
        return self

    async def close(self) -> None:
        """Have no more come in."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._came.unsubscribe()

    async def ask(self, wanted: Mapping[str, Any], *nothing: str) -> list[Msg]:
        """Return what comes of a request until the server says one of `nothing`.

        Raises _Anew if it says something else, and what nats-py does.
        """
        self._count += 1
        reply = f"{self._inbox}.{self._count}"
        await self._connection.publish(self._subject, json.dumps(wanted).encode("ascii"), reply)
        found: list[Msg] = []
        while len(found) < wanted["batch"]:
            message = await self._came.next_msg(timeout=2 * IDLE)
            if message.reply:
                found.append(message)
            elif message.subject == reply:  # else it is about a request before
                if (message.headers or {}).get("Status") not in nothing:
                    raise _Anew
                break
        return found


async def _stream(connection: Connection, subject: str) -> Stream:
    """Return the stream that has a subject. Raises Refused, NotConnected."""
    names = (await connection.ask("STREAM.NAMES", subject=subject)).get("streams")
    if not isinstance(names, list) or not names:
        raise Refused(f"no stream has the subject {subject}: inv publish makes one, --subject names another")
    info = await connection.ask(f"STREAM.INFO.{names[0]}")
    state: dict[str, Any] = info.get("state") or {}
    return Stream(str(names[0]), str(info.get("created")), int(state.get("last_seq") or 0))


def _begin(position: Position | None, start: str) -> dict[str, Any]:
    """Return what a consumer is told of where it begins."""
    if position is None:
        return {"deliver_policy": "by_start_time", "opt_start_time": start}
    if position.sequence:  # the last one that was had, too: to see that it is the one
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": position.sequence}
    return {"deliver_policy": "all"}
