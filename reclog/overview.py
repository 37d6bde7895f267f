"""What `inv status` tells of each recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .console import size
from .processes import marked
from .registry import Recording, Registry

COLUMNS = ("name", "state", "file", "port", "listener", "senders", "lines", "size", "last line")


def describe(recordings: Sequence[Recording], registry: Registry) -> list[dict[str, Any]]:
    """Return one object a recording, with the keys that the command line promises."""
    families = marked(registry.folder)
    described = []
    for recording in recordings:
        counters, facts = recording.counters, recording.facts
        alive = recording.is_alive()
        described.append(
            {
                "name": recording.name,
                "kind": recording.kind,
                "state": recording.state,
                "file": recording.file,
                "host": recording.host or None,
                "port": recording.port,
                "listener": facts.get("listener"),
                "pids": [process.pid for process in families.get(recording.folder, [])],
                "lines": counters.get("lines", 0),
                "bytes": counters.get("bytes", 0),
                "senders": counters.get("senders", 0) if alive else 0,
                "lag_bytes": counters.get("lag_bytes", 0),
                "reconnects": counters.get("reconnects", 0),
                "started": facts.get("started"),
                "last_line": counters.get("last_line"),
                "last_line_at": counters.get("last_line_at"),
                # A dead one that was told to go says why; one that was killed can't.
                "paused_for": counters.get("paused_for" if alive else "ended_for") or None,
                "listener_full": bool(counters.get("listener_full")) and alive,
                "connects": counters.get("connects", 0),
                "refused": counters.get("refused", 0),
                "bind": facts.get("bind"),
                "events": str(recording.folder / "events.log"),
            }
        )
    return described


def rows(described: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """Return the table's rows, in the order of `COLUMNS`."""
    return [
        [
            one["name"],
            f"{one['state']}: {one['paused_for']}" if one["paused_for"] else one["state"],
            one["file"],
            one["port"],
            f"{one['listener']} (full)" if one["listener_full"] else one["listener"] or "-",
            one["senders"],
            "-" if one["lines"] is None else one["lines"],
            size(one["bytes"]),
            (one["last_line"] or "")[:60],
        ]
        for one in described
    ]
