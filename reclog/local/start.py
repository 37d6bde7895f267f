"""Start a recorder on this machine, or say why it can't be."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import subprocess
from typing import TYPE_CHECKING, Any

from reclog.engine.daemons.config import RecorderConfig

from ..errors import AlreadyRecordedError, PortBusyError, StartError
from ..recordings.again import entrances, stop_command
from ..recordings.called import recognised
from ..recordings.change import apply, changes, kept, refuse_foreground, spoken
from ..recordings.choice import keeps_from
from ..recordings.launch import launch
from ..recordings.past import forget_the_oldest
from ..recordings.processes import end, holder_of, marked
from ..recordings.recording import Recording, is_file_of
from ..recordings.registry import Registry
from ..recordings.rotation import check_rotation
from ..recordings.settings import LocalSettings, check_together
from ..recordings.token import settled

if TYPE_CHECKING:
    from ..recordings.certificate import Certificate


@dataclasses.dataclass
class Started:
    """A daemon that works."""

    recording: Recording
    #: None where it ran already.
    process: subprocess.Popen[bytes] | None
    #: Bytes that were in the file before.
    begin: int
    #: What the person should know, of this system's limits and else.
    notes: list[str]
    #: Recordings of dead processes that were cleaned up on the way.
    cleaned: list[str]
    #: Options that it has now, and had not before this call.
    changed: list[str]


def start_local(settings: LocalSettings, registry: Registry) -> Started:
    """Start the recorder of `settings`. Raises a ReclogError that says why it can't."""
    registry.make()
    with registry.alone():
        return _start_alone(settings, registry)


def _start_alone(settings: LocalSettings, registry: Registry) -> Started:
    settings = recognised(settings, registry, "local")
    settings = settled(settings, registry, f"local-{settings.port}")
    for other in registry.here():
        if other.kind == "local" and _is_meant(other, settings):
            if not other.is_alive():
                if "file" not in settings.said or is_file_of(other, settings.file):
                    settings = kept(settings, other.facts, but=["listener"])
                    check_together(settings)
            elif "bind" not in settings.said or other.bind == settings.bind:
                return _take_up(other, settings, registry)
    check_rotation(settings)
    shown = _certificate(settings, registry) if settings.tls else None
    cleaned = _make_way(settings, registry)
    front = os.getpid() if settings.foreground else 0
    config = RecorderConfig.from_json(
        {**dataclasses.asdict(settings), **(shown.fields if shown else {}), "foreground_of": front}
    )
    told = {**config.to_json(), "kind": "local", "host": None, "called": settings.called}
    recording = registry.new(_name(settings), told)
    forget_the_oldest(registry)
    begin = recording.end
    process, answer = launch("recorder", recording)
    if not answer.get("ready"):
        recording.clean(began=False)
        raise _reason(settings, registry, answer)
    notes = [str(note) for note in answer.get("notes", [])] + (shown.notes if shown else [])
    return Started(Recording(recording.folder), process, begin, notes, cleaned, [])


def _is_meant(other: Recording, settings: LocalSettings) -> bool:
    """Tell whether what is asked for is that recording: by name, port, a dialled device, or file."""
    if settings.called == other.name:
        return True
    if settings.port and other.port == settings.port:
        return True
    if set(settings.dial) & set(other.listed("dial")):
        return True
    return not settings.port and not other.port and is_file_of(other, settings.file)


def _name(settings: LocalSettings) -> str:
    """Return what the recording is called: by its port, or by the first device that it dials."""
    if settings.port:
        return f"local-{settings.port}"
    return "local-" + re.sub(r"[^A-Za-z0-9.]+", "-", settings.dial[0]).strip("-")[:40]


def _certificate(settings: LocalSettings, registry: Registry) -> Certificate:
    """Return the certificate to show. Raises CertificateError."""
    from ..recordings.certificate import certificate_for, names_here  # here: it takes a while to import

    return certificate_for(settings, registry, socket.gethostname(), names_here())


def _take_up(running: Recording, settings: LocalSettings, registry: Registry) -> Started:
    """Have a recording that runs on the port be as it is asked for. Raises ReclogError if it can't."""
    if running.state == "stopped":
        assert running.identity is not None
        raise StartError(f"{running.name} is suspended: `kill -CONT {running.identity.pid}` lets it go on.")
    check_rotation(kept(settings, running.facts))
    wanted = changes(running, settings)
    if settings.tls and "tls" in settings.said:
        shown = _certificate(kept(settings, running.facts), registry)
        if shown.fingerprint != running.fact("fingerprint"):
            wanted.update(shown.fields)
    if settings.foreground:
        refuse_foreground(running)
    notes = apply(running, wanted) if wanted else []
    changed = [spoken(name, value) for name, value in wanted.items() if name != "fingerprint"]
    return Started(Recording(running.folder), None, 0, notes, [], changed)


def _make_way(settings: LocalSettings, registry: Registry) -> list[str]:
    """Clean up what died on the same port or file; refuse a file that is being recorded."""
    cleaned = []
    for other in registry.here():
        same_file = keeps_from(other, settings.file)
        if not same_file and not _is_meant(other, settings):
            continue
        if other.is_alive() or other.is_locked():
            if same_file:
                raise _already_recorded(other)
        else:
            # What a program had started that was dialled: that program died with its recorder.
            end(marked(registry.folder).get(other.folder, []), term_within=1.0)
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
        f"{other.file} is being recorded by {other.name} ({entrances(other)}) already: "
        f"`{stop_command(other)}` stops it, --file names another file."
    )
