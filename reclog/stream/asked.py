"""What is asked of a publisher: words of a call, checked, and what its daemon is told."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..recordings.checks import byte_size
from ..recordings.choice import named
from ..recordings.registry import Registry
from .account import Account, account
from .message import part

#: The stream, where none is named.
STREAM = "reclog"


@dataclasses.dataclass(frozen=True)
class PublisherConfig(Account):
    """What to publish, and where."""

    #: Names; none means all that run.
    recordings: Sequence[str] = dataclasses.field(default_factory=list)
    #: The first part of each subject; empty: this host's name.
    machine: str = ""
    stream: str = STREAM
    any_stream: bool = False
    #: Of a stream that is made; 0: no limit.
    max_bytes: int = 0
    #: The state directory, with the recordings' folders.
    state: str = ""


def asked(
    servers: Sequence[str], files: Mapping[str, Any], words: Mapping[str, Any], registry: Registry
) -> PublisherConfig:
    """Return what a call asks for: servers, files by an account's fields, and other words by their options.

    Raises UsageError, NoSuchRecordingError.
    """
    one = account("--to", servers, files)
    known = registry.known()
    names = [named(known, name).name for name in dict.fromkeys(words.get("recordings") or ())]
    stream = str(words.get("stream") or STREAM)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", stream):
        raise UsageError(f"--stream {stream!r} is no name of a stream: give letters, digits, - and _.")
    machine = str(words.get("machine") or "")
    if machine and machine != part(machine):
        raise UsageError(f"--machine {machine!r} can't be in a subject: give letters, digits, - and _.")
    limit = words.get("max_bytes")
    return PublisherConfig(
        **dataclasses.asdict(one),
        recordings=names,
        machine=machine,
        stream=stream,
        any_stream=bool(words.get("any_stream")),
        max_bytes=byte_size("--max-bytes", limit) if limit is not None else 0,
        state=str(registry.root),
    )
