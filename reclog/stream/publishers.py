"""Publishers on this machine: start one, tell of them, stop them. (What speaks to a stream is its daemon.)"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reclog.engine.records import names
from reclog.engine.records.events import timestamp
from reclog.engine.records.jsonfile import write_json

from ..console import counted, size
from ..errors import AlreadyRecordedError, StartError, StateError
from ..recordings.launch import launch
from ..recordings.processes import end, exact, marked
from ..recordings.recording import Recording, number, word_of
from ..recordings.registry import Registry
from ..recordings.stopped import LastWord
from ..words import inv
from .account import Account, with_login
from .asked import STREAM, PublisherConfig

#: Seconds for one to bring what is left and end: what it allows itself, and some for the rest.
END_WITHIN = 13.0
#: Recordings that are named in one sentence.
_MOST_NAMED = 3


class Publishers(Registry):
    """The publishers of this user, each with a folder of its own."""

    @property
    def folder(self) -> Path:
        """Where their folders are."""
        return self.root / "publishers"

    def logged(self) -> list[Recording]:
        """Return those that run or ran, as far as their event logs are there."""
        return [Recording(folder) for folder in self._folders(names.EVENTS)]


@dataclasses.dataclass
class Started:
    """A publisher that works."""

    publisher: Recording
    #: What the person should know.
    notes: list[str]
    #: It did before.
    ran: bool = False


def start(wanted: PublisherConfig, registry: Publishers) -> Started:
    """Start the publisher that is wanted. Raises a ReclogError that says why it can't be."""
    registry.make()
    with registry.alone():
        for other in registry.here():
            if _same_stream(other, wanted):
                if other.is_alive():
                    return _as_it_is(other, wanted)
                end(marked(registry.folder).get(other.folder, []), term_within=1.0)
                other.clean(began=False)
        config = {**wanted.to_json(), "kind": "publisher"}
        one = registry.new(wanted.called("publisher"), config)
        try:
            account = with_login(wanted, one.folder)
            write_json(str(one.folder / names.CONFIG), {**config, "login": account.login, "name": one.name})
            _, answer = launch("publisher", one)
        except OSError as error:
            answer = {"message": f"{one.folder} can't be written ({error.strerror}): make room there."}
        if not answer.get("ready"):
            _forget_login(one)
            one.clean(began=False)
            raise StartError(str(answer.get("message")))
    return Started(Recording(one.folder), [str(note) for note in answer.get("notes", [])])


def stop(publishers: Sequence[Recording], registry: Publishers) -> tuple[list[str], list[str]]:
    """Stop them together; return how each ended, and what was not published, a sentence each."""
    families = marked(registry.folder)
    daemons = [exact(one.identity) if one.identity is not None else None for one in publishers]
    began = timestamp()
    words = [LastWord(one, daemon, began) for one, daemon in zip(publishers, daemons)]
    forced = {process.pid for process in end([one for one in daemons if one is not None], END_WITHIN)}
    said, problems = [], []
    for one, daemon, word in zip(publishers, daemons, words):
        facts = word.facts()
        end(families.get(one.folder, []), term_within=1.0)
        said.append(f"{one.name} stopped." if daemon is not None else f"{one.name} was dead; cleaned up.")
        left, reason = number(facts.get("left_bytes")), word_of(facts.get("reason"))[:300]
        again = f"`{again_command(one)}` goes on there"
        if left:
            problems.append(
                f"{one.name}: {size(left)} not published{f' ({reason})' if reason else ''}: {again}."
            )
        elif daemon is not None and (daemon.pid in forced or facts.get("drained") is not True):
            problems.append(f"{one.name}: it is not known whether all is published: {again}.")
        try:
            _forget_login(one)
            one.clean(began=False)
        except (OSError, StateError) as error:  # of the others it is to be said, too
            problems.append(str(error))
    return said, problems


def taken_out(words: Sequence[str], registry: Publishers) -> tuple[list[Recording], list[str]]:
    """Return the publishers that are among the names, and the other names."""
    known = {one.name: one for one in registry.here()} if words else {}
    return [known[name] for name in dict.fromkeys(words) if name in known], [
        n for n in words if n not in known
    ]


def describe(publishers: Sequence[Recording]) -> list[dict[str, Any]]:
    """Return one object a publisher, with the keys that the command line promises."""
    described = []
    for one in publishers:
        alive = one.is_alive()
        told = one.counters.get("recordings")
        state = one.word("state") if alive else "dead"
        described.append(
            {
                "name": one.name,
                "kind": "publisher",
                "state": state if state in ("publishing", "waiting", "dead") else "publishing",
                "waiting_for": (one.word("waiting_for") if alive else "") or None,
                "to": one.listed("servers"),
                "again": again_command(one),
                "stream": one.fact("stream"),
                "machine": one.fact("machine"),
                "replicas": number(one.counters.get("replicas")) or None,
                "lag_bytes": one.count("lag_bytes"),
                "reconnects": one.count("reconnects"),
                "started": one.fact("started") or None,
                "recordings": [_lane(each) for each in (told if isinstance(told, list) else ())],
                "events": str(one.folder / names.EVENTS),
                "holes": str(one.folder / names.HOLES),
            }
        )
    return described


def sentences(described: Sequence[dict[str, Any]]) -> list[str]:
    """Return what a person should know of publishers, a sentence for each and for each that waits."""
    said = []
    for one in described:
        what = counted(len(one["recordings"]), "recording")
        where = f"{one['name']} publishes {what} to {', '.join(one['to'])}"
        if one["state"] == "dead":
            said.append(f"{one['name']} is dead: `{one['again']}` goes on where it was.")
            continue
        behind = f", {size(one['lag_bytes'])} behind" if one["lag_bytes"] else ""
        whole = ", all of it" if one["recordings"] and one["state"] == "publishing" else ""
        said.append(f"{where}{behind or whole}.")
        waits: dict[str, list[str]] = {}
        for lane in one["recordings"]:
            if lane["waiting_for"]:
                waits.setdefault(lane["waiting_for"], []).append(str(lane["name"]))
        if one["waiting_for"] and one["waiting_for"] not in waits:  # no server: none can go on
            waits = {one["waiting_for"]: [one["name"]]}
        said += [f"{_several(names)}: {why}." for why, names in waits.items()]
    return said


def again_command(one: Recording) -> str:
    """Return the command that starts a publisher anew."""
    words = ["--to", ",".join(one.listed("servers"))]
    ours = {"stream": STREAM, "machine": socket.gethostname(), "login": str(one.folder / names.LOGIN)}
    for name in ("stream", "machine", *Account.OPTIONS):
        value = one.fact(name)
        if value and value != ours.get(name):
            words += [f"--{name}", value]
    words += ["--any-stream"] if one.facts.get("any_stream") is True else []
    return inv("publish", *words, *one.listed("recordings"))


def _several(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMED:
        return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more wait"
    return f"{', '.join(names)} {'wait' if len(names) > 1 else 'waits'}"


def _same_stream(other: Recording, wanted: PublisherConfig) -> bool:
    return sorted(other.listed("servers")) == sorted(wanted.servers) and other.fact("stream") == wanted.stream


def _as_it_is(other: Recording, wanted: PublisherConfig) -> Started:
    """Return a publisher that runs, if it is as it is wanted. Raises AlreadyRecordedError."""
    now = {**wanted.to_json(), "login": other.facts.get("login")}
    if any(
        other.facts.get(name, value) != value for name, value in now.items() if value or name == "recordings"
    ):
        raise AlreadyRecordedError(
            f"{other.name} publishes there already, and otherwise: `{inv('kill', other.name)}` stops it."
        )
    return Started(other, [], ran=True)


def _forget_login(one: Recording) -> None:
    """Remove the login that was kept for it, unless it comes back at boot."""
    if not (one.folder / "boot.json").exists():
        (one.folder / names.LOGIN).unlink(missing_ok=True)


def _lane(told: Any) -> dict[str, Any]:
    facts = told if isinstance(told, dict) else {}
    return {
        **{
            name: word_of(facts.get(name))[:500] or None
            for name in ("name", "subject", "state", "waiting_for")
        },
        **{
            name: number(facts.get(name)) for name in ("published", "lag_bytes", "messages", "gaps", "others")
        },
    }
