"""The stream itself: made if it is missing, looked at, and added to, each message where it is expected.

Rules kept here:

- A message is in the stream once the server has acknowledged it, and only as the next of its subject: whoever
  else has published there meanwhile is noticed, and nothing is in it twice.
- A stream whose settings would lose something is refused, unless that is wanted.
- It is kept by three servers where there are three, in files. What is full takes no more: nothing is dropped.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from email.parser import BytesParser
from typing import Any, NamedTuple

from . import message
from .connecting import ANSWER_WITHIN, Connection, Refused

#: JetStream's numbers of errors: https://github.com/nats-io/nats-server/blob/main/server/errors.json
NO_STREAM, NO_MESSAGE, WRONG_SEQUENCE = 10059, 10037, frozenset({10071, 10164})
FULL = frozenset({10002, 10077, 10047, 10023, 10122})
_NO_CLUSTER, _NO_PEERS, _EXISTS = 10074, 10005, 10058
#: Seconds that three servers are waited for, when one of them may just be away.
PEERS_WITHIN = 10.0
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
#: Bytes of a message, with its headers, that a stream must take.
LEAST = 4096
#: Bytes of headers at most, but for what they say of runs.
OTHER_HEADERS = 1024


class Held(NamedTuple):
    """A message that a stream has."""

    sequence: int
    headers: Mapping[str, str]
    payload: bytes


class Stream:
    """A stream, by one connection."""

    def __init__(self, connection: Connection, name: str, info: Mapping[str, Any]) -> None:
        config, state = info.get("config") or {}, info.get("state") or {}
        self._connection, self._publisher = connection, connection.jetstream()
        self.name = name
        #: When it was made: another time means another stream.
        self.created = str(info.get("created", ""))
        #: The last sequence that it gave.
        self.last = _number(state.get("last_seq"))
        self.replicas = _number(config.get("num_replicas"))
        self._subjects = [str(one) for one in config.get("subjects") or ()]
        size = config.get("max_msg_size")
        room = size if type(size) is int and size > 0 else connection.max_payload
        room = self._enough(min(room, connection.max_payload))
        #: Bytes of a message at most, and of what its headers say of runs.
        self.largest, self.most_told = message.largest(room), room // 2 - OTHER_HEADERS

    @property
    def connection(self) -> Connection:
        """By which it is reached."""
        return self._connection

    def _enough(self, size: int) -> int:
        """Return the bytes of a message with its headers. Raises Refused if those are too few."""
        if size < LEAST:
            raise Refused(
                f"the stream {self.name} takes messages of {size} bytes at most:"
                f" max_payload and max_msg_size must be {LEAST} or more"
            )
        return size

    def takes(self, subject: str) -> bool:
        """Tell whether messages of a subject are in it."""
        return any(covers(pattern, subject) for pattern in self._subjects)

    async def newest(self, subject: str) -> Held | None:
        """Return the last message of a subject. Raises NotConnected, Refused."""
        return await self._message(last_by_subj=subject)

    async def following(self, subject: str, sequence: int) -> Held | None:
        """Return the first message of a subject from a sequence on. Raises NotConnected, Refused."""
        return await self._message(seq=max(1, sequence), next_by_subj=subject)

    async def add(self, subject: str, payload: bytes, headers: Mapping[str, str], last: int) -> int:
        """Add a message behind that of sequence `last` (0: none) of its subject; return its own.

        Raises NotConnected, Refused (WRONG_SEQUENCE if that is not the last; FULL).
        """
        own = {**headers, EXPECTED: str(last)}
        asked = self._publisher.publish(subject, payload, ANSWER_WITHIN, self.name, own)
        sequence = _number((await self._connection.answer(subject, asked)).seq)
        self.last = max(self.last, sequence)
        return sequence

    async def _message(self, **wanted: Any) -> Held | None:
        try:
            answer = await self._connection.ask(f"STREAM.MSG.GET.{self.name}", **wanted)
        except Refused as error:
            if error.error == NO_MESSAGE:
                return None
            raise
        found = answer.get("message") or {}
        try:
            told = base64.b64decode(found.get("hdrs") or "").partition(b"\r\n")[2]
            headers = {name: str(value) for name, value in BytesParser().parsebytes(told).items()}
            return Held(_number(found.get("seq")), headers, base64.b64decode(found.get("data") or ""))
        except (ValueError, TypeError, AttributeError) as error:
            raise Refused("the server's answer makes no sense") from error


async def opened(connection: Connection, name: str, any_stream: bool, max_bytes: int = 0) -> Stream:
    """Return the stream of that name, made if there is none, of so many bytes at most (0: no limit).

    Raises NotConnected, Refused.
    """
    try:
        info = await connection.ask(f"STREAM.INFO.{name}")
    except Refused as error:
        if error.error != NO_STREAM:
            raise
        info = await _made(connection, name, max_bytes)
    lost = [] if any_stream else losing(info.get("config") or {})
    if lost:
        raise Refused(
            f"the stream {name} would lose what it has ({', '.join(lost)}): --any-stream takes it as it is"
        )
    return Stream(connection, name, info)


async def _made(connection: Connection, name: str, max_bytes: int) -> dict[str, Any]:
    wanted = {
        "name": name,
        "subjects": [message.EVERYTHING],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_bytes": max_bytes or -1,
        "num_replicas": 3 if connection.clustered else 1,
    }
    until = time.monotonic() + PEERS_WITHIN
    while True:
        try:
            return await connection.ask(f"STREAM.CREATE.{name}", **wanted)
        except Refused as error:
            if error.error == _EXISTS:  # somebody else was as quick
                return await connection.ask(f"STREAM.INFO.{name}")
            few = error.error == _NO_CLUSTER or (error.error == _NO_PEERS and time.monotonic() > until)
            if few and wanted["num_replicas"] == 3:
                wanted["num_replicas"] = 1
            elif error.error != _NO_PEERS:
                raise


def losing(config: Mapping[str, Any]) -> list[str]:
    """Return which settings of a stream would lose what was acknowledged."""
    wrong = {
        "storage": "file",
        "discard": "new",
        "retention": "limits",
        "no_ack": False,
        "persist_mode": "default",
    }
    return [
        f"{name}: {config[name]}".lower()
        for name, right in wrong.items()
        if name in config and config[name] not in (right, "")
    ]


def covers(pattern: str, subject: str) -> bool:
    """Tell whether a subject is one of those that a pattern means."""
    names, of = pattern.split("."), subject.split(".")
    if names[-1] == ">" and len(of) >= len(names):
        names, of = names[:-1], of[: len(names) - 1]
    return len(names) == len(of) and all(one in ("*", other) for one, other in zip(names, of))


def _number(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 63 else 0
