"""The event logs of a recording, as far as they can be read: anybody may have cut them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from reclog.engine.records import names
from reclog.engine.records.jsonfile import parse_json


def last_event(folder: Path, event: str) -> dict[str, Any]:
    """Return the facts of the newest `event` in the logs in `folder`; empty if there is none."""
    newest: dict[str, Any] = {}
    # A daemon from before has events only; what was rotated just now is in the file beside.
    for path in (folder / f"{name}{end}" for name in (names.EVENTS, names.HOLES) for end in (".1", "")):
        with contextlib.suppress(OSError):
            for line in path.read_bytes()[-65536:].splitlines():
                with contextlib.suppress(ValueError):
                    facts = parse_json(line)
                    if facts.get("event") == event and _time(facts) >= _time(newest):
                        newest = facts
    return newest


def _time(facts: dict[str, Any]) -> str:
    time = facts.get("time")
    return time if isinstance(time, str) else ""
