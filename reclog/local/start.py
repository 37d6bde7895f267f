"""Start a recorder on this machine, or say why it can't be."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from typing import Any

from reclog.engine.daemons.config import RecorderConfig

from ..errors import AlreadyRecordedError, PortBusyError, StartError
from ..recordings.again import stop_command
from ..recordings.choice import keeps_from
from ..recordings.launch import launch
from ..recordings.processes import holder_of
from ..recordings.registry import Recording, Registry
from ..recordings.settings import LocalSettings


@dataclasses.dataclass
class Started:
    """A daemon that works."""

    recording: Recording
    process: subprocess.Popen[bytes]
    #: What the person should know of this system's limits.
    notes: list[str]
    #: Recordings of dead processes that were cleaned up on the way.
    cleaned: list[str]


def start_local(settings: LocalSettings, registry: Registry) -> Started:
    """Start the recorder of `settings`. Raises a ReclogError that says why it can't."""
    registry.make()
    with registry.alone():
        return _start_alone(settings, registry)


def _start_alone(settings: LocalSettings, registry: Registry) -> Started:
    cleaned = _make_way(settings, registry)
    front = os.getpid() if settings.foreground else 0
    config = RecorderConfig.from_json({**dataclasses.asdict(settings), "foreground_of": front})
    recording = registry.new(f"local-{settings.port}", {**config.to_json(), "kind": "local", "host": None})
    process, answer = launch("recorder", recording)
    if not answer.get("ready"):
        recording.clean()
        raise _reason(settings, registry, answer)
    notes = [str(note) for note in answer.get("notes", [])]
    return Started(Recording(recording.folder), process, notes, cleaned)


def _make_way(settings: LocalSettings, registry: Registry) -> list[str]:
    """Clean up what died on the same port or file; refuse a file that is being recorded."""
    cleaned = []
    for other in registry.here():
        same_file = keeps_from(other, settings.file)
        if not same_file and other.port != settings.port:
            continue
        if other.is_alive() or other.is_locked():
            if same_file:
                raise _already_recorded(other)
        else:
            other.clean()
            cleaned.append(other.name)
    return cleaned


def _reason(settings: LocalSettings, registry: Registry, answer: dict[str, Any]) -> Exception:
    cause, message = answer.get("cause"), str(answer.get("message"))
    if cause == "port-taken":
        for other in registry.here():
            if other.port == settings.port and other.is_alive():
                return PortBusyError(
                    f"Port {settings.port} is taken by the recording {other.name} ({other.file}): "
                    f"`{stop_command(other)}` stops it, --port chooses another."
                )
        holder = holder_of(settings.port) or "another process"
        return PortBusyError(f"Port {settings.port} is taken by {holder}: stop it, or choose another --port.")
    if cause == "port-held" and (holder := holder_of(settings.port)):
        return PortBusyError(
            f"Port {settings.port} is held by an outgoing connection of {holder}: "
            "try again when that has ended, or choose another --port."
        )
    if cause == "file-taken":
        return AlreadyRecordedError(message)
    return StartError(message)


def _already_recorded(other: Recording) -> AlreadyRecordedError:
    return AlreadyRecordedError(
        f"{other.file} is being recorded by {other.name} (port {other.port}) already: "
        f"`{stop_command(other)}` stops it, --file names another file."
    )
