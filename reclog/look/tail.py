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
#: Bytes of the last lines that are looked at, and what stands for those before them.
_MOST, _CUT = 8 * 1024 * 1024, b"[...] "


def last_lines(file: BinaryIO, count: int) -> list[bytes]:
    """Return the last `count` lines of `file`, reading from its end, and leave it behind them.

    Of more than `_MOST` bytes the beginning is left out, and the first line says so.
    """
    end = position = file.seek(0, os.SEEK_END)
    blocks: list[bytes] = []
    newlines = 0
    while position > max(0, end - _MOST) and newlines <= count:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        blocks.append(file.read(step))
        newlines += blocks[-1].count(b"\n")
    file.seek(end)  # not the end as it is now: what was added meanwhile is still to be read
    data = b"".join(reversed(blocks))
    if position and newlines <= count:
        data = _CUT + data
    lines = data.splitlines(keepends=True) if b"\r" not in data else data.replace(b"\r\n", b"\n").split(b"\n")
    if b"\r" in data:
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return lines[-count:] if count else []


def follow(path: str, count: int, goes_on: Callable[[], bool]) -> Iterator[str]:
    """Yield the last `count` lines of the file at `path`, then each new one, while `goes_on()`.

    A file that is replaced or truncated is read from its beginning, a missing one waited for.
    """
    file: BinaryIO | None = None
    rest = bytearray()
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
                        rest += line
                first = False
        data = file.read(_BLOCK) if file is not None else b""
        begin, *lines = data.split(b"\n")
        rest += begin
        for line in lines:
            yield _shown(rest)
            rest[:] = line
        if len(rest) > _LONGEST:
            yield _shown(rest)
            rest.clear()
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
            rest.clear()


def _shown(line: bytes | bytearray) -> str:
    return visible(bytes(line).rstrip(b"\n").rstrip(b"\r"))


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
