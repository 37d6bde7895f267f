r"""A recorded line as pieces of text that a page shows: colours as sent, all else escaped. Pure.

Rules kept here:

- Of what a terminal would obey, only colour and weight (SGR, ECMA-48 8.3.117) have an effect, and that is the
  name of a class: of the sixteen colours, so that each is readable on light and dark. One of more of them
  (256, RGB) is the nearest of the sixteen.
- All else that acts instead of being seen is text: `\x1b`, `\u202e` (see console.visible).
- Of a long line the first part is shown, and how much more there is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from ...console import visible

#: Characters of a line that are shown unless it is asked for as a whole.
SHOWN = 4096
#: Pieces of a line at most: each is an element of the page.
MOST = 500
_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
#: xterm's sixteen.
_PALETTE = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205)),
    *((229, 229, 229), (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255)),
    *((255, 0, 255), (0, 255, 255), (255, 255, 255)),
)
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("inverse",), 29: ("strike",)}

#: Text, or text and its classes with spaces between.
Piece = str | tuple[str, str]


def pieces(line: bytes, longest: int = SHOWN) -> tuple[list[Piece], int]:
    """Return the pieces of a line, without its end, and how many bytes of it they leave out."""
    cut = line[:longest]
    if len(line) > longest:  # not inside a character
        cut = cut[: max(longest - 3, longest - _begun(cut))]
    text = cut.decode("utf-8", "surrogateescape").removesuffix("\r")
    if "\x1b[" not in text:
        return [visible(text)] if text else [], len(line) - len(cut)
    return list(_coloured(text)), len(line) - len(cut)


def _begun(cut: bytes) -> int:
    """Return how many bytes at the end of `cut` are a character's that goes on behind it."""
    for back in range(1, 4):
        byte = cut[-back] if back <= len(cut) else 0
        if byte >= 0xC0:
            return back
        if byte < 0x80:
            break
    return 0


def _coloured(text: str) -> Iterator[Piece]:
    classes: dict[str, str] = {}
    at, count = 0, 0
    for found in _SGR.finditer(text):
        if count >= MOST:
            break
        if found.start() > at:
            yield _piece(text[at : found.start()], classes)
            count += 1
        classes = _after(classes, _numbers(found.group(1)))
        at = found.end()
    if at < len(text):
        yield _piece(text[at:], classes)


def _piece(text: str, classes: dict[str, str]) -> Piece:
    return (visible(text), " ".join(sorted(classes.values()))) if classes else visible(text)


def _numbers(words: str) -> list[int]:
    return [int(word[:4] or 0) for word in words.replace(":", ";").split(";")]


def _after(classes: dict[str, str], numbers: Sequence[int]) -> dict[str, str]:
    """Return the classes that hold after an SGR sequence, by what each is about."""
    now, left = dict(classes), list(numbers)
    while left:
        number = left.pop(0)
        if number == 0:
            now = {}
        elif number in _ON:
            now[_ON[number]] = _ON[number]
        elif number in _OFF:
            for name in _OFF[number]:
                now.pop(name, None)
        elif number in (38, 48):
            colour = _extended(left)
            if colour is not None:
                now["fg" if number == 38 else "bg"] = f"{'fg' if number == 38 else 'bg'}{colour}"
        elif number in (39, 49):
            now.pop("fg" if number == 39 else "bg", None)
        elif 30 <= number <= 37 or 90 <= number <= 97:
            now["fg"] = f"fg{number - 30 if number < 40 else number - 82}"
        elif 40 <= number <= 47 or 100 <= number <= 107:
            now["bg"] = f"bg{number - 40 if number < 50 else number - 92}"
    return now


def _extended(left: list[int]) -> int | None:
    """Take a colour's numbers behind 38 or 48; return the nearest of the sixteen, None if it is none."""
    kind = left.pop(0) if left else 0
    if kind == 5 and left:
        number = left.pop(0)
        if number < 16:
            return number
        if number < 232:
            steps = (0, 95, 135, 175, 215, 255)
            cube = number - 16
            return _nearest(steps[cube // 36], steps[cube // 6 % 6], steps[cube % 6])
        return _nearest(*[8 + 10 * (number - 232)] * 3) if number < 256 else None
    if kind == 2 and len(left) >= 3:
        rgb = [min(255, left.pop(0)) for _ in range(3)]
        return _nearest(*rgb)
    return None


@functools.lru_cache(4096)
def _nearest(red: int, green: int, blue: int) -> int:
    def distance(number: int) -> int:
        return sum((one - other) ** 2 for one, other in zip(_PALETTE[number], (red, green, blue)))

    return min(range(16), key=distance)
