"""The same command again: what it says anew of a recording that runs, and what of that can change.

Only words that were said count (a flag, the environment, the config): the rest stays as it is.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from reclog.engine.daemons.asking import request
from reclog.engine.daemons.config import CollectorConfig, Listening, RecorderConfig, SetAside, is_right

from ..console import brief
from ..errors import ReclogError, StartError
from .again import stop_command
from .defaults import DEFAULTS, option_name
from .recording import Recording, is_file_of
from .settings import FileSettings

S = TypeVar("S", bound=FileSettings)

#: What can change while it runs: a relay's certificate is not on this machine.
_CHANGEABLE = {
    "local": RecorderConfig.CHANGEABLE,
    "tremplin": CollectorConfig.CHANGEABLE,
    "subscriber": SetAside.CHANGEABLE,
}
#: What can be asked for of a recording that runs, and changes nothing of it.
_CHANGES_NOTHING = ("port_remote_in", "take_over", "foreground", "boot")
#: What is said by saying another.
_GOES_WITH = {"dial_in": "dial"}


def changes(running: Recording, settings: S) -> dict[str, Any]:
    """Return what is said that is not as it is and can change while it runs.

    Raises ReclogError where something else that is said is not as it is.
    """
    wanted, differs = {}, []
    for name, value in settings.asked.items():
        runs = running.name if name == "called" else running.facts.get(name, DEFAULTS.get(name, ""))
        if value in (None, runs) or name in _CHANGES_NOTHING or (name, value) == ("listener", "auto"):
            continue
        if name == "file" and is_file_of(running, value):
            continue
        if name in _CHANGEABLE[running.kind]:
            wanted[name] = value
        else:
            differs.append(spoken(name, runs))
    if differs:
        raise ReclogError(
            f"{running.name} runs with {', '.join(differs)}, and that does not change while it runs: "
            f"`{stop_command(running)}`, then this again."
        )
    return wanted


def refuse_foreground(running: Recording) -> None:
    """Refuse to stay with a recording that runs already. Raises StartError."""
    raise StartError(
        f"{running.name} is recording already, in the background: `{stop_command(running)}` stops it, or "
        "leave --foreground out."
    )


def apply(recording: Recording, wanted: Mapping[str, Any]) -> list[str]:
    """Have a recording that runs here change; return what is to be known of it. Raises ReclogError."""
    return checked(recording, request(Path(recording.folder), {"set": dict(wanted)}))


def checked(recording: Recording, answer: Mapping[str, Any]) -> list[str]:
    """Return the notes of a daemon that was told to change. Raises ReclogError if it does not."""
    if not isinstance(answer.get("set"), dict):
        raise ReclogError(
            f"{recording.name} is not changed ({brief(str(answer.get('error') or 'it does not answer'))}): "
            f"`{stop_command(recording)}`, then this again."
        )
    notes = answer.get("notes")
    return [brief(str(note)) for note in notes] if isinstance(notes, list) else []


def kept(settings: S, facts: Mapping[str, Any], but: Collection[str] = ()) -> S:
    """Return `settings` with what was not said as it is in `facts`, of a recording that is taken up again."""
    there: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        name, value = field.name, facts.get(field.name)
        meant = _GOES_WITH.get(name, name)
        if meant not in DEFAULTS or meant in (*settings.said, *_CHANGES_NOTHING, "called", *but):
            continue
        if type(value) is type(getattr(settings, name)) and is_right(name, value):
            there[name] = value
    return dataclasses.replace(settings, **there)


def spoken(name: str, value: Any) -> str:
    """Return the option that says so, for a person to read."""
    option = "--" + option_name(name).replace("_", "-")
    if name == "token":  # what is known of it is for no one to read
        value = bool(value)
    if isinstance(value, bool):
        return option if value else option.replace("--", "--no-", 1)
    if isinstance(value, list):
        if value or name in Listening.CHANGEABLE:
            return " ".join(shlex.join([option, one]) for one in value or ["any"])
        return option.replace("--", "--no-", 1) if name in SetAside.CHANGEABLE else f"no {option}"
    return f"{option} {value}" if value else f"no {option}"
