"""Start a subscriber, or say why it can't be."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reclog.engine.records import names
from reclog.engine.records.jsonfile import write_json

from ..errors import AlreadyRecordedError, StartError, UsageError
from ..look.times import time_given
from ..recordings.again import stop_command
from ..recordings.checks import file_path
from ..recordings.choice import keeps_from
from ..recordings.launch import launch
from ..recordings.past import forget_the_oldest
from ..recordings.recording import Recording
from ..recordings.registry import Registry
from .account import Account, account, with_login
from .message import EVERYTHING
from .naming import base, is_plain

#: Seconds for a connection, and for JetStream to answer: an election may go on.
READY_WITHIN = 30.0


@dataclasses.dataclass(frozen=True)
class Subscription:
    """What a call asks for, checked."""

    account: Account
    #: Absolute; it may have room for names.
    file: str
    subject: str
    start: str

    @property
    def told(self) -> dict[str, Any]:
        """What a daemon is told of it."""
        where = {"file" if is_plain(self.file) else "files": self.file}
        told = {**dataclasses.asdict(self.account), **where, "subject": self.subject, "start": self.start}
        return {"kind": "subscriber", **{name: value for name, value in told.items() if value}}


@dataclasses.dataclass
class Subscribed:
    """A subscriber that works."""

    recording: Recording
    stream: str
    notes: list[str]
    #: It did before.
    ran: bool = False


def asked(
    servers: Sequence[str], files: Mapping[str, Any], file: Any, subject: Any, start: Any
) -> Subscription:
    """Return what the words of a call ask for; None: the built-in value. Raises UsageError."""
    return Subscription(
        account("--from", servers, files),
        file_path(file if file is not None else "logs/{machine}/{recording}.log"),
        _subject(str(subject if subject is not None else EVERYTHING)),
        _start(str(start if start is not None else "first")),
    )


def subscribe(wanted: Subscription, registry: Registry) -> Subscribed:
    """Start the subscriber. Raises a ReclogError that says why it can't be."""
    registry.make()
    if not is_plain(wanted.file):
        try:
            os.makedirs(base(wanted.file), mode=0o700, exist_ok=True)
        except OSError as error:
            where = base(wanted.file)
            raise StartError(f"{where} can't be made ({error.strerror}): name others with --file.") from error
    with registry.alone():
        running = _make_way(wanted, registry)
        if running is not None:
            return Subscribed(running, running.word("stream"), [], ran=True)
        recording = registry.new(wanted.account.called("subscriber"), wanted.told)
        try:
            if (one := with_login(wanted.account, recording.folder)) != wanted.account:
                wanted = dataclasses.replace(wanted, account=one)
                told = {**wanted.told, "name": recording.name}
                write_json(str(recording.folder / names.CONFIG), told)
        except OSError as error:
            recording.clean(began=False)
            raise StartError(f"{recording.folder} can't be written ({error.strerror}): make room.") from error
        forget_the_oldest(registry)
        _, answer = launch("subscriber", recording, READY_WITHIN)
        if not answer.get("ready"):
            recording.clean(began=False)
            raise _reason(answer)
    notes = [*wanted.account.notes(), *map(str, answer.get("notes", ()))]
    return Subscribed(Recording(recording.folder), str(answer.get("stream")), notes)


def _make_way(wanted: Subscription, registry: Registry) -> Recording | None:
    """Clean up what died on the same files; return what runs as it is wanted. Raises AlreadyRecordedError."""
    for other in registry.here():
        if not keeps_from(other, wanted.file) and other.fact("files") != wanted.file:
            continue
        same = all(other.facts.get(name) == wanted.told[name] for name in ("subject", "servers"))
        if other.is_alive() and same:
            return other
        if other.is_alive() or other.is_locked():
            raise AlreadyRecordedError(
                f"{wanted.file} is being recorded by {other.name} already, and otherwise: "
                f"`{stop_command(other)}` stops it, --file names another file."
            )
        other.clean()
    return None


def _reason(answer: Mapping[str, Any]) -> Exception:
    message = str(answer.get("message"))
    if answer.get("cause") == "unreachable":
        return StartError(f"There is no stream to record: {message}.")
    return AlreadyRecordedError(message) if answer.get("cause") == "file-taken" else StartError(message)


def _subject(word: str) -> str:
    if not re.fullmatch(r"[!-~]{1,200}", word) or word.startswith("$") or "" in word.split("."):
        raise UsageError(f"--subject {word!r} is no subject: give one as {EVERYTHING} or reclog.laptop.*.")
    return word


def _start(word: str) -> str:
    if word in ("first", "now"):
        return word
    when = datetime.datetime.fromtimestamp(time_given("--start", word), datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
