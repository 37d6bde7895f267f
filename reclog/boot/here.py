"""Recordings of this machine that come back at boot: each as it was told to be when it last ran.

Rules kept here:

- Whatever is in the registry, and runs, can come back: by the role that its daemon says it has.
- A recording comes back while its unit is enabled and its folder holds `boot.json`: either can be taken away
  alone, and nothing starts. Without systemd the unit is a line of the user's crontab, theirs to add: it
  counts once it is there.
- A unit is the recording's whose folder is in it: another state folder's, of the same name, is not touched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.records.names import BOOT, CONFIG, MARK, SSH_CONFIG
from reclog.engine.records.past import ONCE

from ..errors import BootError
from ..recordings.launch import PROGRAMS
from ..recordings.recording import Recording
from ..recordings.registry import Registry
from ..words import inv
from . import crontab, systemd
from .commands import CommandError
from .units import Unit, unit, unit_name


def comes_back(recording: Recording) -> bool:
    """Tell whether a recording is known to start at boot."""
    if not (recording.folder / BOOT).exists():
        return False
    name = _unit_of(recording)
    return bool(name and systemd.is_enabled(name)) or (not systemd.is_here() and crontab.has(recording.name))


def have(recording: Recording) -> str:
    """Have a recording that runs start at boot; return its unit's name. Raises BootError."""
    new = _unit(recording)
    before = systemd.text(new.name)
    if before and _folder_in(before) not in ("", str(recording.folder)):
        raise BootError(
            f"{systemd.path(new.name)} is another state folder's: `{inv('boot', '--off')}` there removes it."
        )
    try:
        systemd.enable(new)
        _prepare(recording)
    except OSError as error:
        raise BootError(f"{error.filename} can't be written ({error.strerror}): make it yours.") from error
    except CommandError as error:
        raise BootError(
            f"Your own systemd does not do it ({error}): `loginctl enable-linger {systemd.user()}` has it "
            "run, as root where that is refused; then this again."
        ) from error
    return new.name


def off(recording: Recording) -> str:
    """Have a recording start at boot no more; what runs goes on. Raises BootError.

    Return what is left to be done by hand; a line of a crontab does nothing by then.
    """
    _take_away(_unit_of(recording), recording.folder)
    if systemd.is_here() or not crontab.has(recording.name):
        return ""
    return f"`crontab -e`, and take its line away: it ends in {crontab.mark(recording.name)!r}."


def sweep(registry: Registry) -> None:
    """Take units away whose recording has gone, or has got another folder. Raises BootError."""
    for name in systemd.ours():
        folder = Path(_folder_in(systemd.text(name)))
        if folder.parent == registry.folder and not (folder / BOOT).exists():
            _take_away(name, folder)


def coming_back(registry: Registry) -> list[Recording]:
    """Return all that start at boot, whether they run now or not, by name."""
    folders = sorted(path.parent for path in registry.folder.glob(f"[!.]*/{BOOT}"))
    return list(filter(comes_back, map(Recording, folders)))


def hold(recordings: Sequence[Recording]) -> tuple[list[str], list[str]]:
    """See that recordings which were stopped are not started again before the next boot.

    Return a sentence for each that is then, and what went wrong.
    """
    problems = []
    by_unit = {name: one for one in recordings if (name := _unit_of(one))}
    if by_unit:
        with contextlib.suppress(CommandError):  # without it there is nothing that starts them
            systemd.stop([*by_unit])
    for one in by_unit.values():
        if not comes_back(one):
            try:
                off(one)
            except BootError as error:
                problems.append(str(error))
    return [
        f"{one.name} starts again at boot: `{inv('boot', one.name, '--off')}` ends that."
        for one in filter(comes_back, recordings)
    ], problems


def gone(recording: Recording) -> bool:
    """Have a recording that is gone start no more; tell whether it would have. Raises BootError."""
    name, would = _unit_of(recording), comes_back(recording)
    if name:
        with contextlib.suppress(CommandError):
            systemd.stop([name])
    if would or name:
        off(recording)
    return would


def reboot_line(recording: Recording) -> str:
    """Return the line of a crontab that starts a recording at boot, which can then. Raises BootError."""
    try:
        _prepare(recording)
    except OSError as error:
        raise BootError(f"{error.filename} can't be written ({error.strerror}): make it yours.") from error
    program, role = _program(recording)
    start = [*program, "start", role, "--folder", str(recording.folder), "--again"]
    return crontab.reboot_line(start, recording.name)


def _prepare(recording: Recording) -> None:
    """Have a recording be started at boot as it is now. Raises OSError."""
    told = recording.facts
    with contextlib.suppress(OSError, ValueError):
        told = read_json(str(recording.folder / CONFIG))
    kept = {name: value for name, value in told.items() if name not in ONCE}
    write_json(str(recording.folder / BOOT), kept, sync=True)


def _unit(recording: Recording) -> Unit:
    folder = str(recording.folder)
    program, role = _program(recording)
    command = [*program, role, "--folder", folder, "--again"]
    # What it starts are the programs that it started from here.
    environment = {MARK: folder, "PATH": os.environ.get("PATH", os.defpath)}
    try:
        return unit(recording.name, command, folder, BOOT, environment, sandboxed=not _runs_others(recording))
    except ValueError as error:
        raise BootError(f"{recording.name} can't be started by systemd: {error}.") from error


def _program(recording: Recording) -> tuple[list[str], str]:
    """Return the argv of what a recording's daemon is a role of, as it is installed, and the role.

    It is found by its name, as it is once it was upgraded. Raises BootError.
    """
    role = recording.fact("role")
    if not role:
        raise BootError(
            f"{recording.name} was started by an older reclog: stop it, start it again, then this."
        )
    command = [sys.executable, "-I", "-m", f"reclog.{PROGRAMS.get(role, 'engine')}"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        raise BootError(f"reclog is not installed for {sys.executable}: install it there, then this again.")
    return command, role


def _runs_others(recording: Recording) -> bool:
    """Tell whether it runs programs of the user's: they may do what a daemon of ours never does."""
    with contextlib.suppress(OSError):
        if "proxycommand" in (recording.folder / SSH_CONFIG).read_text("utf-8", "replace"):
            return True
    return bool(recording.listed("dial"))


def _take_away(name: str, folder: Path) -> None:
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (folder / BOOT).unlink()
        if name:
            systemd.remove(name)
    except OSError as error:
        raise BootError(
            f"{error.filename} can't be removed ({error.strerror}): remove it by hand."
        ) from error


def _unit_of(recording: Recording) -> str:
    """Return the name of a recording's unit; empty if it has none, or another state folder has that name."""
    name = unit_name(recording.name)
    return name if _folder_in(systemd.text(name)) == str(recording.folder) else ""


def _folder_in(text: str) -> str:
    """Return the folder that a unit of ours is about."""
    lines = (line.partition("=") for line in text.splitlines())
    return next((value.replace("%%", "%") for key, _, value in lines if key == "WorkingDirectory"), "")
