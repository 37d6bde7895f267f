"""Have a relay start with its host, and take that back: what is done there, and what is said of it here."""

from __future__ import annotations

import contextlib
import shlex
import subprocess

from ..boot.crontab import mark
from ..boot.there import relay_name
from ..boot.units import unit_name
from ..console import brief
from ..errors import BootError
from .login import WITHIN, Way, login
from .package import program_text
from .scripts import clear_script, last_object
from .ssh import ssh_command

#: What is printed there where the host knows a relay that is to start at boot.
_KNOWN = "reclog-starts-at-boot"
#: By whom it is started, for a person to read.
_BY = {"systemd": "by a systemd user unit", "cron": "by a line of the crontab"}


def start_at_boot(way: Way, folder: str, wanted: bool) -> str:
    """Have the relay of `folder` start when its host boots, or do so no more; return what to say of it.

    Raises HostError, and BootError where nothing there can do it.
    """
    by, alias = _done(way, "on" if wanted else "off", folder), way.target.host
    return f"{alias}: relay starts at boot, {_BY[by]}" if by else f"{alias}: relay does not start at boot"


def clear(way: Way, folder: str) -> None:
    """Remove a relay's folder there, but first what starts it at boot. Raises HostError, BootError."""
    name = relay_name(folder)
    unit = f'"${{XDG_CONFIG_HOME:-$HOME/.config}}"/systemd/user/{shlex.quote(unit_name(name))}'
    listed = f"crontab -l 2>/dev/null | grep -qF {shlex.quote(mark(name))}"
    remove = clear_script(folder)
    script = f"if [ -e {unit} ] || {listed}; then echo {_KNOWN}; else {remove}; fi"
    if _KNOWN in login(way, shlex.join(["sh", "-c", script])):
        _done(way, "gone", folder)
        login(way, remove)


def _done(way: Way, verb: str, folder: str) -> str:
    """Have `boot.there` do that; return by whom the relay is started now. Raises HostError, BootError."""
    words = shlex.join(["exec", "python3", "-", verb, folder])
    answer = last_object(login(way, shlex.join(["sh", "-c", words]), program_text("reclog.boot.there")))
    by = answer.get("by")
    if by not in ("", *_BY):
        why, does = brief(str(answer.get("message"))), "does not start" if verb == "on" else "starts"
        raise BootError(f"The relay on {way.target.host} is as it was, but {does} at boot: {why}.")
    return str(by)


def takes_an_agent(way: Way) -> bool:
    """Tell whether the host refuses the login without the user's ssh-agent, as far as can be seen now."""
    *words, end, name = ssh_command(way.config, way.target.host)
    command = [*words, "-o", "IdentityAgent=none", end, name, "true"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WITHIN, check=False
        )
        return done.returncode == 255 and b"Permission denied" in done.stderr
    return False
