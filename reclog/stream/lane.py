"""One recording on its way into the stream.

Rules kept here:

- It is read behind the recording, and never in its way: what is slow, full or away holds this back alone.
- One message is on its way at a time, expected behind the last one: what became of it is known before the
  next, which is made meanwhile. Whatever goes wrong, where to go on is looked up anew.
- One publisher of this machine has a recording; who comes second waits, and says who the first is.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from reclog.engine.records.events import Say

from .connecting import NotConnected, Refused
from .found import Found
from .jetstream import FULL, WRONG_SEQUENCE, Held, Stream
from .message import Message, TooManyRuns, encode, fit
from .place import LOCK, own_of, place
from .reading import Reading

#: Seconds between looks, and where nothing came for a while.
LOOK, IDLE = 0.1, 0.25
#: Seconds until it is tried again, from and up to.
AGAIN, AT_MOST = 0.5, 10.0
#: Messages of others that are looked through for our own.
OTHERS = 10_000
#: Turns of the loop in which a message gets on its way.
TURNS = 4
#: Refusals in a row after which it is somebody else who publishes there.
FENCED = 3


class Taken(Exception):
    """Somebody else publishes this recording; the message says who."""


class Link(Protocol):
    """Who has the stream."""

    async def stream(self) -> Stream:
        """Return it, once it can be reached. Raises Refused."""


class _Ready(NamedTuple):
    """A message, made."""

    payload: bytes
    headers: Mapping[str, str]


class Lane:
    """What is published of one recording."""

    def __init__(self, found: Found, subject: str, link: Link, say: Say, who: str, twin: str = "") -> None:
        """`who` publishes it, for others to read; a `twin` has its subject already."""
        self.name, self.folder, self.file, self.subject = found.name, found.folder, found.file, subject
        self._twin = twin
        self._link, self._who, self._event = link, who, say
        self._reading: Reading | None = None
        self._lock = -1
        #: The sequence behind which the next message is expected.
        self._last = 0
        self._ending = False
        #: Why nothing goes on; empty if it does.
        self.waiting = ""
        self.messages = self.others = 0
        self._sent_at = self._waiting_since = 0.0

    @property
    def lag(self) -> int:
        """Bytes that are in the recording, and not in the stream."""
        return self._reading.lag if self._reading is not None else 0

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        reading = self._reading
        if reading is not None:
            with contextlib.suppress(OSError):
                reading.text.look()
        return {
            "name": self.name,
            "subject": self.subject,
            "state": "waiting" if self.waiting else "publishing",
            "waiting_for": self.waiting or None,
            "published": reading.offset if reading is not None else 0,
            "lag_bytes": self.lag,
            "messages": self.messages,
            "gaps": reading.gaps if reading is not None else 0,
            "others": self.others,
        }

    def end(self) -> None:
        """Have it end once all that is in the file is published."""
        self._ending = True
        if self._reading is not None:
            self._reading.ending = True

    def take(self) -> None:
        """Become the only publisher of this recording. Raises Taken, OSError."""
        if self._lock >= 0:
            return
        fd = os.open(os.path.join(self.folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _who(os.pread(fd, 4096, 0))
            os.close(fd)
            raise Taken(f"{self.name} is published by {who} already") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"name": self._who, "pid": os.getpid()}).encode("ascii"), 0)
        self._lock = fd
        self._reading = Reading(self.folder, self.file, self._say)
        self._reading.ending = self._ending

    def close(self) -> None:
        """Let go of it, and keep where it is."""
        if self._reading is not None:
            self._reading.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def run(self) -> None:
        """Publish until it is to end, and all is published."""
        if self._twin:
            self._wait(f"{self._twin} is called so in the stream, too")
            while not self._ending:
                await asyncio.sleep(IDLE)
            return
        again, fenced = AGAIN, 0
        while True:
            begun = self.messages
            try:
                await self._publish()
                return
            except Refused as error:
                why = self._meant(error, fenced)
                fenced = fenced + 1 if error.error in WRONG_SEQUENCE else 0
            except (NotConnected, Taken) as error:
                why = str(error)
            except OSError as error:
                why = f"{error.filename or self.file}: {error.strerror or error}"
            if self.messages > begun:
                again, fenced = AGAIN, min(fenced, 1)
            if why:
                self._wait(why)
                await asyncio.sleep(again)
                again = min(AT_MOST, 2 * again)

    async def _publish(self) -> None:
        self.take()
        reading = self._reading
        assert reading is not None
        reading.text.look()
        stream = await self._link.stream()
        if not stream.takes(self.subject):
            raise Refused(f"the stream {stream.name} does not take {self.subject}")
        await self._find(stream, reading)
        ready: _Ready | None = None
        while True:
            if ready is None:
                payload = reading.next(stream.largest)
                ready = self._made(stream, reading, reading.offset, payload)  # which a gap moves
            if ready is not None:
                ready = await self._send(stream, reading, ready)
            elif reading.is_over and not reading.lag:
                return
            else:
                self._go()
                await asyncio.sleep(LOOK if time.monotonic() - self._sent_at < 1.0 else IDLE)

    async def _find(self, stream: Stream, reading: Reading) -> None:
        """Stand where it is to go on."""
        newest = await stream.newest(self.subject)
        own = await self._own(stream, reading, newest)
        at = place(reading.kept, own, stream.created, stream.last, reading.text)
        self._last = newest.sequence if newest is not None else 0
        if at.event:
            self._say(at.event, identity=str(at.identity), offset=at.offset, subject=self.subject)
        reading.stand(at, self._last, stream.created)

    async def _own(self, stream: Stream, reading: Reading, newest: Held | None) -> Message | None:
        """Return the last message that may be ours: it is the subject's last, mostly."""
        own, kept = own_of(newest), reading.kept
        if newest is None or kept is None or (own and own.identity.origin == kept.identity.origin):
            return own
        found, others = None, 0
        at = had = kept.sequence if kept.created == stream.created else 0
        while at <= newest.sequence and others < OTHERS:
            held = await stream.following(self.subject, at)
            if held is None:
                break
            one = own_of(held)
            if one is not None and one.identity.origin == kept.identity.origin:
                found = one
            elif held.sequence > had:
                others += 1
            at = held.sequence + 1
        self.others += others
        if others:
            self._say("messages of others", messages=others, subject=self.subject)
        return found

    async def _send(self, stream: Stream, reading: Reading, one: _Ready) -> _Ready | None:
        """Have a message added; return the one behind it, if that could be made meanwhile."""
        asked = asyncio.ensure_future(stream.add(self.subject, one.payload, one.headers, self._last))
        following = None
        try:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            with contextlib.suppress(OSError):  # it is looked at again, when it is its turn
                at = reading.offset + len(one.payload)
                following = self._made(stream, reading, at, reading.behind(one.payload, stream.largest))
            self._last = await asked
        finally:
            asked.cancel()
        reading.sent(one.payload, self._last)
        self.messages += 1
        self._sent_at = time.monotonic()
        self._go()
        return following

    def _made(self, stream: Stream, reading: Reading, begin: int, payload: bytes) -> _Ready | None:
        """Return the message of what stands at `begin`; None if that is nothing."""
        while payload:
            with contextlib.suppress(TooManyRuns):
                runs, now = reading.runs(begin, payload), int(time.time() * 1000)
                headers = encode(reading.identity, begin, payload, runs, now, stream.most_told)
                return _Ready(payload, headers)
            payload = payload[: fit(payload, len(payload) // 2, whole=True)]
        return None

    # -- what is said ---------------------------------------------------------------------------

    def _say(self, event: str, **facts: Any) -> None:
        self._event(event, recording=self.name, **facts)

    def _meant(self, error: Refused, fenced: int) -> str:
        """Return why a refusal has it wait; nothing if it is to look again, at once."""
        if error.error in FULL:
            return f"the stream is full ({error}): it goes on once there is room"
        if error.error not in WRONG_SEQUENCE:
            return str(error)
        if fenced < FENCED:
            return ""
        return f"somebody else publishes on {self.subject}: stop that, or have another --machine"

    def _wait(self, why: str) -> None:
        if not self.waiting:
            self._waiting_since = time.monotonic()
        if why != self.waiting:
            self._say("waiting", why=why, lag_bytes=self.lag)
        self.waiting = why

    def _go(self) -> None:
        if self.waiting:
            self._say("going on", after_seconds=round(time.monotonic() - self._waiting_since, 3))
            self.waiting = ""


def _who(told: bytes) -> str:
    try:
        facts = json.loads(told)
        return f"{str(facts['name'])[:100]} (process {int(facts['pid'])})"
    except (ValueError, KeyError, TypeError):
        return "another process"
