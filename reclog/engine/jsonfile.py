"""Small JSON files that are never seen half written."""

from __future__ import annotations

import json
import os
from typing import Any


def write_json(path: str, value: Any, sync: bool = False) -> None:
    """Replace the file at `path` atomically; mode 0600. With `sync` it is on disk then. Raises OSError."""
    temporary = f"{path}.{os.getpid()}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(value, file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if sync:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_json(path: str) -> dict[str, Any]:
    """Return the object in the file at `path`.

    Raises OSError if it can't be read, ValueError if it holds no JSON object.
    """
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no JSON object")
    return value
