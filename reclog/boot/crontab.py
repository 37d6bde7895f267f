"""A line of the user's crontab that cron runs at boot (`@reboot`, crontab(5)); all others stay as they are.

Rules kept here:

- A line of ours is known by the comment at its end, whole. What else is in the table is kept byte for byte.
- A table that can't be read is not replaced.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .commands import CommandError, output

#: How crontab(1) says that there is no table, in vixie's and cronie's words, and busybox's.
_NONE = (b"no crontab", b"No such file")


def reboot_line(command: Sequence[str], name: str) -> str:
    """Return the line that runs a command at boot, and keeps its output from being mailed."""
    words = shlex.join(command).replace("%", "\\%")  # a bare one ends the command
    return f"@reboot {words} >/dev/null 2>&1 {mark(name)}"


def mark(name: str) -> str:
    """Return the comment by which the line of that name is known; a shell takes no notice of it."""
    return f"# reclog {name}"


def with_line(table: bytes, line: str, name: str) -> bytes:
    """Return the table with that line, and no other of that name."""
    rest = without(table, name)
    if rest and not rest.endswith(b"\n"):
        rest += b"\n"
    return rest + line.encode("utf-8") + b"\n"


def without(table: bytes, name: str) -> bytes:
    """Return the table without the line of that name."""
    end = b" " + mark(name).encode("utf-8")
    return b"".join(one for one in table.splitlines(True) if not one.rstrip(b"\r\n").endswith(end))


def change(name: str, line: str = "") -> bool:
    """Have the user's table have that line, or none of that name; tell whether there was one.

    Raises CommandError.
    """
    table = read()
    has_none = without(table, name) == table
    new = with_line(table, line, name) if line else without(table, name)
    if new != table:
        output(["crontab", "-"], new) if new else output(["crontab", "-r"])
    return not has_none


def has(name: str) -> bool:
    """Tell whether the user's table is known to have the line of that name."""
    try:
        table = read()
    except CommandError:
        return False
    return without(table, name) != table


def read() -> bytes:
    """Return the user's table; empty if there is none. Raises CommandError."""
    try:
        return output(["crontab", "-l"])
    except CommandError as error:
        if any(sign in str(error).encode("utf-8") for sign in _NONE):
            return b""
        raise
