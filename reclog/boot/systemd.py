"""The user's own systemd: its units, which of them are started at boot, and whether it is there at boot."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence

from .commands import CommandError, output
from .units import PREFIX, SUFFIX, Unit


def is_here() -> bool:
    """Tell whether systemd runs this machine (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def user() -> str:
    """Return the name of this account."""
    return pwd.getpwuid(os.getuid()).pw_name


def lingers() -> bool:
    """Tell whether this user's systemd starts at boot; else it does when the user logs in."""
    try:
        return _said("loginctl", "show-user", user(), "--property=Linger", "--value") == "yes"
    except CommandError:  # it knows only who is logged in or lingers
        return False


def folder() -> str:
    """Return where the user's units are (systemd.unit(5))."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(config, "systemd", "user")


def path(name: str) -> str:
    """Return the path of a unit."""
    return os.path.join(folder(), name)


def text(name: str) -> str:
    """Return what a unit says; empty if there is none."""
    try:
        with open(path(name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def ours() -> list[str]:
    """Return the names of the units that are ours, by name."""
    try:
        names = os.listdir(folder())
    except OSError:
        return []
    return sorted(name for name in names if name.startswith(PREFIX) and name.endswith(SUFFIX))


def is_enabled(name: str) -> bool:
    """Tell whether a unit is started with the user's systemd."""
    return os.path.exists(os.path.join(folder(), "default.target.wants", name))


def enable(unit: Unit) -> None:
    """Have a unit be started with the user's systemd, from the next time on. Raises CommandError, OSError."""
    os.makedirs(folder(), exist_ok=True)
    temporary = f"{path(unit.name)}.{os.getpid()}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(unit.text)
    os.replace(temporary, path(unit.name))
    try:
        _systemctl("daemon-reload")
        _systemctl("enable", "--quiet", unit.name)
    except CommandError:
        remove(unit.name)
        raise


def stop(names: Sequence[str]) -> None:
    """End what these units run, and have it stay so until the next boot. Raises CommandError."""
    _systemctl("stop", *names)
    _systemctl("reset-failed", *names)


def is_active(name: str) -> bool:
    """Tell whether something runs by a unit, or is about to."""
    try:
        return _systemctl("show", "--property=ActiveState", "--value", name) not in ("inactive", "failed")
    except CommandError:
        return False


def remove(name: str) -> None:
    """Take a unit away; one by which something runs is only started no more. Raises OSError."""
    wants = os.path.join(folder(), "default.target.wants")
    # What runs without its unit's file would be ended by systemd's own settings.
    for link in (os.path.join(wants, name), *(() if is_active(name) else (path(name),))):
        try:
            os.unlink(link)
        except FileNotFoundError:
            pass
    for made in (wants, folder(), os.path.dirname(folder())):
        try:
            os.rmdir(made)
        except OSError:
            pass  # something else is in it
    try:
        _systemctl("daemon-reload")
    except CommandError:
        pass  # it reads them when it starts


def _systemctl(*words: str) -> str:
    return _said("systemctl", "--user", *words)


def _said(*command: str) -> str:
    """Return what a command of systemd's prints. Raises CommandError."""
    # Who came by su, sudo, or an sshd without PAM is not told where it is (pam_systemd(8)).
    said = output(command, XDG_RUNTIME_DIR=f"/run/user/{os.getuid()}")
    return said.decode("utf-8", "replace").strip()
