"""Start a daemon in the background and learn from itself that it works, or why not."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import reclog.engine
from reclog.engine.daemons.daemon import MARK
from reclog.engine.records.names import OUTPUT
from reclog.engine.system.detach import READY_WITHIN, detached

from ..errors import AlreadyRecordedError, PortBusyError, StartError
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
    #: Seconds that it took.
    took: float


def daemon_command(role: str, folder: Path) -> list[str]:
    """Return the argv of a daemon; `-I` keeps the caller's PYTHON* variables and folder out of it."""
    engine = os.path.dirname(os.path.abspath(reclog.engine.__file__))
    return [sys.executable, "-I", engine, role, "--folder", str(folder)]


def launch(
    role: str, recording: Recording, within: float = READY_WITHIN
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a daemon with its folder and mark; return it and its answer. Raises StartError."""
    folder = recording.folder
    env = {**os.environ, MARK: str(folder)}
    try:
        return detached(daemon_command(role, folder), str(folder), env, str(folder / OUTPUT), within)
    except OSError as error:
        raise StartError(f"The {role} can't be started ({error.strerror}).") from error


def start_local(settings: LocalSettings, registry: Registry) -> Started:
    """Start the recorder of `settings`. Raises a ReclogError that says why it can't."""
    registry.make()
    with registry.alone():
        return _start_alone(settings, registry)


def _start_alone(settings: LocalSettings, registry: Registry) -> Started:
    began = time.monotonic()
    cleaned = _make_way(settings, registry)
    config = {**dataclasses.asdict(settings), "kind": "local", "host": None}
    del config["foreground"]
    if settings.foreground:
        config["foreground_of"] = os.getpid()
    recording = registry.new(f"local-{settings.port}", config)
    process, answer = launch("recorder", recording)
    if not answer.get("ready"):
        recording.clean()
        raise _reason(settings, registry, answer)
    notes = [str(note) for note in answer.get("notes", [])]
    return Started(Recording(recording.folder), process, notes, cleaned, time.monotonic() - began)


def _make_way(settings: LocalSettings, registry: Registry) -> list[str]:
    """Clean up what died on the same port or file; refuse a file that is being recorded."""
    cleaned = []
    for other in registry.here():
        same_file = other.file != "" and os.path.realpath(other.file) == os.path.realpath(settings.file)
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
                    f"inv kill --port {settings.port} stops it, --port chooses another."
                )
        holder = holder_of(settings.port) or "another process"
        return PortBusyError(f"Port {settings.port} is taken by {holder}: stop it, or choose another --port.")
    if cause == "port-held" and (holder := holder_of(settings.port)):
        return PortBusyError(
            f"Port {settings.port} is held by an outgoing connection of {holder}: "
            "try again when that has ended, or choose another --port."
        )
    if cause == "file-taken":
        for other in registry.here():
            if other.file and os.path.exists(other.file) and os.path.samefile(other.file, settings.file):
                return _already_recorded(other)
        return AlreadyRecordedError(message + " Name another with --file.")
    return StartError(message)


def _already_recorded(other: Recording) -> AlreadyRecordedError:
    return AlreadyRecordedError(
        f"{other.file} is being recorded by {other.name} (port {other.port}) already: "
        f"inv kill --port {other.port} stops it, --file names another file."
    )
