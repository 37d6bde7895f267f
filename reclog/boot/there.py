"""Have a relay start with its host: run on the tremplin by whoever has logged in, sent as the survey is.

python3 - on|off|gone FOLDER     prints a JSON object: `by` (systemd, cron, or empty), or why not (`message`)

A user unit where the user's systemd starts at boot (lingering), else a line of their crontab: never both.
"""

from __future__ import annotations

import glob
import json
import os
import sys

from reclog.engine.records.names import CONFIG, MARK, PROGRAM

from .commands import CommandError
from .crontab import change, reboot_line
from .systemd import enable, is_here, lingers, path, remove, stop, user
from .units import unit, unit_name


class NoWayError(Exception):
    """Nothing there starts it at boot; the message says what is to be done."""


def main() -> None:
    """Do what the command line says, print how that went."""
    verb, folder = sys.argv[1:3]
    try:
        answer = {"by": {"on": on, "off": off, "gone": gone}[verb](folder)}
    except (NoWayError, CommandError, OSError, ValueError) as error:
        answer = {"message": str(error)}
    print(json.dumps(answer))


def on(folder: str) -> str:
    """Have the relay of `folder` start at boot; return by whom."""
    name = relay_name(folder)
    words = ["--folder", folder, "--again"]
    program = [sys.executable, "-I", os.path.join(folder, PROGRAM)]
    if is_here() and lingers():
        enable(unit(name, [*program, "relay", *words], folder, CONFIG, {MARK: folder}))
        change(name)
        return "systemd"
    if not _cron_runs():
        wanted = f"`loginctl enable-linger {user()}`" if is_here() else "a cron that runs"
        raise NoWayError(f"nothing there starts it: it takes {wanted}")
    change(name, reboot_line([*program, "start", "relay", *words], name))
    _remove_unit(name)
    return "cron"


def off(folder: str) -> str:
    """Have the relay of `folder` start at boot no more; return an empty word."""
    name = relay_name(folder)
    _remove_unit(name)
    change(name)
    return ""


def gone(folder: str) -> str:
    """End what the unit of `folder` runs, or is about to, and have it start no more; return an empty word."""
    name = unit_name(relay_name(folder))
    if os.path.lexists(path(name)):
        try:
            stop([name])
        except CommandError:
            pass  # without it there is nothing that starts it
    return off(folder)


def relay_name(folder: str) -> str:
    """Return what a relay is called beside recordings, which have no colon in their names."""
    return f"relay:{os.path.basename(folder)}"


def _remove_unit(name: str) -> None:
    if os.path.lexists(path(unit_name(name))):
        remove(unit_name(name))


def _cron_runs() -> bool:
    """Tell whether there is a process called as cron is; True where processes can't be seen."""
    seen = False
    for comm in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(comm, encoding="ascii", errors="replace") as file:
                if file.read().strip() in ("cron", "crond", "fcron", "dcron"):
                    return True
        except OSError:
            continue
        seen = seen or os.path.dirname(comm) == "/proc/1"
    return not seen
