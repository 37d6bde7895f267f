"""Small JSON files that are never seen half written, and JSON that others wrote."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Union

from ..system.disk import DISK, Disk

#: Objects and lists in each other, at most: what Python can just read it can't always write or print.
LEVELS = 20
#: Digits of a number at most: more overflow a float.
DIGITS = 300


def write_json(path: str, value: Any, sync: bool = False, disk: Disk = DISK) -> None:
    """Replace the file at `path` atomically; mode 0600. With `sync` it is on disk then. Raises OSError."""
    text = json.dumps(value).encode("utf-8")
    temporary = f"{path}.{os.getpid()}.new"
    fd = disk.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        try:
            disk.write_all(fd, text)
            if sync:
                disk.fsync(fd)
        finally:
            disk.close(fd)
        disk.replace(temporary, path)
    except BaseException:
        disk.unlink(temporary)
        raise
    if sync:
        disk.sync(os.path.dirname(path) or ".")


def clear_unfinished(folder: str) -> None:
    """Remove what writers of JSON files that were killed have left in `folder`."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(".new"):  # the name that write_json gives them
            DISK.remove(os.path.join(folder, name))


def read_json(path: str, disk: Disk = DISK) -> dict[str, Any]:
    """Return the object in the file at `path`.

    Raises OSError if it can't be read, ValueError if it holds no JSON object.
    """
    return parse_json(disk.read_all(path))


def parse_json(text: Union[bytes, str]) -> dict[str, Any]:
    """Return the object that `text` is. Raises ValueError, also for what Python's JSON alone lets pass.

    That is what is nested too deep (a RecursionError), NaN, and numbers that no float holds.
    """
    try:
        value = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    if not _is_shallow(value, LEVELS):
        raise ValueError("it is nested too deep")
    return value


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError("a number in it is too large")
    return int(digits)


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError("a number in it is too large")
    return value


def _is_shallow(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in value)
