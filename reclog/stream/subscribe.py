"""Start a subscriber, or say why it can't be."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from reclog.engine.records import names
from reclog.engine.records.jsonfile import write_json

from ..errors import AlreadyRecordedError, StartError, UsageError
from ..look.times import time_given
from ..recordings.again import stop_command
from ..recordings.change import apply, changes, kept, refuse_foreground, spoken
from ..recordings.checks import file_path
from ..recordings.choice import keeps_from
from ..recordings.defaults import option_name
from ..recordings.launch import launch
from ..recordings.past import forget_the_oldest
from ..recordings.recording import Recording
from ..recordings.registry import Registry
from ..recordings.rotation import check_rotation
from ..recordings.settings import FileSettings, merged, of_a_file, said
from .account import WHO, Account, account, with_login
from .message import EVERYTHING
from .naming import base, is_plain

#: Seconds for a connection, and for JetStream to answer: an election may go on.
READY_WITHIN = 30.0
#: What is asked for as of any recording, in the config, too.
_OF_ANY = ("called", "foreground", "rotate", "keep", "compress")
#: What is asked for of this kind alone, beside a start.
_OWN = ("servers", "subject", "file", *Account.OPTIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subscription(FileSettings):
    """What a call asks for, checked; its file may have room for names."""

    account: Account
    subject: str
    start: str

    @property
    def where(self) -> dict[str, str]:
        """What a daemon is told of its file, or files."""
        return {"file" if is_plain(self.file) else "files": self.file}

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for, by its name in a recording's facts."""
        words = {**vars(self), **vars(self.account)}
        asked = {name: words[name] for name in self.said if name != "file"}
        return {**asked, **(self.where if "file" in self.said else {})}

    @property
    def told(self) -> dict[str, Any]:
        """What a daemon is told of it."""
        words = {name: getattr(self, name) for name in ("subject", "start", "called", "rotate", "keep")}
        told = {**dataclasses.asdict(self.account), **self.where, **words, "compress": self.compress}
        front = {"foreground_of": os.getpid()} if self.foreground else {}
        return {"kind": "subscriber", **{name: value for name, value in told.items() if value}, **front}


@dataclasses.dataclass
class Subscribed:
    """A subscriber that works."""

    recording: Recording
    stream: str
    #: None where it ran already.
    process: subprocess.Popen[bytes] | None
    #: Recorded bytes that there were before.
    begin: int
    notes: list[str]
    #: Options that it has now, and had not before this call.
    changed: list[str]


def asked(flags: Mapping[str, Any], config: Mapping[str, Any], registry: Registry) -> Subscription:
    """Return what the flags of a call ask for, and what a name among them stands for. Raises UsageError."""
    config = {name: config.get(name) for name in map(option_name, _OF_ANY)}
    words = merged(flags, config)
    given = {name: flags[name] for name in _OWN if flags.get(name) not in (None, [])}
    meant = _named(str(words["called"]), registry)
    if given.keys() & WHO:
        meant = {name: value for name, value in meant.items() if name not in WHO}
    meant.update(given)
    file = file_path(meant.get("file", "logs/{machine}/{recording}.log"))
    if words["foreground"] and not is_plain(file):
        raise UsageError("--foreground shows one file: name it without {machine} and {recording}.")
    about = [name for name in said(flags, config) if name in _OF_ANY]
    return Subscription(
        account=account("--from", meant.get("servers", ()), meant),
        subject=_subject(str(meant.get("subject", EVERYTHING))),
        start=_start(str(flags.get("start") or "first")),
        **of_a_file({**words, "file": file}, [*about, *given]),
    )


def subscribe(wanted: Subscription, registry: Registry) -> Subscribed:
    """Start the subscriber, or have the one that runs be so. Raises a ReclogError that says why it can't."""
    registry.make()
    if not is_plain(wanted.file):
        try:
            os.makedirs(base(wanted.file), mode=0o700, exist_ok=True)
        except OSError as error:
            where = base(wanted.file)
            raise StartError(f"{where} can't be made ({error.strerror}): name others with --file.") from error
    with registry.alone():
        return _subscribe_alone(wanted, registry)


def _subscribe_alone(wanted: Subscription, registry: Registry) -> Subscribed:
    cleaned = []
    for other in registry.here():
        named = bool(wanted.called) and other.name == wanted.called
        if not named and not keeps_from(other, wanted.file) and other.fact("files") != wanted.file:
            continue
        if other.is_alive() and other.kind == "subscriber" and not other.of:
            return _take_up(other, wanted, registry)
        if other.is_alive() or other.is_locked():
            raise AlreadyRecordedError(
                f"{wanted.file} is being recorded by {other.name} already: `{stop_command(other)}` stops it, "
                "--file names another file."
            )
        wanted = kept(wanted, other.facts)
        other.clean()
        cleaned.append(other.name)
    _check_files(wanted, registry)
    recording = registry.new(wanted.account.called("subscriber"), wanted.told)
    for one in registry.here():
        if one.of in cleaned and one.of != recording.name:  # it is called otherwise now
            one.clean()
    try:
        if (one_of := with_login(wanted.account, recording.folder)) != wanted.account:
            told = {**wanted.told, **recording.facts, "login": one_of.login}
            write_json(str(recording.folder / names.CONFIG), told)
    except OSError as error:
        recording.clean(began=False)
        raise StartError(f"{recording.folder} can't be written ({error.strerror}): make room.") from error
    forget_the_oldest(registry)
    begin = recording.end
    process, answer = launch("subscriber", recording, READY_WITHIN)
    if not answer.get("ready"):
        recording.clean(began=False)
        raise _reason(answer)
    notes = [*wanted.account.notes(), *map(str, answer.get("notes", ()))]
    return Subscribed(Recording(recording.folder), str(answer.get("stream")), process, begin, notes, [])


def _take_up(running: Recording, wanted: Subscription, registry: Registry) -> Subscribed:
    """Have one that runs be as it is asked for. Raises ReclogError if it can't."""
    _check_files(kept(wanted, running.facts), registry)
    new = changes(running, wanted)
    if wanted.foreground:
        refuse_foreground(running)
    notes = apply(running, new) if new else []
    changed = [spoken(name, value) for name, value in new.items()]
    return Subscribed(Recording(running.folder), running.word("stream"), None, 0, notes, changed)


def _check_files(wanted: Subscription, registry: Registry) -> None:
    """See that what becomes of pieces can be had, of all files that there are. Raises UsageError."""
    check_rotation(wanted)
    of = [one.name for one in registry.known() if one.fact("files") == wanted.file]
    for one in registry.known() if of else ():
        if one.of in of and one.file:
            check_rotation(dataclasses.replace(wanted, file=one.file))


def _named(called: str, registry: Registry) -> dict[str, Any]:
    """Return what a name stands for: the words that told one from another."""
    for one in registry.known() if called else ():
        if one.name == called and one.kind == "subscriber":
            words = {name: one.facts.get(name) for name in _OWN} | {"file": one.files}
            if words["login"] == str(one.folder / names.LOGIN):
                del words["login"]  # it was in the environment, and is kept as long as it runs
            return {name: value for name, value in words.items() if value}
    return {}


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
