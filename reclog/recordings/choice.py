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
    recordings: Sequence[Recording], port: str | None = None, host: str | None = None, file: str | None = None
) -> list[Recording]:
    """Return those of `recordings` that --port, --host and --file leave, all if none is given.

    Raises UsageError, and NoSuchRecordingError if they leave none.
    """
    left = list(recordings)
    if port is not None:
        wanted = port_number(port)
        left = [recording for recording in left if recording.port == wanted]
    if host is not None:
        left = [recording for recording in left if recording.host == host]
    if file is not None:
        path = file_path(file)
        left = [recording for recording in left if is_file_of(recording, path)]
    if not left and (port, host, file) != (None, None, None):
        runs = ", ".join(_named(one) for one in recordings if not one.is_past) or "nothing"
        raise NoSuchRecordingError(f"No recording is meant by that; what runs here: {runs}.")
    return left


def the_one(
    recordings: Sequence[Recording],
    port: str | None,
    host: str | None,
    file: str | None,
    name: str | None = None,
) -> Recording:
    """Return the only recording that the narrowing words leave; of those that have ended, if none runs.

    Raises UsageError and NoSuchRecordingError.
    """
    if name is not None:
        recordings = [named(recordings, name)]
    left = [one for one in meant(recordings, port, host, file) if not one.is_elsewhere()]
    left = [one for one in left if not one.is_past] or left
    if len(left) == 1:
        return left[0]
    if not left:
        raise NoSuchRecordingError(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
    names = ", ".join(_named(recording) for recording in left)
    raise NoSuchRecordingError(f"Say which one with --recording, --port or --file: {names}.")


def named(recordings: Sequence[Recording], name: str) -> Recording:
    """Return the one of `recordings` that is called so. Raises NoSuchRecordingError."""
    for recording in recordings:
        if recording.name == name:
            return recording
    known = ", ".join(recording.name for recording in recordings[:10]) or "nothing"
    raise NoSuchRecordingError(f"{name!r} is no recording: there is {known}; `{inv('history')}` tells all.")


def keeps_from(recording: Recording, path: str) -> bool:
    """Tell whether no other may record to `path`: it is the file of this one, and no device."""
    return is_file_of(recording, path) and (os.path.isfile(path) or not os.path.exists(path))


def _named(recording: Recording) -> str:
    return f"{recording.name} ({entrances(recording)}, {recording.file})"
