"""What runs, by its folders in the state directory: one folder a recording."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from reclog.engine.daemons.asking import Reached, ask
from reclog.engine.records import names
from reclog.engine.records.jsonfile import clear_unfinished, parse_json, read_json, write_json
from reclog.engine.system.identity import Identity, boot_id

from ..errors import StateError
from .processes import is_suspended


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
        with contextlib.suppress(OSError, ValueError):
            self.facts.update(read_json(str(folder / names.CONFIG)))
        self.counters: dict[str, Any] = {}
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
        """`local` or `tremplin`."""
        return "tremplin" if self.facts.get("kind") == "tremplin" else "local"

    @property
    def file(self) -> str:
        """The recorded file, absolute; empty if unknown."""
        file = self.fact("file")
        try:
            os.fsencode(file)
        except ValueError:  # half of a surrogate pair
            return ""
        return "" if "\0" in file else file

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

    def fact(self, name: str) -> str:
        """Return a fact that is a word; empty if it is unknown, or none."""
        return _word(self.facts.get(name))

    def port_named(self, name: str) -> int:
        """Return a fact that is a port; 0 if it is unknown, or none."""
        port = self.facts.get(name)
        return port if type(port) is int and 0 < port < 65536 else 0

    def count(self, name: str) -> int:
        """Return a counter; 0 if it is unknown, or no number."""
        return number(self.counters.get(name))

    def word(self, name: str) -> str:
        """Return a word of the counters; empty if it is unknown, or none."""
        return _word(self.counters.get(name))[:500]

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
        """`recording`, `paused`, `reconnecting`, `stopped` (by SIGSTOP) or `dead`."""
        if not self.is_alive():
            return "dead"
        if self.reached is Reached.SILENT and self.identity is not None and is_suspended(self.identity):
            return "stopped"
        state = self.word("state")
        return state if state in ("paused", "reconnecting") else "recording"

    def last_event(self, event: str) -> dict[str, Any]:
        """Return the facts of the newest `event` in its logs; empty if there is none."""
        lines: list[bytes] = []
        # A daemon from before has events only; what was rotated just now is in the file beside.
        for name in (names.EVENTS, names.HOLES):
            for path in (self.folder / f"{name}.1", self.folder / name):
                with contextlib.suppress(OSError):
                    lines += path.read_bytes()[-65536:].splitlines()
        newest: dict[str, Any] = {}
        for line in lines:
            with contextlib.suppress(ValueError):
                facts = parse_json(line)
                if facts.get("event") == event and _word(facts.get("time")) >= _word(newest.get("time")):
                    newest = facts
        return newest

    def clean(self) -> None:
        """Remove what only a running recording has; its event log stays, as history. Raises StateError."""
        left = None
        for name in names.ONLY_WHILE_IT_RUNS:
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
        if not (self.folder / names.EVENTS).exists():
            with contextlib.suppress(OSError):
                self.folder.rmdir()


class Registry:
    """The recordings of this user, as their folders tell."""

    def __init__(self, root: Path | None = None) -> None:
        # A daemon has its folder as its working directory: a relative path would mean another place to it.
        self.root = (root or platformdirs.user_state_path("reclog")).absolute()

    @property
    def folder(self) -> Path:
        """Where the recordings' folders are."""
        return self.root / "recordings"

    def recordings(self) -> list[Recording]:
        """Return all that run or ran without being stopped, by name."""
        try:
            return [Recording(folder) for folder in sorted(self.folder.iterdir()) if _is_recording(folder)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only command that starts or stops local recordings: each would clean up the other's folder.

        Whoever is second waits, no longer than a start or a stop takes.
        """
        try:
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            yield  # nothing was ever started, or `new` will say why it can't be
            return
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def one_at_a_time(self, name: str) -> Iterator[None]:
        """Have a second command for the same recording wait for the first. Raises StateError."""
        self.make()
        folder = self.folder / name
        while True:
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # the first command has just removed it
            except OSError as error:
                raise StateError(f"{folder} can't be used ({error.strerror}): make it yours.") from error
            fcntl.flock(fd, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(folder)):
                    break
            os.close(fd)
        try:
            yield
        finally:
            os.close(fd)
            with contextlib.suppress(OSError):
                folder.rmdir()  # it is empty where nothing was opened

    def here(self) -> Iterator[Recording]:
        """Yield the recordings that are of this machine, running or dead."""
        return (recording for recording in self.recordings() if not recording.is_elsewhere())

    def new(self, name: str, config: Mapping[str, Any]) -> Recording:
        """Make the folder of a new recording; `name` gets a number if it is taken. Raises StateError."""
        number = 1
        while True:
            folder = self.folder / (name if number == 1 else f"{name}-{number}")
            recording = Recording(folder)
            if not (folder / names.CONFIG).exists() and not recording.is_locked():
                break
            number += 1
        try:
            self.make()
            folder.mkdir(mode=0o700, exist_ok=True)
            write_json(str(folder / names.CONFIG), {**config, "name": folder.name})
        except OSError as error:
            raise self._unusable(error) from error
        return Recording(folder)

    def make(self) -> None:
        """Make the state directory, for this user alone. Raises StateError."""
        try:
            self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for private in (self.root, self.folder):  # `parents` are made with the umask alone
                private.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> StateError:
        full = error.errno == errno.ENOSPC
        what = "make room there" if full else "make it yours (chown, chmod u+rwx)"
        other = f"{what}, or set XDG_STATE_HOME to one that {'has room' if full else 'is'}."
        return StateError(f"The state directory {self.root} can't be used ({error.strerror}): {other}")


def _is_recording(folder: Path) -> bool:
    try:
        found = os.listdir(folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False  # cleaned up meanwhile, or nothing of ours
        raise
    return names.STATE in found or names.CONFIG in found


def number(value: Any) -> int:
    """Return `value` if it is a number of things; 0 if it is none."""
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
