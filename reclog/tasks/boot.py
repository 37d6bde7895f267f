"""`boot`: have recordings start with the machine."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.boot import here, systemd
from reclog.console import note, say
from reclog.errors import BootError, NoSuchRecordingError
from reclog.recordings.choice import meant
from reclog.recordings.registry import Registry
from reclog.words import inv

from .edge import sentences
from .names import HELP


@task(
    auto_shortflags=False,
    iterable=["recording"],
    help={
        "recording": HELP,
        "off": "Have them start at boot no more; what runs goes on.",
    },
)
@sentences
def boot(c: Context, recording: Any = None, off: bool = False) -> None:
    """Have what records now start at boot, as it is by then.

    Writes a systemd user unit for each recording, which also starts it again
    if it dies. What runs now goes on as it is. No unit holds a secret.
    """
    registry = Registry()
    with registry.alone():
        if off:
            _off(registry, recording or [])
        else:
            _on(registry, recording or [])


def _on(registry: Registry, names: list[str]) -> None:
    known = list(registry.here())
    asked = [one for one in meant(known, names) if names or one.is_alive()]
    if not asked:
        raise NoSuchRecordingError(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
    dead = next((one.name for one in asked if not one.is_alive()), "")
    if dead:
        raise BootError(f"{dead} does not run: start it, then this again.")
    if not systemd.is_here():
        lines = "\n".join(map(here.reboot_line, asked))
        raise BootError(
            f"No systemd runs this machine: add this with `crontab -e`, for cron to do it.\n{lines}"
        )
    for one in asked:
        say(f"{one.name} starts at boot, by {here.have(one)}")
    here.sweep(registry)
    if not systemd.lingers():
        note(
            "Now they start when you log in, and end when you log out. "
            f"`loginctl enable-linger {systemd.user()}` has them start at boot, and stay."
        )


def _off(registry: Registry, names: list[str]) -> None:
    known = registry.known()
    asked = meant(known, names) if names else list(filter(here.comes_back, known))
    for one in asked:
        here.off(one)
        say(f"{one.name} does not start at boot.")
    here.sweep(registry)
    if not asked:
        say("Nothing starts at boot.")
