"""How `status` is laid out: on a terminal one row a recording, of whole words; elsewhere one row has all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..console import counted, size, visible

Described = Mapping[str, Any]

#: The columns where nobody's terminal is to be fitted.
ALL = ("name", "state", "file", "port", "listener", "senders", "lines", "size", "last line")
#: Those of a terminal, by how wide it is at least. The last one has what the others leave.
_FITTING = (
    (150, ("name", "state", "listener", "port", "senders", "lines", "size", "heard", "file", "last line")),
    (100, ("name", "state", "port", "senders", "lines", "size", "heard", "file")),
    (0, ("name", "state", "lines", "size", "heard", "file")),
)
#: Between two columns, and the least that one is cut to.
_GAP, _LEAST = 2, 12


def everything(described: Sequence[Described]) -> list[list[str]]:
    """Return rows of `ALL`, each with all there is to say."""
    return [[_said(one) if name == "state" else _CELLS[name](one) for name in ALL] for one in described]


def fitted(described: Sequence[Described], width: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the columns that go into a terminal of that many, and their rows: the long cut in the middle."""
    names = next(names for least, names in _FITTING if width >= least)
    columns = {name: [_CELLS[name](one) for one in described] for name in names}
    for name, most in (("name", width // 3), ("file", width // 4 if names[-1] != "file" else width)):
        columns[name] = [cut(cell, most) for cell in columns[name]]
    taken = sum(max(map(len, (name, *columns[name]))) + _GAP for name in names[:-1])
    columns[names[-1]] = [cut(cell, max(_LEAST, width - taken)) for cell in columns[names[-1]]]
    return names, [list(row) for row in zip(*columns.values())]


def remarks(described: Sequence[Described]) -> Iterator[str]:
    """Yield a sentence for each recording of which its state's word does not say all."""
    for one in described:
        said = _said(one)
        if said != one["state"]:
            yield f"{one['name']}: {said}"


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters: what is too long loses its middle."""
    text = visible(text)
    if len(text) <= most:
        return text
    tail = (most - 2) * 2 // 3
    return f"{text[: most - 2 - tail]}..{text[len(text) - tail :]}"


def ago(seconds: float) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def _said(one: Described) -> str:
    """Return the state, with what is to be known of it."""
    if one["paused_for"]:
        return f"{one['state']}: {one['paused_for']}"
    if one["listener_full"]:
        return f"{one['state']}, full since {one['full_since']}"
    said = [str(one["state"])]
    dropped = one["datagrams_dropped"]
    said += [f"{counted(dropped, 'datagram')} dropped"] if dropped else []
    said += [f"{counted(one['made_room'], 'silent one')} made room"] if one["made_room"] else []
    said += [f"asks for a token: {counted(one['refused'], 'stranger')} refused"] if one["token"] else []
    said += [_away(device) for device in one["dialled"] if not device["connected"]]
    return ", ".join(said)


def _away(device: Described) -> str:
    why = f" ({device['why']})" if device["why"] else ""
    return f"{device['name']} not connected since {device['since']}{why}"


def _heard(one: Described) -> str:
    return ago(time.time() - one["last_line_at"]) if one["last_line_at"] else "-"


#: What stands in each column.
_CELLS: dict[str, Callable[[Described], str]] = {
    "name": lambda one: str(one["name"]),
    "state": lambda one: str(one["state"]),
    "file": lambda one: str(one["file"]),
    "port": lambda one: str(one["port"] or "-"),
    "listener": lambda one: (one["listener"] or "-") + (", tls" if one["tls"] else ""),
    "senders": lambda one: str(one["senders"]),
    "lines": lambda one: "-" if one["lines"] is None else str(one["lines"]),
    "size": lambda one: size(one["bytes"]),
    "heard": _heard,
    "last line": lambda one: (one["last_line"] or "")[:60],
}
