"""A stretch of a recording, in a file of its own, or in a folder with a file for each sender.

Rules kept here:

- It is there whole, or not at all: it is made beside its place, under another name, synced, and then renamed.
- Nothing of anybody's is written over: what is there already is refused, unless that is an empty file, or an
  empty folder, and no recording's.
- Each gap is stated: by a line of its own where lines are stamped (in a folder those are in `gaps.log`), and
  in what is returned.
- Memory and open files grow neither with the recording nor with its senders.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import gzip
import os
import re
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from ..console import visible
from ..errors import ReclogError, UsageError
from ..recordings.recording import Recording, is_file_of
from .forms import BAR, UNKNOWN, when
from .lines import LONGEST
from .query import Gap, History, Line, Question
from .text import Text

#: Files in a folder, beyond which senders share one; how many of them are open at once.
MOST_FILES, _OPEN = 10_000, 64
_GAPS, _OTHERS = "gaps.log", "others.log"
_COMPRESSED = ".gz"
#: Characters of a sender in a file's name; of up to four bytes each, and a name has 255.
_LONGEST_NAME = 50
_BLOCK = 256 * 1024

#: The name of the file that a sender's lines go to.
Place = Callable[["str | None"], str]


@dataclasses.dataclass
class Exported:
    """What is in the file now, or in the folder."""

    lines: int = 0
    #: Bytes, without stamps that were added.
    size: int = 0
    files: int = 0
    #: Lines of which nobody knows when they came.
    undated: int = 0
    #: Those in their places, and those of which nobody knows where they belong.
    gaps: list[Gap] = dataclasses.field(default_factory=list)
    unplaced: list[Gap] = dataclasses.field(default_factory=list)


class Export:
    """What is asked of a recording, to be written once."""

    def __init__(self, history: History, question: Question, stamp: bool) -> None:
        self._history = history
        self._question = question
        self._stamp = stamp
        self._done = Exported()

    def to_file(self, out: Path, recordings: Sequence[Recording]) -> Exported:
        """Write it to a file, compressed if its name ends in .gz. Raises ReclogError.

        `recordings` are those whose files are not to be touched.
        """
        with _beside(out, recordings) as folder:
            with _Files(folder, compressed=out.suffix == _COMPRESSED) as files:
                name = out.name
                files.of(name)
                self._write(files, lambda sender: name, name)
                files.sync()
            _put(folder / out.name, out, recordings)
        return self._done

    def to_folder(self, out: Path, recordings: Sequence[Recording]) -> Exported:
        """Write it to a folder, each sender's lines to a file there. Raises ReclogError."""
        if out.suffix == _COMPRESSED:
            raise UsageError("--per-sender makes a folder: give --out a name that does not end in .gz.")
        with _beside(out, recordings) as folder:
            with _Files(folder, compressed=False) as files:
                self._write(files, _Names().of, _GAPS)
                files.sync()
            os.rename(
                folder, out
            )  # of what is there already, that replaces an empty folder alone (rename(2))
        return self._done

    def _write(self, files: _Files, place: Place, gaps: str) -> None:
        done, history = self._done, self._history
        with contextlib.ExitStack() as stack:
            try:
                source = stack.enter_context(history.opened())
            except OSError as error:
                raise ReclogError(
                    f"{history.file or 'Its file'} can't be read ({error.strerror}): "
                    "is it still what was recorded?"
                ) from error
            end = source.end
            for one in history.read(source, self._question, 0, end):
                if isinstance(one, Line):
                    self._line(files.of(place(one.sender)), source, one)
                    continue
                self._gap(files, gaps, one)
            for gap in filter(self._is_meant, history.gaps()):
                if gap.offset >= end:
                    self._gap(files, gaps, gap)
                elif gap.offset < 0:
                    done.unplaced.append(gap)
            if source.end < end:
                raise ReclogError(f"{history.file} was cut off while it was read: export it again.")
        done.files = len(files.names)

    def _line(self, file: BinaryIO, source: Text, line: Line) -> None:
        done, text = self._done, line.text
        done.lines += 1
        done.undated += line.time is None
        begin = line.offset
        if self._stamp:
            sender = (line.sender or UNKNOWN).encode("utf-8", "surrogateescape")
            file.write(_stamped(line, sender + b" "))
            begin, text = begin + line.stamp, text[line.stamp :]
        done.size += line.end - begin
        if len(line.text) < LONGEST:
            has_end = line.end - begin > len(text)
            file.write(text + b"\n" if has_end else text)
        else:
            has_end = _copy(source, begin, line.end, file).endswith(b"\n")
        if self._stamp and not has_end:
            file.write(b"\n")

    def _gap(self, files: _Files, name: str, gap: Gap) -> None:
        self._done.gaps.append(gap)
        if self._stamp:
            files.of(name).write(_stamped(gap, shown(gap).encode("utf-8") + b"\n"))

    def _is_meant(self, gap: Gap) -> bool:
        since, until = self._question.since, self._question.until
        if gap.time is None:
            return True
        return not (
            (since is not None and gap.time + (gap.seconds or 0) < since)
            or (until is not None and gap.time > until)
        )


def shown(gap: Gap) -> str:
    """Return the line that states a gap, without a time."""
    return f"{BAR} {visible(gap.sentence)} {BAR}"


class _Names:
    """A file's name for each sender: safe, and no two the same in any case of letters."""

    def __init__(self) -> None:
        self._given: dict[str | None, str] = {}
        self._taken = {_GAPS, _OTHERS}

    def of(self, sender: str | None) -> str:
        """Return it; of senders that are too many, one for all."""
        if sender not in self._given:
            if len(self._given) >= MOST_FILES:
                return _OTHERS
            self._given[sender] = self._new(UNKNOWN if sender is None else sender)
        return self._given[sender]

    def _new(self, sender: str) -> str:
        safe = re.sub(r"[^\w.-]+", "_", sender)[:_LONGEST_NAME].lstrip(".-") or "_"
        name, number = f"{safe}.log", 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{safe}-{number}.log"
        self._taken.add(name.casefold())
        return name


class _Files:
    """The files of a folder, by name, of which a few are open."""

    def __init__(self, folder: Path, compressed: bool) -> None:
        self.names: set[str] = set()
        self._folder = folder
        self._compressed = compressed
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()

    def __enter__(self) -> _Files:
        """Begin; there is no file yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them all."""
        while self._open:
            self._open.popitem()[1].close()

    def of(self, name: str) -> BinaryIO:
        """Return the file of that name, to write at its end."""
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        if len(self._open) >= _OPEN:
            self._open.popitem(last=False)[1].close()
        self.names.add(name)
        self._open[name] = self._opened(self._folder / name)
        return self._open[name]

    def sync(self) -> None:
        """Close them all, and have them on disk."""
        self.__exit__()
        for name in self.names:
            fd = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _opened(self, path: Path) -> BinaryIO:
        path.touch(mode=0o600)
        if self._compressed:
            return cast(BinaryIO, gzip.open(path, "ab", compresslevel=6))
        return path.open("ab", buffering=_BLOCK)


@contextlib.contextmanager
def _beside(out: Path, recordings: Sequence[Recording]) -> Iterator[Path]:
    """Have a folder beside `out` in which to make it; nothing is left of that. Raises ReclogError."""
    _refuse(out, recordings)
    folder = out.with_name(f".{out.name}.part")
    try:
        with contextlib.ExitStack() as stack:
            folder.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ReclogError(f"{out} is being written by another export: name another file.") from error
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            for left in folder.iterdir():  # by one that was killed
                left.unlink()
            yield folder
    except OSError as error:
        raise ReclogError(f"{out} can't be written ({error.strerror}): name another one.") from error


def _refuse(out: Path, recordings: Sequence[Recording]) -> None:
    """Refuse a place where something is that could be missed. Raises ReclogError."""
    if out.name in ("", ".", ".."):
        raise UsageError(f"--out {str(out)!r} is no file's name: give one that is not there yet.")
    for recording in recordings:
        if is_file_of(recording, str(out)):
            raise ReclogError(f"{out} is the file of {recording.name}: name another one.")
    try:
        is_empty = not any(out.iterdir()) if out.is_dir() else out.is_file() and not out.stat().st_size
    except OSError:
        is_empty = False
    if os.path.lexists(out) and (not is_empty or out.is_symlink()):
        raise ReclogError(f"{out} is there already: name another one, or remove it.")


def _put(made: Path, out: Path, recordings: Sequence[Recording]) -> None:
    """Give a file its name; what came there meanwhile is refused. Raises ReclogError, OSError."""
    try:
        os.link(made, out)
    except OSError:  # an empty file is there, or no file has two names here
        _refuse(out, recordings)
        os.replace(made, out)


def _copy(source: Text, begin: int, end: int, file: BinaryIO) -> bytes:
    """Copy a stretch; return the last of what was copied."""
    data = b""
    while begin < end and (block := source.pread(min(_BLOCK, end - begin), begin)):
        file.write(block)
        begin, data = begin + len(block), block
    return data


def _stamped(one: Line | Gap, rest: bytes) -> bytes:
    return f"{when(one) or UNKNOWN} ".encode("ascii") + rest
