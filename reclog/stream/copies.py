"""The copies of a subscriber: which recording goes into which file.

Rules kept here:

- A file without {machine} and {recording} in its name takes the first recording that comes, and no other.
  Else each has a file of its own, `MOST` at most: whoever may publish can make names at will.
- What is not taken is counted, and said, by its subject.
- A file that can't be opened holds all up, as a full disk does: nothing is passed over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from reclog.engine.daemons.daemon import Daemon
from reclog.engine.errors import EngineError
from reclog.engine.records import names
from reclog.engine.stores.rotation import Rotating

from ..errors import ReclogError
from ..recordings.registry import Registry
from .copied import Copy
from .member import OF, Member, members
from .message import parts
from .naming import file_for, make_folders

#: Files at most: each has four descriptors, and up to half a MiB of memory when much comes.
MOST = 100


class NotTaken(ReclogError):
    """A message is of no recording that is taken; the message says why."""


class Copies:
    """By subject."""

    def __init__(
        self,
        daemon: Daemon,
        file: str,
        files: str,
        whole: bool,
        rotating: Rotating,
        settled: Callable[[], None],
    ) -> None:
        """Either `file`, a plain name, or `files` with room for names, is given."""
        self._daemon = daemon
        self._file = file
        self._files = files
        self._whole = whole
        self._rotating = rotating
        self._settled = settled
        self._registry = Registry(Path(daemon.folder).parent.parent)
        self._by_subject: dict[str, Copy] = {}
        self._members: dict[Copy, Member] = {}
        self._plain: Copy | None = None

    def open(self) -> None:
        """Take up what there is. Raises EngineError."""
        if self._file:
            self._plain = self._copy(self._daemon.folder, self._file, self._daemon.log.say)
            self._plain.open()
            return
        for folder, told in members(self._registry, Path(self._daemon.folder).name).items():
            copy = self._open(folder, str(told.get("file")))
            self._by_subject[copy.subject or str(told.get("subject"))] = copy

    def __iter__(self) -> Iterator[Copy]:
        """Iterate over all that there are."""
        return iter([self._plain] if self._plain else self._by_subject.values())

    def of(self, subject: str) -> Copy:
        """Return the copy of a subject's recording. Raises NotTaken, and what is in `NOT_NOW`."""
        if self._plain is not None:
            if self._plain.subject not in ("", subject):
                raise NotTaken(
                    f"{self._file} takes {self._plain.subject} alone: name one with --subject, or put "
                    "{machine} and {recording} in --file"
                )
            return self._plain
        found = self._by_subject.get(subject)
        return found if found is not None else self._new(subject)

    def rotate_as(self, rotating: Rotating) -> None:
        """Have all files cut so from now on."""
        self._rotating = rotating
        for copy in self:
            copy.landing.rotate_as(rotating)

    def close(self) -> None:
        """Settle what can be, and leave what each was."""
        for copy in self:
            copy.close()
            facts = copy.facts()
            if (member := self._members.get(copy)) is not None:
                lines, count = facts["lines"], facts["bytes"]
                member.end(
                    {"lines": lines, "bytes": count, "drained": copy.is_settled, "left_bytes": copy.left}
                )

    # -- inside ---------------------------------------------------------------------------------

    def _new(self, subject: str) -> Copy:
        try:
            machine, recording = parts(subject)
        except ValueError as error:
            raise NotTaken(str(error)) from error
        if len(self._by_subject) >= MOST:
            raise NotTaken(f"there are {MOST} recordings already: name fewer with --subject")
        where = file_for(self._files, machine, recording)
        if any(_is_one(copy.landing.path, where.file) for copy in self):
            raise NotTaken(
                f"{where.file} takes another recording: put {{machine}} and {{recording}} into --file"
            )
        make_folders(self._files, where.file)
        of = Path(self._daemon.folder).name
        told = {"kind": "subscriber", OF: of, "file": where.file, "subject": subject}
        folder = self._registry.new(f"{of}.{where.name}", told).folder
        try:
            copy = self._by_subject[subject] = self._open(folder, where.file)
        except NOT_NOW:
            with contextlib.suppress(OSError):  # the next attempt has it
                os.unlink(folder / names.CONFIG)
                os.rmdir(folder)  # unless something is known of the file
            raise
        return copy

    def _open(self, folder: Path, file: str) -> Copy:
        member = Member(self._daemon, str(folder))
        copy = self._copy(str(folder), file, member.log.say)
        copy.open()
        self._members[copy] = member
        told = {"kind": "subscriber", OF: Path(self._daemon.folder).name, "file": file, "name": folder.name}
        member.begin({**told, "subject": copy.subject}, copy.changes, copy.facts)
        member.log.say("started", file=file, spool=copy.landing.spool, offset=copy.landing.offset)
        return copy

    def _copy(self, folder: str, file: str, say: Callable[..., None]) -> Copy:
        return Copy(
            self._daemon.loop,
            folder,
            os.path.abspath(file),
            say,
            self._daemon.disk,
            self._whole,
            self._settled,
            self._rotating,
        )


def _is_one(path: str, other: str) -> bool:
    """Tell whether two names are one file's: there are file systems to which A is a."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return path == other


#: What opening a copy may raise, that may be over later.
NOT_NOW = (EngineError, ReclogError, OSError)
