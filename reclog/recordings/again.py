"""The commands that take a recording up again, or stop it, for a person to copy."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from ..words import fab, inv
from .registry import Recording
from .settings import DEFAULTS
from .target import Target


def again_command(recording: Recording) -> str:
    """Return the command that takes a recording up again."""
    return {"local": _local, "tremplin": _tremplin}[recording.kind](recording)


def stop_command(recording: Recording) -> str:
    """Return the command that stops a recording."""
    return (
        inv("kill", "--host", recording.host)
        if recording.host
        else inv("kill", "--port", str(recording.port))
    )


def goes_on(recording: Recording) -> str:
    """Return what is to be said of a recording through a tremplin whose collector does not run."""
    return (
        f"The relay on {recording.host} goes on: `{again_command(recording)}` brings in what it has, "
        f"`{stop_command(recording)}` stops it."
    )


def ports_words(port_remote_in: Any, port_remote_out: Any) -> list[str]:
    """Return the options that name a relay's ports where they are not the built-in ones."""
    ports = {"port_remote_in": port_remote_in, "port_remote_out": port_remote_out}
    words = []
    for name, port in ports.items():
        if port and port != DEFAULTS[name]:
            words += ["--" + name.replace("_", "-"), str(port)]
    return words


def _local(recording: Recording) -> str:
    return inv("local", "--port", str(recording.port), "--file", recording.file)


def _tremplin(recording: Recording) -> str:
    facts = recording.facts
    try:
        where = Target.from_json(facts.get("target"), recording.host).fab_words()
    except UsageError:  # its state was lost
        where = ["-H", recording.host]
    ports = ports_words(recording.port, facts.get("port_remote_out"))
    return fab(*where, "tremplin", "--file", recording.file, *ports)
