"""`inv kill`: stop recordings."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.console import note, size
from reclog.errors import NotDrainedError
from reclog.registry import Registry
from reclog.stop import Stopped, chosen, stop, stop_strays

from .edge import sentences


@task(
    auto_shortflags=False,
    help={
        "port": "Only the recording on this port.",
        "host": "Only recordings through this tremplin.",
        "file": "Only the recording of this file.",
    },
)
@sentences
def kill(c: Context, port: Any = None, host: Any = None, file: Any = None) -> None:
    """Stop all recordings, after bringing in what senders have sent.

    Ends each recorder and all that it started, and no other process. What could not be recorded (a full
    disk) is said, and the exit status is then 1.
    """
    registry = Registry()
    recordings = chosen(list(registry.here()), port, host, file)
    stopped = stop(recordings, registry)
    for one in stopped:
        print(_sentence(one))
    strays = stop_strays(registry) if (port, host, file) == (None, None, None) else 0
    if strays:
        note(f"Stopped {strays} processes whose recording had lost its state.")
    if not stopped and not strays:
        print("Nothing to stop: no recording runs.")
    losses = [one for one in stopped if not one.complete]
    if losses:
        raise NotDrainedError("\n".join(map(_loss, losses)))


def _sentence(one: Stopped) -> str:
    if one.was_dead:
        return f"{one.name} was dead; cleaned up."
    counted = "" if one.lines is None else f", {one.lines} lines recorded"
    return f"{one.name} stopped{counted}: {one.file}"


def _loss(one: Stopped) -> str:
    if one.forced:
        return f"{one.name} did not end in time and was killed: its last lines may be missing in {one.file}."
    reason = f" ({one.reason})" if one.reason else ""
    return (
        f"{one.name}: {size(one.left_bytes)} of {one.left_senders} senders could not be recorded{reason}: "
        f"make room for {one.file} and have them sent again."
    )
