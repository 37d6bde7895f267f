"""`boot`: have recordings start with the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from reclog.console import note, say
from reclog.errors import BootError, NoSuchRecordingError
from reclog.words import inv

from .edge import task
from .names import HELP

if TYPE_CHECKING:
    from reclog.recordings.recording import Recording


@task(
    iterable=["recording"],
    help={
        "recording": HELP,
        "off": "Have them start at boot no more; what runs goes on.",
    },
)
def boot(c: Context, recording: Any = None, off: bool = False) -> None:
    """Have what records now start at boot, as it is by then.

    Writes a systemd user unit for each recording, which also starts it again
    if it dies. What runs now goes on as it is. No unit holds a secret.
    """
    from reclog.boot import here
    from reclog.recordings.choice import meant
    from reclog.recordings.registry import Registry
    from reclog.stream.publishers import Publishers

    registries = (Registry(), Publishers())
    with registries[0].alone():
        if off:
            known = [one for registry in registries for one in here.coming_back(registry)]
            _off(meant(known, recording or []))
        else:
            # Of a subscriber's files it is the subscriber that starts.
            known = [one for registry in registries for one in registry.here() if not one.of]
            _on([one for one in meant(known, recording or []) if recording or one.is_alive()])
        for registry in registries:
            here.sweep(registry)


def _on(asked: list[Recording]) -> None:
    from reclog.boot import here, systemd
    from reclog.tremplin.at_boot import takes_an_agent
    from reclog.tremplin.login import Way

    if not asked:
        raise NoSuchRecordingError(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
    dead = next((one.name for one in asked if not one.is_alive()), "")
    if dead:
        raise BootError(f"{dead} does not run: start it, then this again.")
    if not systemd.is_here():
        lines = "\n".join(map(here.reboot_line, asked))
        raise BootError(f"No systemd runs this machine: `crontab -e`, and add, for cron to do it:\n{lines}")
    for one in asked:
        say(f"{one.name} starts at boot, by {here.have(one)}")
        if one.host and takes_an_agent(Way.of(one)):
            note(
                f"{one.host} lets you in by your ssh-agent alone, which is not there at boot: "
                "give it a key without a passphrase (-i), or it waits for you."
            )
    if not systemd.lingers():
        note(
            "Now they start when you log in, and end when you log out. "
            f"`loginctl enable-linger {systemd.user()}` has them start at boot, and stay."
        )


def _off(asked: list[Recording]) -> None:
    from reclog.boot import here

    for one in asked:
        by_hand = here.off(one)
        say(f"{one.name} does not start at boot.")
        if by_hand:
            note(by_hand)
    if not asked:
        say("Nothing starts at boot.")
