"""What there is to publish: the recordings of this machine, by their folders; no daemon is asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reclog.engine.records import names
from reclog.engine.records.jsonfile import read_json

from .place import Kept


class Found(NamedTuple):
    """A recording that runs or ran."""

    name: str
    folder: str
    file: str
    #: It has ended.
    is_past: bool
    #: It comes from a stream itself.
    is_copy: bool

    @property
    def is_to_publish(self) -> bool:
        """Whether anything of it may still be to be published: it runs, or ended before all was."""
        if not self.is_past:
            return True
        kept = Kept.read(self.folder)
        with contextlib.suppress(OSError):
            return kept is not None and kept.base + os.stat(self.file).st_size != kept.end
        return False


def found(state: str) -> list[Found]:
    """Return the recordings below a state directory, by name."""
    try:
        folders = sorted(Path(state, "recordings").iterdir())
    except OSError:
        return []
    return [one for folder in folders if not folder.name.startswith(".") for one in _in(folder)]


def _in(folder: Path) -> Iterator[Found]:
    for name in (names.CONFIG, names.STATE, names.PAST):
        with contextlib.suppress(OSError, ValueError):
            facts: dict[str, Any] = read_json(str(folder / name))
            file = facts.get("file")
            if isinstance(file, str) and file and "\0" not in file:
                is_copy = facts.get("kind") == "subscriber"
                yield Found(folder.name, str(folder), file, name == names.PAST, is_copy)
            return
