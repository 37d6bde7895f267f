"""Where a publisher goes on: what its stream says, what was kept, and whether the file still has it.

Rules kept here:

- The stream says what it has: its last message of ours is where to go on, whatever else was kept. What is
  kept counts where there is none: it was let go of there (a limit of age), or somebody else's is the last.
- A stream that is another, or came back with less than it had acknowledged, gets what it lacks once more, as
  far as that is still there: in it nothing is twice.
- What was published last is compared with the file. Where that has something else it is another line of
  bytes, with the next identity. That begins where the file differs, as far as that is known: at its
  beginning if that is another, behind what is left if it was cut back, at its end if it was edited.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, NamedTuple, Protocol

from reclog.engine.records.jsonfile import read_json, write_json

from .jetstream import Held
from .message import Identity, Message, decode

#: Beside a recording's other files: what is kept, and who publishes it.
KEPT, LOCK = "stream.json", "stream.lock"
#: Bytes of a file's beginning, and before the offset that is published, that it is known again by.
KNOWN = 1024


class Readable(Protocol):
    """A recording's text, as `text` has it."""

    base: int
    end: int

    def begin(self, offset: int = 0) -> int:
        """Return the first offset from `offset` on that is there."""

    def read(self, offset: int, most: int) -> bytes:
        """Return what stands there, as far as it does."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """What is kept of a recording that is published."""

    identity: Identity
    #: Where that begins, and up to where it is published.
    start: int
    end: int
    #: The subject's last message when it was, and when the stream was made.
    sequence: int = 0
    created: str = ""
    #: How the recorded file began, and its offset; what stood before `end`.
    head: bytes = b""
    base: int = 0
    tail: bytes = b""

    @classmethod
    def read(cls, folder: str) -> Kept | None:
        """Return what a recording's folder has; None if that is nothing that makes sense."""
        try:
            told = read_json(os.path.join(folder, KEPT))
            numbers = [told[name] for name in ("start", "end", "sequence", "base")]
            if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
                return None
            head, tail = (bytes.fromhex(told[name]) for name in ("head", "tail"))
            start, end, sequence, base = numbers
            identity = Identity.parse(told["identity"])
            return cls(identity, start, end, sequence, str(told["created"]), head, base, tail)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, folder: str, sync: bool = False) -> None:
        """Keep it. Raises OSError."""
        told: dict[str, Any] = dataclasses.asdict(self)
        told.update(identity=str(self.identity), head=self.head.hex(), tail=self.tail.hex())
        write_json(os.path.join(folder, KEPT), told, sync=sync)


class Place(NamedTuple):
    """Where to go on."""

    identity: Identity
    offset: int
    #: What stands before that, as far as it is known.
    tail: bytes
    #: What is to be said of it; empty if nothing.
    event: str = ""


def own_of(held: Held | None) -> Message | None:
    """Return what a message says; None if it is somebody else's."""
    try:
        return decode(held.headers, held.payload) if held is not None else None
    except ValueError:
        return None


def place(kept: Kept | None, own: Message | None, created: str, last: int, text: Readable) -> Place:
    """Return where to go on in a stream, made at `created`, whose last sequence is `last`.

    `own` is the last message there that may be ours.
    """
    if kept is None:
        if own is not None and text.read(own.begin, len(own.payload)) == own.payload:
            return Place(own.identity, own.end, own.payload, "identity found")
        return Place(Identity.new(), text.begin(), b"", "identity made")
    if own is not None and own.identity.origin == kept.identity.origin and own.identity >= kept.identity:
        older = own.identity == kept.identity and own.end < kept.end
        return Place(own.identity, own.end, own.payload, "stream has less" if older else "")
    if created != kept.created or last < kept.sequence:
        return Place(kept.identity, text.begin(kept.start), b"", "stream anew")
    return Place(kept.identity, kept.end, kept.tail)


def is_there(at: Place, text: Readable) -> bool:
    """Tell whether the text has what was published last, as far as that is still there."""
    before = -1
    while at.offset <= text.end:
        begin = max(at.offset - len(at.tail), min(at.offset, text.begin(at.offset - len(at.tail))))
        known = at.tail[len(at.tail) - (at.offset - begin) :] if begin < at.offset else b""
        if text.read(begin, len(known)) == known:
            return True
        if begin == before:
            break
        before = begin  # once more: who read it may have found that it is gone by now
    return False


def another(at: Place, kept: Kept | None, text: Readable) -> Place:
    """Return where to go on in a text that has not what was published last."""
    identity = at.identity.next()
    head = kept.head if kept is not None and kept.base == text.base else b""
    now = text.read(text.base, len(head))
    if not head or not now or not head.startswith(now):
        return Place(identity, text.base, b"", "file is another")
    begin = at.offset - len(at.tail)
    now = text.read(begin, len(at.tail)) if begin >= text.base else b""
    left = next(
        (n for n, pair in enumerate(zip(now, at.tail)) if pair[0] != pair[1]), min(len(now), len(at.tail))
    )
    start = begin + left if left else text.end
    return Place(identity, start, at.tail[:left], "file was changed")
