"""What a recording is called: as `--as` says, and what that name stands for where it is said again.

Rules kept here:

- A name is one recording's, one file's: it gets no number behind it, and is refused where another has it.
- Said again it stands for the ports, devices and file of that recording, as far as the call names none.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from ..errors import ReclogError
from .change import kept
from .recording import Recording
from .registry import Registry
from .settings import Settings

S = TypeVar("S", bound=Settings)

#: What tells one recording from another, beside its port.
_IDENTITY = ("dial", "dial_in", "file")
#: What the port of one is called, of this machine and of a tremplin.
_PORTS = ("port", "port_remote_in")


def recognised(settings: S, registry: Registry, kind: str, login: str = "") -> S:
    """Return `settings` with what the name in them stands for, of that kind (and through that login)."""
    for one in registry.known() if settings.called else ():
        if (one.name, one.kind, one.fact("login")) == (settings.called, kind, login):
            named = kept(settings, {name: one.facts[name] for name in _IDENTITY if name in one.facts})
            unsaid = [name for name in _PORTS if hasattr(settings, name) and name not in settings.said]
            ports: dict[str, Any] = {} if one.corrupt and not one.port else dict.fromkeys(unsaid, one.port)
            return dataclasses.replace(named, **ports)
    return settings


def refuse_another(settings: Settings, recording: Recording) -> None:
    """Refuse to call a recording that is to be taken up otherwise than it is called. Raises ReclogError."""
    if settings.called not in ("", recording.name):
        raise ReclogError(
            f"That is the recording {recording.name}: leave --as out, or say --as {recording.name}."
        )
