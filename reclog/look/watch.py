"""`status --watch`: a screen that is drawn again and again, in place, until Ctrl-C."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence

#: Seconds between two looks, and between two at the terminal's size.
LOOK_EVERY, SIZE_EVERY = 1.0, 0.1
#: What a terminal does (ECMA-48, and xterm's DEC private modes): a screen of its own without a cursor, and
#: back; its beginning; the rest of a row, and of the screen, erased.
_OWN_SCREEN, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_ROW, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(look: Callable[[int], Sequence[str]]) -> None:
    """Show the lines of `look(columns)`, each second and when the terminal's size changes, until Ctrl-C.

    What was seen last stays on the screen that was there before.
    """
    lines: Sequence[str] = ()
    with contextlib.suppress(KeyboardInterrupt), _own_screen():
        while True:
            size = shutil.get_terminal_size()
            lines = look(size.columns)
            sys.stdout.write(_HOME + drawn(lines, size.lines))
            sys.stdout.flush()
            until = time.monotonic() + LOOK_EVERY
            while time.monotonic() < until and shutil.get_terminal_size() == size:
                time.sleep(SIZE_EVERY)
    print("\n".join(lines))


def drawn(lines: Sequence[str], rows: int) -> str:
    """Return what is written to show lines on a screen of so many rows, whatever is there."""
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"({len(lines) - rows + 1} more rows)"]
    return f"{_REST_OF_ROW}\n".join(lines) + _REST_OF_ROW + _REST


@contextlib.contextmanager
def _own_screen() -> Iterator[None]:
    sys.stdout.write(_OWN_SCREEN)
    try:
        yield
    finally:
        sys.stdout.write(_BACK)
        sys.stdout.flush()
