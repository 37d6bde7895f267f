"""How `status` is laid out: on a terminal a row a recording, of whole words; elsewhere one row has all.

Rules kept here:

- On a terminal a recording takes two rows at most: the second says what its state's word does not.
- What is too long loses its middle, a sentence its last words: never half a word.
- What none of the recordings has, or what there is no room for, is no column.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from ..console import counted, size, visible
from .gaps import lasting

Described = Mapping[str, Any]

#: The columns where nobody's terminal is to be fitted.
ALL = (
    *("name", "state", "file", "port", "listener", "senders", "heard", "lines/s", "lag", "gaps"),
    *("lines", "size", "boot", "last line"),
)
#: Those of a terminal. The last one there is room for is given what the others leave.
_ORDER = (
    *("name", "state", "heard", "lines/s", "lag", "gaps", "lines", "size", "senders", "port", "listener"),
    *("boot", "file", "last line"),
)
#: Those that are left out where no recording has any, and all in the order in which they make room.
_IF_ANY = ("lag", "gaps", "boot")
_LEAVE = (
    *("last line", "listener", "port", "senders", "size", "lines", "file", "boot", "lag", "gaps", "lines/s"),
    *("heard", "state"),
)
_NUMBERS = ("lines/s", "lag", "lines", "size", "senders")
#: Cells between two columns, and the least that those of any length are cut to.
_GAP, _LEAST = 2, 16
#: Seconds by which a tremplin's clock has to differ from ours to be worth a word.
_CLOCK = 0.5
#: What stands for words that are left out.
_CUT = ".."


def everything(described: Sequence[Described]) -> list[list[str]]:
    """Return rows of `ALL`, each with all there is to say."""
    return [[_said(one) if name == "state" else _CELLS[name](one) for name in ALL] for one in described]


def fitted(described: Sequence[Described], width: int) -> list[str]:
    """Return the lines of a terminal with so many columns: a head, and what there is to say of each."""
    columns = _columns(described, width)
    lines = [_row([*columns], columns, width)]
    for number, one in enumerate(described):
        lines.append(_row([cells[number] for cells in columns.values()], columns, width))
        said = _said(one).removeprefix(str(one["state"])).lstrip(":, ")
        if said:
            lines.append(f"  {sentence(said, width - 2)}")
    return lines


def sentence(text: str, width: int) -> str:
    """Return a sentence of at most so many cells: the last words go if it is too long."""
    words = [cut(word, max(8, width // 2)) for word in text.split()]
    row = " ".join(words)
    if cell_len(row) <= width:
        return row
    kept = 0
    for number, word in enumerate(words):
        kept += cell_len(word) + 1
        if kept > width - len(_CUT):
            return cut(" ".join([*words[:number], _CUT]), width)
    return cut(row, width)


def cut(text: str, most: int) -> str:
    """Return a text of at most so many cells: what is too long loses its middle."""
    text = visible(text)
    if cell_len(text) <= most:
        return text
    tail = max(0, most - len(_CUT)) * 2 // 3
    # From behind: a character that takes two cells is left out where there is one.
    end = set_cell_size(text[::-1], tail)[::-1]
    return f"{set_cell_size(text, max(0, most - len(_CUT) - tail))}{_CUT}{end}"[:most]


def ago(seconds: float) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def rate(a_second: float | None) -> str:
    """Return how many there are a second."""
    return "-" if a_second is None else f"{a_second:.1f}" if 0 < a_second < 10 else f"{a_second:.0f}"


def _columns(described: Sequence[Described], width: int) -> dict[str, list[str]]:
    """Return the columns there is room for, each with its cells."""
    columns = {name: [visible(_CELLS[name](one)) for one in described] for name in _ORDER}
    columns["name"] = [cut(cell, max(_LEAST, width // 3)) for cell in columns["name"]]
    for name in _IF_ANY:
        if not any(cell != "-" for cell in columns[name]):
            del columns[name]
    for name in _LEAVE:
        elastic = [name for name in ("file", "last line") if name in columns]
        fixed = sum(_width(name, cells) + _GAP for name, cells in columns.items() if name not in elastic)
        if fixed + len(elastic) * (_LEAST + _GAP) - _GAP <= width:
            break
        columns.pop(name, None)
    room = width - fixed
    for name in elastic:
        # A path is shown whole if that leaves half the room to the line behind it.
        most = room if name == elastic[-1] else max(_LEAST, room // 2)
        columns[name] = [cut(cell, most) for cell in columns[name]]
        room -= _width(name, columns[name]) + _GAP
    return columns


def _width(name: str, cells: Sequence[str]) -> int:
    return max(map(cell_len, (name, *cells)))


def _row(cells: Sequence[str], columns: Mapping[str, Sequence[str]], width: int) -> str:
    padded = []
    for cell, (name, column) in zip(cells, columns.items()):
        missing = " " * (_width(name, column) - cell_len(cell))
        padded.append(missing + cell if name in _NUMBERS else cell + missing)
    return cut((" " * _GAP).join(padded).rstrip(), width)


def _said(one: Described) -> str:
    """Return the state, with what is to be known of it."""
    if one["paused_for"]:
        return f"{one['state']}: {one['paused_for']}"
    if one["listener_full"]:
        return f"{one['state']}, full since {one['full_since']}"
    said = [str(one["state"])]
    dropped = one["datagrams_dropped"]
    said += [f"{counted(dropped, 'datagram')} dropped"] if dropped else []
    others = one["messages_not_taken"]
    said += [f"{counted(others, 'message')} not taken"] if others else []
    said += [f"{counted(one['made_room'], 'silent one')} made room"] if one["made_room"] else []
    refused = one["refused"] if one["token"] else 0
    said += [f"asks for a token: {counted(refused, 'stranger')} refused"] if refused else []
    said += [_away(device) for device in one["dialled"] if not device["connected"]]
    ahead, within = ((one[name] or 0) / 1000 for name in ("clock_ahead_ms", "clock_within_ms"))
    if abs(ahead) >= _CLOCK + within:
        said.append(f"the clock there is {lasting(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} ours")
    return ", ".join(said)


def _away(device: Described) -> str:
    why = f" ({device['why']})" if device["why"] else ""
    return f"{device['name']} not connected since {device['since']}{why}"


def _ago(time_of: float | None) -> str:
    return ago(time.time() - time_of) if time_of else ""


def _gaps(one: Described) -> str:
    return f"{one['gaps']}, {_ago(one['last_gap_at'])}" if one["gaps"] else "-"


#: What stands in each column.
_CELLS: dict[str, Callable[[Described], str]] = {
    "name": lambda one: str(one["name"]),
    "state": lambda one: str(one["state"]),
    "file": lambda one: str(one["file"]),
    "port": lambda one: str(one["port"] or "-"),
    "listener": lambda one: ", ".join(
        [one["listener"] or "-", *(word for word in ("tls", "token") if one[word])]
    ),
    "senders": lambda one: str(one["senders"]),
    "heard": lambda one: _ago(one["heard_at"]) or "never",
    "lines/s": lambda one: rate(one["lines_per_second"]),
    "lag": lambda one: size(one["lag_bytes"]) if one["kind"] == "tremplin" else "-",
    "gaps": _gaps,
    "lines": lambda one: "-" if one["lines"] is None else str(one["lines"]),
    "size": lambda one: size(one["bytes"]),
    "boot": lambda one: "yes" if one["boot"] else "-",
    "last line": lambda one: (one["last_line"] or "")[:60],
}
