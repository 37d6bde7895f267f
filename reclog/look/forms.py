"""How lines and gaps are printed, with nothing in them that a terminal would obey.

Rules kept here:

- All text goes through `visible`: colours that a sender wrote may pass where a person reads, and end at the
  line's end. Objects are ASCII.
- Who has to be told apart is named: recordings where there are several, senders once there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from reclog.engine.records.events import timestamp

from ..console import PLAIN, size, visible
from .lines import LONGEST
from .query import Gap, History, Line

#: What stands where nothing is known.
UNKNOWN = "unknown"
#: What a gap is drawn with; and where that can't be printed.
BAR, ASCII_BAR = "\u2500\u2500", "--"
#: Colours of senders (SGR): those that can be read on black and on white.
_PALETTE = (32, 33, 35, 36, 34, 92, 95, 96, 94)
_FAINT = 2


class Form(Protocol):
    """A kind of text."""

    def of(self, history: History, one: Line | Gap) -> str | None:
        """Return it as text without a newline; None where it has no place."""


class Plain:
    """For a person: what is said, and who says it where that is worth telling."""

    def __init__(self, histories: Sequence[History], bar: str = BAR, coloured: bool = False) -> None:
        """`bar` is what a gap is drawn with; `coloured`: with colours of ours."""
        self._several = len(histories) > 1
        self._bar, self._coloured = bar, coloured
        self._colours: dict[str, int] = {}
        for history in histories:
            for sender in history.senders():
                self._colour(sender)

    def of(self, history: History, one: Line | Gap) -> str:
        """Return a line behind who says it, or a bar with what is missing in it."""
        recording = f"{history.recording.name} " if self._several else ""
        if isinstance(one, Gap):
            return self._painted(_FAINT, f"{recording}{self._bar} {visible(one.sentence)} {self._bar}")
        colour = _FAINT if one.sender is None else self._colour(one.sender)
        sender = f"{visible(one.sender or UNKNOWN)} " if len(self._colours) > 1 else ""
        return self._painted(colour, recording + sender) + said(one)

    def _colour(self, sender: str) -> int:
        return self._colours.setdefault(sender, _PALETTE[len(self._colours) % len(_PALETTE)])

    def _painted(self, colour: int, text: str) -> str:
        return f"\x1b[{colour}m{text}{PLAIN}" if self._coloured and text else text


class Stamped:
    """As a recording with `--stamp`: when, who, what."""

    def __init__(self, histories: Sequence[History], bar: str = BAR) -> None:
        self._several = len(histories) > 1
        self._bar = bar

    def of(self, history: History, one: Line | Gap) -> str:
        """Return a line behind its time and its sender."""
        recording = f"{history.recording.name}:" if self._several else ""
        if isinstance(one, Gap):
            return f"{when(one) or UNKNOWN} {recording}{self._bar} {visible(one.sentence)} {self._bar}"
        return f"{when(one) or UNKNOWN} {recording}{visible(one.sender or UNKNOWN)} {said(one, one.stamp)}"


class Json:
    """An object a line; a gap is none."""

    def of(self, history: History, one: Line | Gap) -> str | None:
        """Return the object."""
        if isinstance(one, Gap):
            return None
        told = {
            "recording": history.recording.name,
            "time": when(one),
            "sender": one.sender,
            "offset": one.offset,
            "text": one.text.removesuffix(b"\r").decode("utf-8", "backslashreplace"),
        }
        return json.dumps(told)


def said(line: Line, begin: int = 0) -> str:
    """Return the text of a line from byte `begin` on, coloured as it was sent; and how much is left out."""
    left = line.end - line.offset - len(line.text) if len(line.text) >= LONGEST else 0
    rest = f" [... {size(left)} more]" if left > 1 else ""
    return visible(line.text[begin:].removesuffix(b"\r"), colours=True) + rest


def when(one: Line | Gap) -> str | None:
    """Return its time as a stamp has it; None if it is unknown."""
    # What was milliseconds stays that: a float of them is a little less.
    return None if one.time is None else timestamp(one.time + 0.0001)
