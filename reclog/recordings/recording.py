"""One recording, by its folder in the state directory: what it is or was, and what it says of itself."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

from reclog.engine.daemons.asking import Reached, ask
from reclog.engine.records import names, past
from reclog.engine.records.jsonfile import clear_unfinished, read_json
from reclog.engine.stores import pieces
from reclog.engine.system.identity import Identity, boot_id

from ..errors import StateError
from .logs import last_event
from .processes import is_suspended

KINDS = ("local", "tremplin", "subscriber")
#: What a recording of a kind goes on from, when it begins again after it was stopped.
_GOES_ON_FROM = {"subscriber": {names.CHECKPOINT}}


class Recording:
    """One folder of the registry, as it was when it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        #: What it is: the state file's facts, or the config's when that one can't be read.
        self.facts: dict[str, Any] = {}
        self.identity: Identity | None = None
        #: Why its state file can't be used; empty if it can.
        self.corrupt = ""
        self.counters: dict[str, Any] = {}
        #: It has ended; what it was is in its folder.
        self.is_past = has(folder, names.PAST) and not has(folder, names.STATE, names.CONFIG)
        self.reached = Reached.ABSENT
        if self.is_past:
            self.facts.update(recalled(folder))
            counters = self.facts.get("counters")
            self.counters = counters if isinstance(counters, dict) else {}
            return
        with contextlib.suppress(OSError, ValueError):
            self.facts.update(read_json(str(folder / names.CONFIG)))
        with contextlib.suppress(OSError, ValueError):
            self.counters = read_json(str(folder / names.COUNTERS))
        #: Who answered for it. What it says itself comes before its files, which a full disk keeps old.
        self.reached, said = ask(folder)
        state, counters = said.get("state"), said.get("counters")
        try:
            if isinstance(state, dict) and isinstance(counters, dict):
                self.counters = counters
            else:
                state = read_json(str(folder / names.STATE))
            self.facts.update(state)
            self.identity = Identity.from_json(self.facts.get("identity"))
        except FileNotFoundError:
            self.corrupt = "it has no state file"
        except (OSError, ValueError) as error:
            self.corrupt = f"its state file can't be read ({error})"

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        kind = self.facts.get("kind")
        return kind if kind in KINDS else "local"

    @property
    def of(self) -> str:
        """The subscriber that has this among its files, and is its daemon; empty if it is nobody's."""
        return self.fact("of")

    @property
    def is_called(self) -> bool:
        """Whether its name was given to it, by `--as`."""
        return self.fact("called") == self.name

    @property
    def file(self) -> str:
        """The recorded file, absolute; empty if unknown. Where its state is lost its journal may know."""
        file = self.fact("file") or pieces.read(str(self.folder)).file
        try:
            os.fsencode(file)
        except ValueError:  # half of a surrogate pair
            return ""
        return "" if "\0" in file else file

    @property
    def files(self) -> str:
        """The recorded file; or, of a subscriber with several, what those are called."""
        return self.file or self.fact("files")

    @property
    def end(self) -> int:
        """The recording offset of the next byte, behind its pieces and its file."""
        base = pieces.base(str(self.folder))
        with contextlib.suppress(OSError):
            return base + os.stat(self.file).st_size
        return base

    @property
    def port(self) -> int:
        """The port that senders use; 0 if unknown, or none."""
        return self.port_named("port")

    @property
    def host(self) -> str:
        """The host of the tremplin; empty for a local recording."""
        return self.fact("host")

    @property
    def bind(self) -> str:
        """The numeric address that it listens on; empty if unknown."""
        bind = self.fact("bind")
        with contextlib.suppress(ValueError):
            return bind if ipaddress.ip_address(bind) else ""
        return ""

    @property
    def hears_datagrams(self) -> bool:
        """Whether they are recorded: a recorder tells, it may have no port; a relay does as asked."""
        if self.host:
            return self.facts.get("udp") is True and not self.fact("token")
        return self.counters.get("udp") is True

    @property
    def ended_at(self) -> float:
        """When one that is past ended, in epoch seconds; as far as that is known: its record is from then."""
        with contextlib.suppress(OSError):
            return os.stat(self.folder / names.PAST).st_mtime
        return 0.0

    def fact(self, name: str) -> str:
        """Return a fact that is a word; empty if it is unknown, or none."""
        return word_of(self.facts.get(name))

    def listed(self, name: str) -> list[str]:
        """Return the words of a fact that is a list; none if it is unknown, or no list."""
        value = self.facts.get(name)
        return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

    def port_named(self, name: str) -> int:
        """Return a fact that is a port; 0 if it is unknown, or none."""
        port = self.facts.get(name)
        return port if type(port) is int and 0 < port < 65536 else 0

    def count(self, name: str) -> int:
        """Return a counter; 0 if it is unknown, or no number."""
        return number(self.counters.get(name))

    def word(self, name: str) -> str:
        """Return a word of the counters; empty if it is unknown, or none."""
        return word_of(self.counters.get(name))[:500]

    def is_alive(self) -> bool:
        """Tell whether its daemon runs and can be reached from here."""
        return self.identity is not None and self.identity.is_alive()

    def is_elsewhere(self) -> bool:
        """Tell whether its daemon runs where we can't see it: in another container, on another host."""
        identity = self.identity
        if identity is None or identity.is_here():
            return False
        if identity.host == socket.gethostname() and identity.boot != boot_id():
            return False  # this host was booted since
        return self.is_locked()

    def is_locked(self) -> bool:
        """Tell whether a daemon holds the folder, wherever it runs."""
        try:
            fd = os.open(self.folder / names.LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    @property
    def state(self) -> str:
        """`recording`, `paused`, `reconnecting`, `stopped` (by SIGSTOP), `dead` or `past`."""
        if self.is_past:
            return "past"
        if not self.is_alive():
            return "dead"
        if self.reached is Reached.SILENT and self.identity is not None and is_suspended(self.identity):
            return "stopped"
        state = self.word("state")
        return state if state in ("paused", "reconnecting") else "recording"

    def clean(self, began: bool = True) -> None:
        """Remove what only a running recording has; the rest stays, as history. Raises StateError.

        One that never `began` is what it was before.
        """
        if began:
            self._keep()
            with contextlib.suppress(OSError, ValueError):
                past.keep_for_boot(str(self.folder), read_json(str(self.folder / names.CONFIG)))
        left = None
        stays = {names.LOGIN} if has(self.folder, names.BOOT) else set()
        for name in set(names.ONLY_WHILE_IT_RUNS) - _GOES_ON_FROM.get(self.kind, set()) - stays:
            path = self.folder / name
            try:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            except FileNotFoundError:
                pass
            except OSError as error:
                left = error
        try:
            clear_unfinished(str(self.folder))
        except OSError as error:
            left = error
        if left is not None:
            raise StateError(f"{left.filename} can't be removed ({left.strerror}): remove it by hand.")
        if not has(self.folder, names.EVENTS):
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def _keep(self) -> None:
        """Keep what it was, unless it never ran, or did so as it ended by itself."""
        now = Recording(self.folder)
        if now.is_past or now.facts.get("starting"):
            return
        started = now.fact("started") or word_of(last_event(self.folder, "started").get("time"))
        if started and word_of(recalled(self.folder).get("ended")) < started:
            ended = word_of(last_event(self.folder, "stopped").get("time"))
            past.keep(str(self.folder), now.facts, now.counters, ended if ended >= started else "")


def is_file_of(recording: Recording, path: str) -> bool:
    """Tell whether `path` is a name of the file that is recorded to."""
    try:
        return os.path.samefile(recording.file, path)
    except OSError:  # one of them is not there
        return recording.file != "" and os.path.realpath(recording.file) == os.path.realpath(path)


def recalled(folder: Path) -> dict[str, Any]:
    """Return what the recording in `folder` was when it last ended; empty if that is not known."""
    with contextlib.suppress(OSError, ValueError):
        return read_json(str(folder / names.PAST))
    return {}


def has(folder: Path, *files: str) -> bool:
    """Tell whether a folder holds one of `files`."""
    return any(os.path.lexists(folder / name) for name in files)


def number(value: Any) -> int:
    """Return `value` if it is a number of things; 0 if it is none."""
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def word_of(value: Any) -> str:
    """Return `value` if it is a word; empty if it is none."""
    return value if isinstance(value, str) else ""
