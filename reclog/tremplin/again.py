"""The command that takes a recording through a tremplin up again, for a person to copy."""

from __future__ import annotations

import shlex
from typing import Any

from ..recordings.registry import Recording
from ..recordings.settings import DEFAULTS


def ports_words(port_remote_in: Any, port_remote_out: Any) -> list[str]:
    """Return the options that name a relay's ports where they are not the built-in ones."""
    ports = {"port_remote_in": port_remote_in, "port_remote_out": port_remote_out}
    words = []
    for name, port in ports.items():
        if port not in (None, DEFAULTS[name]):
            words += ["--" + name.replace("_", "-"), str(port)]
    return words


def _target(value: Any) -> dict[str, Any]:
    """Return what of a recording's target can be told again."""
    if not isinstance(value, dict):
        return {}
    given, port = value.get("identities"), value.get("port")
    return {
        **{key: one for key, one in value.items() if isinstance(one, str)},
        "identities": [one for one in given if isinstance(one, str)] if isinstance(given, list) else [],
        "port": port if type(port) is int else None,
    }


def again_command(recording: Recording) -> str:
    """Return the command that takes a recording up again, for a person to copy."""
    facts = recording.facts
    target = _target(facts.get("target"))
    words = ["fab", *(["-S", target["config"]] if target.get("config") else [])]
    for identity in target.get("identities") or ():
        words += ["-i", identity]
    user = f"{target['user']}@" if target.get("user") else ""
    host = f"[{recording.host}]" if ":" in recording.host else recording.host
    port = f":{target['port']}" if target.get("port") else ""
    words += ["-H", f"{user}{host}{port}", "tremplin", "--file", recording.file]
    return shlex.join([*words, *ports_words(recording.port, facts.get("port_remote_out"))])
