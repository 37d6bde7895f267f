"""What a message of a stream says: a stretch of a recording, of which one, from where to where, who and when.

Rules kept here, by the publisher; who takes a message distrusts each word of it:

- A subject is `reclog.MACHINE.RECORDING`. What NATS, or a file's name, does not allow in one of these is `_`.
- An *identity* names one line of bytes: `ORIGIN-NUMBER`. The origin is made once for each recording and kept
  in its folder. The number grows when the file is not any more what was published of it (it was cut back,
  replaced, edited): nothing goes on across that. What comes then begins where its own offset says; what was
  in the file before, and was never published, is not known.
- Within one identity, offsets are those of the recording: a message begins where the one before it ended, or
  further on. What lies between is a gap: it was removed before it was published. None begins before that.
- Another origin on the subject is another recording that is called so. A message that `decode` refuses is
  somebody else's. What follows them goes on from its own offset.
- A message ends at a line's end where there is one in it.
- What a publisher's clock shows as it publishes says how far times are off to whoever takes it at once.
- The runs say who and when, of all of it and in its order. They are worth no more than an index: where they
  are missing, or make no sense, nothing is known.

A message is at most half of what the server takes, and never more than 256 KiB; its runs are no longer.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reclog.engine.stores.index.format import LAST_MS, Run
from reclog.engine.stores.index.packet import LONGEST_NAME, MOST, notes_of, pack, unpack

#: How each subject begins, and what all of them are together.
PREFIX = "reclog"
EVERYTHING = f"{PREFIX}.>"
#: Bytes of a payload at most, and characters of its runs: JetStream takes 65,535 bytes of headers.
LARGEST, LONGEST_RUNS = 256 * 1024, 48 * 1024
#: The headers.
RECORDING, BEGIN, END, RUNS = "Reclog-Recording", "Reclog-Begin", "Reclog-End", "Reclog-Runs"
SENT = "Reclog-Sent"

_IDENTITY = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,8})")
_OFFSET = re.compile(r"0|[1-9][0-9]{0,18}")
#: Bytes of unpacked runs at most: of each three numbers, and as many names.
_UNPACKED = 64 + MOST * (12 + 1) + 256 * LONGEST_NAME
_LONGEST_PART = 128


class Identity(NamedTuple):
    """One line of bytes that a recording is, or was."""

    origin: str
    number: int

    @classmethod
    def new(cls) -> Identity:
        """Return that of a recording that has none yet."""
        return cls(secrets.token_hex(8), 1)

    @classmethod
    def parse(cls, word: str) -> Identity:
        """Return what a word says. Raises ValueError."""
        match = _IDENTITY.fullmatch(word)
        if match is None:
            raise ValueError("it names no recording")
        return cls(match[1], int(match[2]))

    def next(self) -> Identity:
        """Return that of the same recording after its file became another."""
        return self._replace(number=self.number + 1)

    def __str__(self) -> str:
        """Return it as one word."""
        return f"{self.origin}-{self.number}"


class Message(NamedTuple):
    """A stretch of a recording."""

    identity: Identity
    #: Recording offsets.
    begin: int
    end: int
    #: Who said what of it when, from `begin` to `end` without a hole.
    runs: list[Run]
    payload: bytes
    #: Milliseconds since 1970, by the publisher's clock; 0 if it does not say.
    sent: int = 0


class TooManyRuns(ValueError):
    """The runs of a stretch don't fit into a header: a shorter stretch has fewer."""


def subject(machine: str, recording: str) -> str:
    """Return where a recording of a machine is published."""
    return ".".join((PREFIX, part(machine), part(recording)))


def part(name: str) -> str:
    """Return a name as a part of a subject, which is safe as a file's name, too."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_LONGEST_PART] or "_"


def parts(of: str) -> tuple[str, str]:
    """Return the machine and the recording of a subject, as `part` has them. Raises ValueError."""
    prefix, *names = of.split(".")
    if prefix != PREFIX or len(names) != 2 or names != [part(name) for name in names]:
        raise ValueError("its subject names no recording")
    return names[0], names[1]


def largest(max_payload: int) -> int:
    """Return how many bytes a payload may have where the server takes messages of `max_payload` bytes."""
    return max(1, min(LARGEST, max_payload // 2))


def fit(data: bytes, most: int, whole: bool) -> int:
    """Return how many bytes of `data` are a message of `most` at most: up to a line's end where there is one.

    Nothing where there is none, as half a line may go on; `whole`: it does not, or is waited for no more.
    """
    end = data.rfind(b"\n", 0, most) + 1
    return end or (min(len(data), most) if whole or len(data) >= most else 0)


def encode(
    identity: Identity,
    begin: int,
    payload: bytes,
    runs: Sequence[Run],
    sent: int = 0,
    most: int = LONGEST_RUNS,
) -> dict[str, str]:
    """Return the headers of a message that is `sent` then (0: nobody knows). Raises TooManyRuns.

    Its packed runs have `most` bytes at most.

    `runs` cover the payload from `begin` on, ascending and without a hole.
    """
    headers = {RECORDING: str(identity), BEGIN: str(begin), END: str(begin + len(payload)), SENT: str(sent)}
    if any(run.ms is not None for run in runs):
        told = notes_of(runs, begin)
        if len(told) > MOST:
            raise TooManyRuns
        packed = base64.b64encode(zlib.compress(pack(told), 1)).decode("ascii")
        if len(packed) > min(LONGEST_RUNS, most):
            raise TooManyRuns
        headers[RUNS] = packed
    return headers


def decode(headers: Mapping[str, str] | None, payload: bytes) -> Message:
    """Return what a message says. Raises ValueError where it is none of ours, with why."""
    headers = headers or {}
    identity = Identity.parse(headers.get(RECORDING) or "")
    begin, end = (_offset(headers.get(name) or "") for name in (BEGIN, END))
    if not payload or end - begin != len(payload):
        raise ValueError("its offsets are not those of its bytes")
    told = headers.get(SENT) or ""
    sent = int(told) if _OFFSET.fullmatch(told) and int(told) <= LAST_MS else 0
    return Message(identity, begin, end, _runs(headers.get(RUNS) or "", begin, end), payload, sent)


def _offset(word: str) -> int:
    if not _OFFSET.fullmatch(word) or int(word) >= 1 << 62:
        raise ValueError("an offset makes no sense")
    return int(word)


def _runs(packed: str, begin: int, end: int) -> list[Run]:
    unknown = [Run(begin, end, None, None)]
    if not packed or len(packed) > LONGEST_RUNS:
        return unknown
    try:
        unpacker = zlib.decompressobj()
        found = unpack(begin, unpacker.decompress(base64.b64decode(packed, validate=True), _UNPACKED))
    except (ValueError, binascii.Error, zlib.error):
        return unknown
    if not found or found[-1].end != end:
        return unknown
    return found
