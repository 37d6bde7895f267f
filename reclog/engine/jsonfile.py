"""Small JSON files that are never seen half written."""

from __future__ import annotations

import json
import os
from typing import Any

from .disk import DISK, Disk


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


def read_json(path: str, disk: Disk = DISK) -> dict[str, Any]:
    """Return the object in the file at `path`.

    Raises OSError if it can't be read, ValueError if it holds no JSON object.
    """
    value = json.loads(disk.read_all(path).decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no JSON object")
    return value
