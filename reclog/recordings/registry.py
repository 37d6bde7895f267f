"""What runs and what ran, by its folders in the state directory: one folder a recording."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs

from reclog.engine.records import names
from reclog.engine.records.jsonfile import write_json

from ..errors import NameTakenError, StateError
from ..words import inv
from .recording import Recording as Recording
from .recording import has, is_file_of, word_of


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
        return [Recording(folder) for folder in self._folders(names.STATE, names.CONFIG)]

    def past(self) -> list[Recording]:
        """Return those that have ended, and are not forgotten: who was the last to end comes first."""
        ended = [one for one in map(Recording, self._folders(names.PAST)) if one.is_past]
        return sorted(ended, key=lambda one: one.ended_at, reverse=True)

    def known(self) -> list[Recording]:
        """Return all, those that have ended behind the others."""
        return [*self.recordings(), *self.past()]

    def _folders(self, *files: str) -> list[Path]:
        """Return the folders that hold one of `files`, by name. Raises StateError."""
        try:
            return [folder for folder in sorted(self.folder.iterdir()) if _holds(folder, files)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error

    @contextlib.contextmanager
    def names_settled(self) -> Iterator[None]:
        """Have nobody else take a folder up, or away, meanwhile. Raises OSError."""
        with _locked(self.folder):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only command that starts or stops local recordings: each would clean up the other's folder.

        Whoever is second waits, no longer than a start or a stop takes.
        """
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # nothing was ever started, or `new` will say why it can't be
                held.enter_context(_locked(self.root))
            yield

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
        """Make the folder of a new recording; `name` gets a number if it is taken. Raises StateError.

        A file that was recorded before has one, with its index: that is taken up, and is called as it was.
        What the config says that it is called is its name. Raises NameTakenError where another one has that.
        """
        self.make()
        try:
            with self.names_settled():
                own, called = self._own(config), word_of(config.get("called"))
                called = called or (own.name if own is not None and own.is_called else "")
                folder = self._called(called, own) if called else self._place(name, own)
                folder.mkdir(mode=0o700, exist_ok=True)
                told = {**config, "name": folder.name, "called": called}
                write_json(str(folder / names.CONFIG), told)
        except OSError as error:
            raise self._unusable(error) from error
        return Recording(folder)

    def _own(self, config: Mapping[str, Any]) -> Recording | None:
        """Return the past recording of the file, or the files, that a config names."""
        file, files = word_of(config.get("file")), word_of(config.get("files"))
        for one in self.past() if file or files else ():
            if (file and is_file_of(one, file)) or (files and files == one.fact("files")):
                return one
        return None

    def _called(self, name: str, own: Recording | None) -> Path:
        folder = self.folder / name
        if own is not None and own.name == name:
            return folder
        if has(folder, names.CONFIG, names.PAST) or Recording(folder).is_locked():
            other = Recording(folder)
            free = f", or `{inv('history', '--forget', name)}`" if other.is_past else ""
            raise NameTakenError(
                f"{name} is the recording of {other.files}: give another name with --as{free}."
            )
        return own.folder.rename(folder) if own is not None else folder

    def _place(self, name: str, own: Recording | None) -> Path:
        if own is not None and re.fullmatch(rf"{re.escape(name)}(-\d+)?", own.name):
            return own.folder
        number = 1
        while True:
            folder = self.folder / (name if number == 1 else f"{name}-{number}")
            if own is not None and not os.path.lexists(folder):
                return _moved(own.folder, folder)
            taken = has(folder, names.CONFIG, names.PAST) or Recording(folder).is_locked()
            if own is None and not taken:
                return folder
            number += 1

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


def _moved(folder: Path, to: Path) -> Path:
    """Give a folder another name; what started it at boot knows the first one alone."""
    folder.rename(to)
    with contextlib.suppress(FileNotFoundError):
        (to / names.BOOT).unlink()
    return to


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, where its file system has locks. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _holds(folder: Path, files: Sequence[str]) -> bool:
    try:
        found = os.listdir(folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False  # cleaned up meanwhile, or nothing of ours
        raise
    return not folder.name.startswith(".") and any(name in found for name in files)
