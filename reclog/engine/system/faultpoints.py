"""Named points at which a test makes a daemon die, freeze or fail. Without its variable there are none.

`RECLOG_FAULTPOINTS` names a folder. A file in it with the name of a point arms that point: the first process
that reaches it renames the file (so it happens once) and does what the file says:

    kill           SIGKILL itself
    stop           SIGSTOP itself
    fail ERRNO     the operation fails: `fail EIO`, `fail ENOSPC`
    short BYTES    a write takes only so many bytes

A point is `<what>.<before|after>-<operation>`: the operations (write, truncate, sync, create, link, replace,
delete) on what they are done to (`file`, the `new` one that takes its place, a `piece`, a `packed` one, the
`journal` of these, `index`, `segment`, `folder`, or a state file's name, as `spool.json`), and the acks that
a collector sends and a relay takes: `ack.before-send`, `ack.after-send`, `ack.before-take`, `ack.after-take`.
Without the variable a daemon has the plain disk, so that the points cost nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
from typing import Dict, Iterator

from .disk import DISK, Data, Disk

VARIABLE = "RECLOG_FAULTPOINTS"


class FaultyDisk(Disk):
    """The real disk, with points before and after what changes it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: Dict[int, str] = {}

    def reach(self, point: str) -> str:
        """Do what the point is armed with; return the words that only its operation can follow.

        Raises OSError if it is told to.
        """
        path = os.path.join(self._folder, point)
        reached = f"{path}.reached"
        try:
            os.rename(path, reached)
        except OSError:
            return ""  # not armed, or another process was first
        with open(reached, encoding="ascii") as file:
            words = file.read().strip()
        if words == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif words == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif words.startswith("fail "):
            number = int(getattr(errno, words.split()[1]))
            raise OSError(number, os.strerror(number))
        return words

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        name = _what(path)
        if not flags & os.O_CREAT or os.path.exists(path):
            fd = super().open(path, flags, mode)
        else:
            with self._at(name, "create"):
                fd = super().open(path, flags, mode)
        self._names[fd] = name
        return fd

    def write(self, fd: int, data: Data) -> int:
        words = self.reach(f"{self._names[fd]}.before-write")
        if words.startswith("short "):
            data = memoryview(data)[: max(1, int(words.split()[1]))]
        count = super().write(fd, data)
        self.reach(f"{self._names[fd]}.after-write")
        return count

    def truncate(self, fd: int, size: int) -> None:
        with self._at(self._names[fd], "truncate"):
            super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        with self._at(self._names[fd], "sync"):
            super().fsync(fd)

    def fdatasync(self, fd: int) -> None:
        with self._at(self._names[fd], "sync"):
            super().fdatasync(fd)

    def link(self, path: str, by: str) -> None:
        with self._at(_what(by), "link"):
            super().link(path, by)

    def replace(self, path: str, by: str) -> None:
        with self._at(_what(by), "replace"):
            super().replace(path, by)
            # What is open of a new file is the file's from now on.
            self._names = {fd: _what(by) if name == "new" else name for fd, name in self._names.items()}

    def unlink(self, path: str) -> None:
        with self._at(_what(path), "delete"):
            super().unlink(path)

    @contextlib.contextmanager
    def _at(self, name: str, operation: str) -> Iterator[None]:
        """Have a point before and one after an operation; none after it where it fails."""
        self.reach(f"{name}.before-{operation}")
        yield
        self.reach(f"{name}.after-{operation}")


def disk() -> Disk:
    """Return the disk that this process is to use."""
    folder = os.environ.get(VARIABLE)
    return FaultyDisk(folder) if folder else DISK


def _what(path: str) -> str:
    name = os.path.basename(path)
    if re.search(r"\.\d{8}T\d{6}\.\d{3}Z", name):
        return {".new": "new", ".gz": "packed", ".tmp": "packed"}.get(os.path.splitext(name)[1], "piece")
    if name == "journal":
        return name
    if name.startswith("index."):
        return "index"
    if name.endswith(".seg"):
        return "segment"
    if name.endswith(".new"):  # the next state of NAME.json is NAME.json.<pid>.new
        return name.rsplit(".", 2)[0]
    if name.endswith(".json"):
        return name
    return "folder" if os.path.isdir(path) else "file"
