"""Recordings for tests that look at them: a file, and what is known of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from packed import pack

from reclog.engine.records.events import timestamp
from reclog.engine.stores.index.files import LATEST, whose
from reclog.engine.stores.index.format import Run
from reclog.look.query import History
from reclog.recordings.recording import Recording

#: 2026-09-21T14:13:20Z in milliseconds.
THEN = 1_790_000_000_000


def recorded(folder: Path, data: bytes, runs: list[Run] | None = None, **facts: Any) -> History:
    """Return the history of a recording with that file and that index."""
    folder.mkdir(exist_ok=True)
    file = folder / "file.log"
    file.write_bytes(data)
    (folder / "config.json").write_text(json.dumps({"file": str(file), **facts}))
    history = History(Recording(folder))
    if runs:
        indexed(history, runs)
    return history


def indexed(history: History, runs: list[Run]) -> None:
    """Have its index say that, and no more."""
    inode = Path(history.file).stat().st_ino
    (history.recording.folder / LATEST).write_bytes(whose(inode) + pack(runs))


def events(folder: Path, *told: tuple[float, str, dict[str, Any]]) -> None:
    """Have its event log state that."""
    with (folder / "holes.log").open("a") as log:
        for when, event, facts in told:
            log.write(json.dumps({"time": timestamp(when), "event": event, **facts}) + "\n")
