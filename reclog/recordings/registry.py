"""What runs, by its folders in the state directory: one folder a recording."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from reclog.engine.records import names
from reclog.engine.records.jsonfile import write_json

from ..errors import StateError
from .recording import Recording as Recording


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
