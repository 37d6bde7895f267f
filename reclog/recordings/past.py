"""Forget what is known of recordings that have ended: when told to, and the oldest when there are too many.

Rules kept here:

- What was recorded stays: a folder with a recorded file in it is kept.
- A folder goes at once, to a name that nobody looks at. What a death leaves there goes with the next one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from reclog.engine.records import names

from ..errors import ReclogError
from ..words import inv
from . import token
from .recording import Recording, has
from .registry import Registry

#: How many are kept at most, and with how many bytes together; the newest is always kept.
MOST, MOST_BYTES = 100, 1 << 30
_FORGOTTEN = ".forgotten-"


def forget(recording: Recording, registry: Registry) -> None:
    """Remove what is known of one that has ended, its token, too; its file stays. Raises ReclogError."""
    try:
        with registry.names_settled():
            now = Recording(recording.folder)
            if not now.is_past or now.is_locked():
                raise ReclogError(f"{now.name} has not ended: `{inv('kill')}` ends it.")
            folder = Path(os.path.realpath(now.folder))
            for file in (one.file for one in registry.known() if one.file):
                if Path(os.path.realpath(file)).is_relative_to(folder):
                    raise ReclogError(f"{now.name} is kept: {file} is in its folder. Move that out of there.")
            _sweep(registry)
            token.forgotten(registry, now.name)
            now.folder.rename(registry.folder / f"{_FORGOTTEN}{now.name}")
            _sweep(registry)
    except OSError as error:
        raise ReclogError(
            f"{recording.folder} can't be removed ({error.strerror}): make it yours."
        ) from error


def forget_the_oldest(registry: Registry) -> list[str]:
    """Forget those that are too many; return their names. Nothing that goes wrong there matters."""
    room, forgotten = MOST_BYTES, []
    for number, one in enumerate(registry.past()):
        room -= _bytes_in(one.folder)
        if has(one.folder, names.BOOT):
            continue
        if number >= MOST or (number and room < 0):
            with contextlib.suppress(ReclogError):
                forget(one, registry)
                forgotten.append(one.name)
    return forgotten


def _sweep(registry: Registry) -> None:
    for folder in registry.folder.glob(f"{_FORGOTTEN}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total
