"""What a person sees: tables, and strangers' text with nothing in it that a terminal would obey."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
import re
import select
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

#: Unicode categories that are not shown as they are: controls, format (bidi, zero-width) and private
#: characters, surrogates, unassigned ones, line and paragraph separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: And characters of other categories that nobody sees (Default_Ignorable_Code_Point; emojis need U+FE0F).
_UNSEEN = {
    0x34F,
    0x115F,
    0x1160,
    0x17B4,
    0x17B5,
    0x3164,
    0xFFA0,
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE0E),
}
_UNSEEN |= {*range(0xE0100, 0xE01F0)}
#: What colours text (ECMA-48, SGR), and what ends that.
_COLOURS = re.compile(r"\x1b\[[0-9;:]{0,64}m")
PLAIN = "\x1b[0m"
#: Of a write to a file (write(2)).
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def visible(text: str | bytes, colours: bool = False) -> str:
    r"""Return `text` with each character that does something, instead of being seen, as `\x1b`.

    With `colours` what colours it stays, and ends at its end.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable():
        return text
    if not colours or "\x1b[" not in text:
        return text.translate(_SHOWN)
    kept = _COLOURS.findall(text)
    parts = [part.translate(_SHOWN) for part in _COLOURS.split(text)]
    return "".join(map("".join, zip(parts, [*kept, PLAIN if kept else ""])))


class _Shown(dict[int, str]):
    """How each character is shown, found out when it is first seen (str.translate)."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        seen = unicodedata.category(character) not in _HIDDEN and number not in _UNSEEN
        plain = character == "\t" or seen
        self[number] = character if plain else _escaped(character)
        return self[number]


_SHOWN = _Shown()


def _escaped(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that was no UTF-8 (PEP 383)
        return f"\\x{number - 0xDC00:02x}"
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )


def brief(text: str) -> str:
    """Return what a host or a program said, for a sentence: visible, and not too long."""
    return visible(text.strip())[:500]


def size(count: int | None) -> str:
    """Return a number of bytes for a person to read."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{int(value)} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def counted(number: int, noun: str, many: str = "") -> str:
    """Return a number and its noun: `1 line`, `2 lines`."""
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def terminal_width() -> int:
    """Return how many columns there are to print in; 0 where the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def has_colours() -> bool:
    """Tell whether what we print may have colours of ours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def prints(text: str) -> bool:
    """Tell whether there are characters for it where we print."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on standard output; on a terminal its widest column is folded where it has no room."""
    from rich.cells import cell_len, chop_cells

    table = [columns, *([visible(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table)]
    over = sum(widths) + 2 * len(widths) - 2 - terminal_width()
    if terminal_width() and over > 0:  # a table that is piped into grep must not be folded
        widest = widths.index(max(widths))
        widths[widest] = max(widths[widest] - over, 1)
    for row in table:
        folds = [chop_cells(cell, width) for cell, width in zip(row, widths)]
        for parts in itertools.zip_longest(*folds, fillvalue=""):
            padded = (part + " " * (width - cell_len(part)) for part, width in zip(parts, widths))
            print("  ".join(padded).rstrip())


class DrainProgress:
    """A bar on a terminal for bytes that are still to come; shown only if that takes a moment."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name = name
        self._stream = stream
        self._most = 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> DrainProgress:
        """Begin; nothing is shown yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, left: int) -> None:
        """Show that `left` bytes are to come."""
        if left > self._most:
            self._most = left
        if not left or not self._stream.isatty():
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

            console = Console(file=self._stream)
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(visible(self._name), total=self._most)
            self._bar.start()
        self._bar.update(self._task, total=self._most, completed=self._most - left)


def note(sentence: str) -> None:
    """Print something that is good to know, and not the result, on standard error."""
    _print(folded(visible(sentence)), sys.stderr)


def folded(text: str) -> str:
    """Return text for standard error, its sentences in rows that end between words where that is a terminal.

    What stands between backquotes stays together, and a row that is no sentence is left alone: both are there
    to be copied.
    """
    if not sys.stderr.isatty():
        return text
    return "\n".join(_folded(row) if row.endswith((".", ":")) else row for row in text.split("\n"))


def _folded(sentence: str) -> str:
    width, rows = shutil.get_terminal_size().columns, [""]
    for space, word in re.findall(r"(\s*)((?:`[^`]*`|\S)+)", sentence):
        if rows[-1] and len(rows[-1]) + len(space) + len(word) > width:
            rows.append(word)
        else:
            rows[-1] += space + word
    return "\n".join(rows)


def say(sentence: str) -> None:
    """Print a step that is done, at once."""
    _print(visible(sentence), sys.stdout)


def _print(text: str, stream: TextIO) -> None:
    """Print at once; what is being done goes on where nobody reads that any more, or has no room for it."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        _mute(stream)


@contextlib.contextmanager
def for_whoever_reads() -> Iterator[None]:
    """Print what a terminal has no character for as `\\u2192`; end in peace if nobody reads (`| head`).

    Raises SystemExit with a sentence where what it prints to has no room.
    """
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _has_no_reader(sys.stdout):
            raise  # it was another pipe, or a socket
        _mute(sys.stdout)
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        _mute(sys.stdout)
        sys.exit(f"What is printed can't be written ({error.strerror}): make room, or print it elsewhere.")


def _open_what_is_closed() -> None:
    """Have nobody read and write where a standard stream is closed: files would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(fd, "w" if number else "r", closefd=False))


def _has_no_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _mute(stream: TextIO) -> None:
    # For Python's own last flush, too.
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())
