"""`inv kill`: stop recordings."""

from __future__ import annotations

import sys
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.console import DrainProgress, counted, note, size, visible
from reclog.errors import NotDrainedError, ReclogError
from reclog.local.stop import stop, stop_strays
from reclog.recordings.choice import chosen
from reclog.recordings.registry import Recording, Registry
from reclog.recordings.stopped import Stopped
from reclog.recordings.target import Target
from reclog.tremplin.ssh import resolve

from .edge import sentences


@task(
    auto_shortflags=False,
    help={
        "port": "Only the recording on this port.",
        "host": "Only recordings through this tremplin.",
        "file": "Only the recording of this file.",
        "discard": "Drop what a tremplin still has and could not be brought into the file.",
    },
)
@sentences
def kill(c: Context, port: Any = None, host: Any = None, file: Any = None, discard: bool = False) -> None:
    """Stop all recordings, here and on every tremplin, after bringing in what senders have sent.

    Ends each recorder, relay and tunnel, all that they started, and no other process. What could not be
    recorded (a full disk, a tremplin out of reach) is said, and the exit status is then 1.
    """
    registry = Registry()
    with registry.alone():
        recordings = chosen(list(registry.here()), port, host, file)
        problems = _stop_local(recordings, registry)
    problems += _stop_tremplins(recordings, registry, discard)
    strays = stop_strays(registry) if (port, host, file) == (None, None, None) else 0
    if strays:
        note(f"Stopped what had lost its state: {counted(strays, 'process', 'processes')}.")
    if not recordings and not strays:
        print("Nothing to stop: no recording runs.")
    if problems:
        raise NotDrainedError("\n".join(problems))


def stop_host(target: Target, take_over: bool, discard: bool) -> None:
    """Stop all that runs on a host, known here or not. Raises ReclogError."""
    from reclog.tremplin.stop import stop_on_host

    registry = Registry()
    login = resolve(target).login  # the host may have been given another name, and the name another port
    tremplins = [one for one in registry.here() if one.kind == "tremplin"]
    recordings = [one for one in tremplins if one.facts.get("login") == login]
    problems = _stop_tremplins(recordings, registry, discard)
    if problems:
        raise NotDrainedError("\n".join(problems))
    said = stop_on_host(target, registry, take_over, discard)
    for sentence in said:
        print(sentence)
    if not said and not recordings:
        print(f"Nothing to stop on {target.host}.")


def _stop_local(recordings: list[Recording], registry: Registry) -> list[str]:
    """Stop those on this machine; print how, return what went wrong."""
    problems = []
    for one in stop([r for r in recordings if r.kind != "tremplin"], registry):
        print(_sentence(one))
        if not one.complete:
            problems.append(_loss(one))
        if one.left_over:
            problems.append(one.left_over)
    return problems


def _stop_tremplins(recordings: list[Recording], registry: Registry, discard: bool) -> list[str]:
    """Stop those through a tremplin; print how, return what went wrong."""
    problems = []
    for recording in recordings:
        if recording.kind == "tremplin":
            from reclog.tremplin.stop import stop_tremplin

            try:
                # A start that is under way ends first; another kill leaves nothing to do.
                with registry.one_at_a_time(recording.name):
                    now = Recording(recording.folder)
                    if not now.facts:
                        continue
                    with DrainProgress(now.name, sys.stderr) as progress:
                        stopped = stop_tremplin(now, discard, progress)
                print(_sentence(stopped))
            except ReclogError as error:
                problems.append(str(error))
    return problems


def _sentence(one: Stopped) -> str:
    if one.was_dead:
        return f"{one.name} was dead; cleaned up."
    recorded = "" if one.lines is None else f", {counted(one.lines, 'line')} recorded"
    return f"{one.name} stopped{recorded}: {visible(one.file)}"


def _loss(one: Stopped) -> str:
    if one.forced:
        return f"{one.name} did not end in time and was killed: its last lines may be missing in {one.file}."
    reason = f" ({one.reason})" if one.reason else ""
    return (
        f"{one.name}: {size(one.left_bytes)} of {one.left_senders} senders could not be recorded{reason}: "
        f"make room for {one.file} and have them sent again."
    )
