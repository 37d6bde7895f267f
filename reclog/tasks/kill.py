"""`kill`: stop recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from reclog.console import counted, note, say
from reclog.errors import NotDrainedError

from .edge import task
from .names import HELP

if TYPE_CHECKING:
    from reclog.recordings.recording import Recording


@task(
    iterable=["recording"],
    help={
        "recording": HELP,
        "port": "Only the recording on this port.",
        "host": "Only recordings through this tremplin.",
        "file": "Only the recording of this file.",
        "discard": "Drop what a tremplin can't give; forget one that is gone.",
    },
)
def kill(
    c: Context,
    recording: Any = None,
    port: Any = None,
    host: Any = None,
    file: Any = None,
    discard: bool = False,
) -> None:
    """Stop all recordings, and keep what was sent.

    A publisher goes last, or by its name, and brings what is in the files.

    Brings in what senders have sent, then ends each recorder, relay and tunnel,
    all that they started, and no other process. What could not be recorded (a
    full disk, a tremplin out of reach) is said, and the exit status is then 1.
    """
    from reclog.boot.here import hold
    from reclog.local.stop import stop_local, stop_strays
    from reclog.recordings.choice import meant
    from reclog.recordings.registry import Registry
    from reclog.stream.publishers import Publishers, taken_out
    from reclog.stream.publishers import stop as stop_publishers
    from reclog.tremplin.stop import stop_tremplins

    registry, those = Registry(), Publishers()
    everything = not recording and (port, host, file) == (None, None, None)
    publishers, names = taken_out(recording or (), those)
    problems: list[str] = []
    recordings: list[Recording] = []
    if names or not publishers:
        with registry.alone():
            recordings = meant([one for one in registry.here() if not one.of], names, port, host, file)
            problems += stop_local(recordings, registry, say)
        problems += stop_tremplins(recordings, registry, discard, say)
    with those.alone():
        publishers = list(those.here()) if everything else publishers
        said, left = stop_publishers(publishers, those)
        at_boot, not_held = hold(publishers)
    for sentence in [*said, *at_boot]:
        say(sentence)
    problems += [*left, *not_held]
    strays = stop_strays(registry) + stop_strays(those) if everything else 0
    if strays:
        note(f"Stopped what had lost its state: {counted(strays, 'process', 'processes')}.")
    if not recordings and not said and not strays:
        say("Nothing to stop: no recording runs.")
    if problems:
        raise NotDrainedError("\n".join(problems))
