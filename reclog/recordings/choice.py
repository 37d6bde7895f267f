"""Which recordings a call means."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import NoSuchRecordingError
from ..words import inv
from .again import entrances
from .checks import file_path, port_number
from .recording import Recording, is_file_of


def meant(
    recordings: Sequence[Recording],
    names: Sequence[str] = (),
    port: str | None = None,
    host: str | None = None,
    file: str | None = None,
) -> list[Recording]:
    """Return those of `recordings` that their names, --port, --host and --file leave, all if none is given.

    Raises UsageError, and NoSuchRecordingError if they leave none, or if one of the names is nobody's.
    """
    left = [named(recordings, name) for name in dict.fromkeys(names)] or list(recordings)
    if port is not None:
        wanted = port_number(port)
        left = [recording for recording in left if recording.port == wanted]
    if host is not None:
        left = [recording for recording in left if recording.host == host]
    if file is not None:
        path = file_path(file)
        left = [recording for recording in left if is_file_of(recording, path)]
    if not left and (names or (port, host, file) != (None, None, None)):
        runs = ", ".join(_named(one) for one in recordings if not one.is_past) or "nothing"
        raise NoSuchRecordingError(f"No recording is meant by that; what runs here: {runs}.")
    return left


def the_one(
    recordings: Sequence[Recording], names: Sequence[str], port: str | None, file: str | None
) -> Recording:
    """Return the only recording that the narrowing words leave; of those that have ended, if none runs.

    Raises UsageError and NoSuchRecordingError.
    """
    left = [one for one in meant(recordings, names, port, None, file) if not one.is_elsewhere()]
    left = [one for one in left if not one.is_past] or left
    if len(left) == 1:
        return left[0]
    if not left:
        raise NoSuchRecordingError(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
    several = ", ".join(_named(recording) for recording in left)
    raise NoSuchRecordingError(f"Say which one, by its name, --port or --file: {several}.")


def named(recordings: Sequence[Recording], name: str) -> Recording:
    """Return the one of `recordings` that is called so. Raises NoSuchRecordingError."""
    for recording in recordings:
        if recording.name == name:
            return recording
    known = ", ".join(recording.name for recording in recordings[:10]) or "nothing"
    raise NoSuchRecordingError(
        f"{name[:100]!r} is no recording: there is {known}; `{inv('history')}` tells all."
    )


def keeps_from(recording: Recording, path: str) -> bool:
    """Tell whether no other may record to `path`: it is the file of this one, and no device."""
    return is_file_of(recording, path) and (os.path.isfile(path) or not os.path.exists(path))


def _named(recording: Recording) -> str:
    return f"{recording.name} ({entrances(recording)}, {recording.file})"
