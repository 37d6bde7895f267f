"""A line of the user's crontab that cron runs at boot (`@reboot`, crontab(5)); all others stay as they are.

Rules kept here:

- A line of ours is known by the comment at its end, whole. What else is in the table is kept byte for byte.
- A table that can't be read is not replaced.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

#: Seconds for crontab(1).
WITHIN = 30.0
#: How crontab(1) says that there is no table, in vixie's and cronie's words, and busybox's.
_NONE = (b"no crontab", b"No such file")


class CrontabError(Exception):
    """The table can't be read or written; the message is what crontab(1) says."""


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

    Raises CrontabError.
    """
    table = read()
    has_none = without(table, name) == table
    new = with_line(table, line, name) if line else without(table, name)
    if new != table:
        _crontab("-", table=new) if new else _crontab("-r")
    return not has_none


def has(name: str) -> bool:
    """Tell whether the user's table is known to have the line of that name."""
    try:
        table = read()
    except CrontabError:
        return False
    return without(table, name) != table


def read() -> bytes:
    """Return the user's table; empty if there is none. Raises CrontabError."""
    try:
        return _crontab("-l")
    except CrontabError as error:
        if any(sign in str(error).encode("utf-8") for sign in _NONE):
            return b""
        raise


def _crontab(*words: str, table: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["crontab", *words],
            input=table,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            timeout=WITHIN,
            check=False,
        )
    except FileNotFoundError as error:
        raise CrontabError("there is no crontab") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CrontabError(f"crontab can't be run ({error})") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CrontabError(said[0] if said else f"crontab ended with {done.returncode}")
    return done.stdout
