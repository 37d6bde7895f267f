"""Follow a recorded file as `tail -F` does, with nothing in it that a terminal would obey."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..console import visible

#: Seconds between two looks at a file that does not grow.
LOOK_EVERY = 0.1
_BLOCK = 64 * 1024
#: A line longer than this is shown in pieces.
_LONGEST = 1024 * 1024


def last_lines(file: BinaryIO, count: int) -> list[bytes]:
    """Return the last `count` lines of `file`, reading from its end, and leave it behind them."""
    end = position = file.seek(0, os.SEEK_END)
    data = b""
    while position > 0 and data.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
    file.seek(end)  # not the end as it is now: what was added meanwhile is still to be read
    lines = data.splitlines(keepends=True) if b"\r" not in data else data.replace(b"\r\n", b"\n").split(b"\n")
    if b"\r" in data:
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return lines[-count:] if count else []


def follow(path: str, count: int, goes_on: Callable[[], bool]) -> Iterator[str]:
    """Yield the last `count` lines of the file at `path`, then each new one, while `goes_on()`.

    A file that is replaced or truncated is read from its beginning, a missing one waited for.
    """
    file: BinaryIO | None = None
    rest = b""
    first = True
    replaced = False
    while True:
        if file is None:
            file = _open(path)
            if file is not None and first:
                for line in last_lines(file, count):
                    if line.endswith(b"\n"):
                        yield _shown(line)
                    else:
                        rest = line
                first = False
        data = file.read(_BLOCK) if file is not None else b""
        *lines, rest = (rest + data).split(b"\n")
        yield from (_shown(line) for line in lines)
        if len(rest) > _LONGEST:
            yield _shown(rest)
            rest = b""
        if data:
            continue
        if not goes_on():
            if rest:
                yield _shown(rest)
            return
        if file is not None and replaced:  # and read to its end since
            file.close()
            file, replaced = None, False
        elif file is not None and _was_truncated(file):
            file.seek(0)
        elif file is not None and _was_replaced(file, path):
            replaced = True
            continue
        else:
            time.sleep(LOOK_EVERY)
            continue
        if rest:  # nothing will complete it
            yield _shown(rest)
            rest = b""


def _shown(line: bytes) -> str:
    return visible(line.rstrip(b"\n").rstrip(b"\r"))


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _was_replaced(file: BinaryIO, path: str) -> bool:
    ours = os.fstat(file.fileno())
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return False  # wait until there is one again
    return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)


def _was_truncated(file: BinaryIO) -> bool:
    return os.fstat(file.fileno()).st_size < file.tell()
