"""Messages out of a stream, in its order, from a position on: a thread of its own, which speaks NATS alone.

Rules kept here:

- The consumer is a pull consumer that nobody acknowledges to: how far we are, the files say. It is worth
  nothing, and made anew whenever it may not be right: once the connection was lost, when it answers with an
  error, and when nothing came for `IDLE` seconds and it does not say that there is nothing. (nats-py's
  ordered consumer stalled for 16.7 s after a server was started again.)
- It is asked for the last message that was had as well: if that is another, or the stream ends before it, the
  stream lost what it had, and is read from its first message.
- The consumer counts what it sends. Where its count has a hole, one was lost on the way: anew. So it is where
  it goes back behind what was had: the next one finds out what became of the stream.
- One that is made anew again and again brings nothing: that is said as what a server refuses is, and waited
  for longer each time.
- What is handed on and not done with yet is bounded: by `AHEAD` batches, each of so many bytes as messages of
  ours have at most. One that is larger comes by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import nats.errors
from nats.aio.msg import Msg

from reclog.engine.system.loop import Loop

from .account import Account
from .box import NEXT, THERE, Anew, Box
from .connecting import Connection, NotConnected, Refused, connected, quoted, why
from .position import Position, Stream

#: Batches that are handed on before the first of them is done with.
AHEAD = 2
#: Seconds until what failed is tried again: more each time.
AGAIN, AGAIN_MOST = 0.25, 5.0
#: Consumers in a row that brought nothing, and are not spoken of.
IN_VAIN = 3
#: What JetStream may call a stream: it becomes a part of subjects.
_NAME = re.compile(r"[^\s.*>/\\\x00-\x1f\x7f]{1,255}")
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
    #: When it came, in seconds of the epoch, if it was waited for; else it may have been there for long.
    came: float = 0.0


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
        wait, in_vain = AGAIN, 0
        while True:
            had, began = self._position, time.monotonic()
            try:
                await self._pull()
            except Anew as anew:
                in_vain += 1
                if in_vain > IN_VAIN:
                    self._lost(f"the consumer is made anew again and again ({anew})")
            except Exception as error:  # whatever it is: nobody would see that the thread has ended
                self._lost(why(error))
            if self._position != had or time.monotonic() - began > AGAIN_MOST:
                wait, in_vain = AGAIN, 0
            await asyncio.sleep(wait)
            wait = min(2 * wait, AGAIN_MOST)

    def _lost(self, reason: str) -> None:
        self._tell(functools.partial(self._hears.lost, reason))

    async def _pull(self) -> None:
        """Have messages come until something fails. Raises Anew, ReclogError, and what nats-py raises."""
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
        box = await Box(connection, consumer).open()
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

    async def _read(self, connection: Connection, box: Box, stream: Stream, consumer: str) -> None:
        count = 0
        reached: Callable[[], None] | None = functools.partial(self._hears.reached, stream, self._position)
        if reached and self._room.locked():  # nothing is asked for until there is room
            self._tell(reached)
        while True:
            await self._room.acquire()
            taken: list[Taken] = []
            try:
                found, came = await self._fetch(connection, box, consumer, reached)
                reached = None
                for message in found:
                    count += 1
                    if message.metadata.sequence.consumer != count:
                        raise Anew("a message was lost on the way")
                    self._look(message, stream, taken, came)
            finally:
                if taken:
                    self._position = taken[-1].position
                    self._tell(functools.partial(self._hears.came, taken))
                else:
                    self._room.release()

    async def _fetch(
        self, connection: Connection, box: Box, consumer: str, reached: Callable[[], None] | None
    ) -> tuple[list[Msg], float]:
        """Return what comes next, and when, if it was waited for; `reached` is told once it answers."""
        while True:
            found = await self._asked(connection, box, THERE, "404", "409")
            if reached is not None:
                self._tell(reached)
                reached = None
            if found:
                return found, 0.0
            found = await self._asked(connection, box, NEXT, "408")
            if found:
                return found, time.time()
            facts = await connection.ask(f"CONSUMER.INFO.{consumer}")
            had = self._position.sequence if self._position else 0
            if facts.get("num_pending") or facts.get("delivered", {}).get("stream_seq", 0) > had:
                raise Anew("it does not send what there is")

    async def _asked(
        self, connection: Connection, box: Box, wanted: Mapping[str, Any], *nothing: str
    ) -> list[Msg]:
        try:
            return await box.ask(wanted, *nothing)
        except (nats.errors.Error, asyncio.TimeoutError) as error:
            if connection.is_lost:
                raise NotConnected(f"{self._wanted.account.hosts}: the connection is lost") from error
            if connection.forbidden:
                raise Refused(connection.forbidden) from error
            raise Anew("it does not answer") from error

    def _look(self, message: Msg, stream: Stream, taken: list[Taken], came: float) -> None:
        """Take a message, if it is behind the last one that was had. Raises Anew if that is another."""
        facts = message.metadata
        sequence, when = facts.sequence.stream, facts.timestamp.timestamp()
        position = taken[-1].position if taken else self._position
        if position is None or sequence > position.sequence:
            here = Position(stream.name, stream.created, sequence, when)
            of = message.subject, message.headers, message.data, facts.num_pending
            taken.append(Taken(*of, here, came))
        elif sequence < position.sequence:
            raise Anew(f"it sends message {sequence} behind {position.sequence}")
        elif not position.is_at(when):
            reason = f"its message {sequence} is another than the one that was had"
            self._tell(functools.partial(self._hears.reset, reason))
            self._position = Position(stream.name, stream.created, 0, 0.0)
            raise Anew("the stream is another")


async def _stream(connection: Connection, subject: str) -> Stream:
    """Return the stream that has a subject. Raises Refused, NotConnected."""
    names = (await connection.ask("STREAM.NAMES", subject=subject)).get("streams")
    if not isinstance(names, list) or not names:
        raise Refused(f"no stream has the subject {subject}: inv publish makes one, --subject names another")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise Refused("the server's answer makes no sense")
    if len(names) > 1:
        several = ", ".join(sorted(names)[:3])
        raise Refused(f"several streams have parts of {subject} ({several}): one of each, by --subject")
    info = await connection.ask(f"STREAM.INFO.{names[0]}")
    try:
        config, last = info["config"], info["state"]["last_seq"]
        kept, storage, created = config.get("retention"), config.get("storage"), str(info["created"])[:100]
        if type(last) is not int:
            raise TypeError
    except (AttributeError, KeyError, TypeError):
        raise Refused("the server's answer makes no sense") from None
    if kept not in (None, "limits"):
        raise Refused(
            f"the stream {names[0]} lets go of what was read once ({quoted(kept)}), and a killed subscriber "
            "reads it again: its retention has to be limits"
        )
    in_memory = f"The stream {names[0]} is in memory: what its servers lose is a gap."
    return Stream(names[0], created, last, in_memory if storage == "memory" else "")


def _begin(position: Position | None, start: str) -> dict[str, Any]:
    """Return what a consumer is told of where it begins."""
    if position is None:
        return {"deliver_policy": "by_start_time", "opt_start_time": start}
    if position.sequence:  # the last one that was had, too: to see that it is the one
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": position.sequence}
    return {"deliver_policy": "all"}
