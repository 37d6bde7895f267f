"""Recordings for tests that look at them: a file, and what is known of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packed import pack

from reclog.engine.records.events import timestamp
from reclog.engine.stores.index.files import LATEST, whose
from reclog.engine.stores.index.format import Run
from reclog.engine.stores.members import member
from reclog.engine.stores.pieces import Journal, Piece, index_folder
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


def set_aside(history: History, cuts: Sequence[int], runs: Sequence[Run] = ()) -> None:
    """Have what its file holds in pieces up to each of `cuts`, and the rest in the file.

    The pieces are by turns plain, compressed as we do, and compressed by somebody else.
    """
    folder, file = history.recording.folder, Path(history.file)
    data = file.read_bytes()
    journal = Journal(str(folder))
    bounds = [0, *cuts]
    for number, (begin, end) in enumerate(zip(bounds, cuts)):
        here = [run for run in runs if run.begin < end]
        ended = max([THEN, *(run.ms for run in here if run.ms is not None)])
        plain = file.with_name(f"file.{number:04}.log")
        plain.write_bytes(data[begin:end])
        piece = Piece(plain.name, begin, end - begin, ended, plain.stat().st_ino)
        journal.begin(piece, str(file))
        journal.made()
        index = Path(index_folder(str(folder), piece))
        index.mkdir(parents=True)
        (index / LATEST).write_bytes(whose(piece.inode) + pack(_within(runs, begin, end)))
        if number % 3:
            packed = plain.with_name(f"{plain.name}.gz")
            packed.write_bytes(_PACKED[number % 3](data[begin:end]))
            plain.unlink()
    file.write_bytes(data[bounds[-1] :])
    (folder / LATEST).unlink(missing_ok=True)
    if runs:
        indexed(history, _within(runs, bounds[-1], len(data)))


def _within(runs: Sequence[Run], begin: int, end: int) -> list[Run]:
    """Return the runs of what stands in [begin, end), as offsets in that."""
    return [
        run._replace(begin=max(run.begin, begin) - begin, end=min(run.end, end) - begin)
        for run in runs
        if run.begin < end and run.end > begin
    ]


def _as_ours(text: bytes) -> bytes:
    return b"".join(member(text[at : at + 7]) for at in range(0, len(text), 7))


def _as_theirs(text: bytes) -> bytes:
    return gzip.compress(text[:3]) + gzip.compress(text[3:])


_PACKED = {1: _as_ours, 2: _as_theirs}


def events(folder: Path, *told: tuple[float, str, dict[str, Any]]) -> None:
    """Have its event log state that."""
    with (folder / "holes.log").open("a") as log:
        for when, event, facts in told:
            log.write(json.dumps({"time": timestamp(when), "event": event, **facts}) + "\n")
