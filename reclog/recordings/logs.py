"""The event logs of a recording, as far as they can be read: anybody may have cut them."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reclog.engine.records import names
from reclog.engine.records.jsonfile import parse_json

#: What was rotated just now is in the file beside.
_OLDEST_FIRST = ("{}.1", "{}")
#: Bytes of a log's end in which the newest event of a kind is looked for, and of an event at most.
_NEAR_THE_END = 65536


def all_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the logs in `folder` tell, oldest first: each once, unless the clock was set back."""
    last: list[bytes] = []  # those of one time: an event is in one log, or the same in both
    time = ""
    for when, line, facts in heapq.merge(_told(folder, names.EVENTS), _told(folder, names.HOLES), key=_when):
        if when != time:
            time, last = when, []
        if line not in last:
            last.append(line)
            yield facts


def first_event(folder: Path) -> dict[str, Any]:
    """Return the oldest event that is still known; empty if there is none."""
    return next(all_events(folder), {})


def last_event(folder: Path, event: str) -> dict[str, Any]:
    """Return the facts of the newest `event` in the logs in `folder`; empty if there is none."""
    newest: dict[str, Any] = {}
    # A daemon from before has events only.
    for path in (path for name in (names.EVENTS, names.HOLES) for path in _files(folder, name)):
        with contextlib.suppress(OSError):
            for _, _, facts in _parsed(path.read_bytes()[-_NEAR_THE_END:].splitlines()):
                if facts.get("event") == event and _time(facts) >= _time(newest):
                    newest = facts
    return newest


def _told(folder: Path, name: str) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    for path in _files(folder, name):
        with contextlib.suppress(OSError), path.open("rb") as log:
            yield from _parsed(iter(lambda: log.readline(_NEAR_THE_END), b""))


def _files(folder: Path, name: str) -> list[Path]:
    return [folder / form.format(name) for form in _OLDEST_FIRST]


def _parsed(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    for line in lines:
        with contextlib.suppress(ValueError):
            facts = parse_json(line)
            yield _time(facts), line.rstrip(b"\n"), facts


def _when(told: tuple[str, bytes, dict[str, Any]]) -> str:
    return told[0]


def _time(facts: dict[str, Any]) -> str:
    time = facts.get("time")
    return time if isinstance(time, str) else ""
