"""How far a subscriber has come in a stream, and where it goes on.

Rules kept here:

- It is where reading goes on, and no more: which bytes are missing in a file, that one's checkpoint says, by
  offset. A position that is too old costs time.
- A stream is known again by when it was made, and by the last message that was had of it, which is asked for
  again: one that is another by now, or not there yet, is of a stream that lost what it had. All of it is read
  then.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.system.disk import DISK, Disk

#: Its file in a subscriber's folder.
POSITION = "position.json"
#: Seconds by which two times of one message differ at most: a float holds them to the microsecond.
_SAME = 0.001


class Stream(NamedTuple):
    """What a server says of a stream."""

    name: str
    #: When it was made, as the server tells it.
    created: str
    #: The sequence of its last message; 0 if it never had one.
    last: int
    #: What a person should know of it; empty if nothing.
    note: str = ""


class Position(NamedTuple):
    """The last message that was had, and of which stream."""

    stream: str
    created: str
    #: 0: none, the stream is to be read from its beginning.
    sequence: int
    #: Of the message, in seconds of the epoch; 0.0: it was never had, and what comes behind it is asked for.
    time: float

    def lacks(self, stream: Stream) -> str:
        """Return why this is of no use with that stream as it is now; empty if it is."""
        if self.stream != stream.name:
            return f"the subject is of another stream now, {stream.name}"
        if self.created != stream.created:
            return "it was made anew"
        if self.sequence > stream.last:
            return f"it ends at message {stream.last}, and {self.sequence} was had of it"
        return ""

    def is_at(self, time: float) -> bool:
        """Tell whether a message with this sequence, and that time, may be the one that was had."""
        return not self.time or abs(self.time - time) < _SAME


def read(folder: str) -> Position | None:
    """Return the position kept in a folder; None if there is none, or it makes no sense."""
    try:
        told = read_json(os.path.join(folder, POSITION))
        position = Position(*(told[name] for name in Position._fields))
    except (OSError, ValueError, KeyError):
        return None
    words = isinstance(position.stream, str) and isinstance(position.created, str)
    numbers = type(position.sequence) is int and 0 <= position.sequence < 1 << 63
    return position if words and numbers and type(position.time) in (int, float) else None


def save(folder: str, position: Position, disk: Disk = DISK) -> None:
    """Keep it in a folder. Raises OSError."""
    write_json(os.path.join(folder, POSITION), position._asdict(), sync=True, disk=disk)
