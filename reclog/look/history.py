"""Recordings past and present, for a person: which file, from when to when, how much, what is missing."""

from __future__ import annotations

import contextlib
import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reclog.engine.records import names
from reclog.engine.stores import pieces

from ..console import counted, size, visible
from ..recordings.logs import all_events, first_event
from ..recordings.recording import Recording, word_of
from .gaps import gaps_of
from .table import cut

#: The columns where nobody's terminal is to be fitted.
COLUMNS = ("name", "state", "began", "ended", "lines", "size", "pieces", "gaps", "file")
_INDENT = "    "
#: Characters of a time, to the minute and to the second.
_MINUTE, _SECOND = 16, 19
#: Characters of a fact that are shown: the log has the rest.
_MOST = 1000


def describe(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """Return one object a recording: times as events have them, sizes in bytes, null for what is unknown."""
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "state": "elsewhere" if one.is_elsewhere() else one.state,
            "file": one.file,
            # What they are called, of a subscriber with several: each is a recording of its own.
            "files": one.fact("files") or None,
            "host": one.host or None,
            "port": one.port,
            "began": word_of(first_event(one.folder).get("time")) or one.fact("started") or None,
            "started": one.fact("started") or None,
            "ended": (one.fact("ended") if one.is_past else "") or None,
            # Of the last run; nobody counts those of a raw recording.
            "lines": None if one.counters.get("lines", 0) is None else one.count("lines"),
            "pieces": len(pieces.pieces(str(one.folder))),
            # Of its file and its pieces, as they are on disk.
            "bytes": bytes_of(one),
            "gaps": len(gaps_of(one.folder)),
            "events": str(one.folder / names.EVENTS),
            "holes": str(one.folder / names.HOLES),
        }
        for one in recordings
    ]


def row(one: Mapping[str, Any]) -> list[str]:
    """Return the cells of `COLUMNS`."""
    cells = {**one, "size": _size(one), "file": one["files"] or one["file"]}
    return ["-" if cells[name] is None else str(cells[name]) for name in COLUMNS]


def fitted(one: Mapping[str, Any], width: int) -> list[str]:
    """Return the lines that tell of it on a terminal of that many columns: its name is always whole."""
    name = visible(one["name"])
    said = [_when(one)]
    if one["lines"] is not None:
        ran_before = (one["began"] or "")[:_SECOND] < (one["started"] or "")[:_SECOND]
        said.append(counted(one["lines"], "line") + (" in its last run" if ran_before else ""))
    said.append(_size(one) + (f" with {counted(one['pieces'], 'piece')}" if one["pieces"] else ""))
    said += [counted(one["gaps"], "gap")] if one["gaps"] else []
    file = cut(one["files"] or one["file"], max(12, width - len(name) - 2))
    return [f"{name}  {file}", *_wrapped(", ".join(said), width)]


def events(recording: Recording, width: int) -> Iterator[str]:
    """Yield the lines that tell what its event log and its holes have; `width` 0: each event in one line."""
    for facts in all_events(recording.folder):
        said = [
            f"{visible(name)}: {_word(value)}"
            for name, value in facts.items()
            if name not in ("time", "event") and value != ""
        ]
        head = f"{_word(word_of(facts.get('time'))) or 'unknown'} {_word(facts.get('event', '?'))}"
        if not width:
            yield f"{head} {', '.join(said)}".rstrip()
        else:
            yield from _wrapped(f"{head}  {', '.join(said)}".rstrip(), width, "")


def _when(one: Mapping[str, Any]) -> str:
    began = _short(one, "began") or "an unknown time"
    if one["state"] != "past":
        return f"since {began}, {one['state']}"
    if not one["ended"]:
        return f"from {began}, until it was killed"
    ended = _short(one, "ended")
    day = len("2026-11-26T")
    return f"{began} to {ended.removeprefix(began[:day])}"


def _short(one: Mapping[str, Any], name: str) -> str:
    """Return a time to the minute; empty if it is unknown."""
    time = visible(one[name] or "")
    return f"{time[:_MINUTE]}Z" if time else ""


def _wrapped(text: str, width: int, indent: str = _INDENT) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=_INDENT, break_on_hyphens=False
    )


def _word(value: Any) -> str:
    return visible(value if isinstance(value, str) else json.dumps(value))[:_MOST]


def bytes_of(recording: Recording) -> int | None:
    """Return the bytes of a recording's file and its pieces on disk; None if none of them is there."""
    there = (pieces.path_of(recording.file, one) for one in pieces.pieces(str(recording.folder)))
    sizes = [size for size in map(_bytes_of, [recording.file, *there]) if size is not None]
    return sum(sizes) if sizes else None


def _bytes_of(file: str) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(file).st_size
    return None


def _size(one: Mapping[str, Any]) -> str:
    if one["bytes"] is None:
        return "its files by themselves" if one["files"] else "its file is gone"
    return size(one["bytes"])
