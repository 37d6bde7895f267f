"""Which recordings a call means."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import NoSuchRecordingError
from .registry import Recording
from .settings import file_path, port_number


def chosen(
    recordings: Sequence[Recording], port: str | None = None, host: str | None = None, file: str | None = None
) -> list[Recording]:
    """Return those of `recordings` that --port, --host and --file leave. Raises UsageError."""
    left = list(recordings)
    if port is not None:
        wanted = port_number(port)
        left = [recording for recording in left if recording.port == wanted]
    if host is not None:
        left = [recording for recording in left if recording.host == host]
    if file is not None:
        path = os.path.realpath(file_path(file))
        left = [recording for recording in left if os.path.realpath(recording.file) == path]
    return left


def the_one(
    recordings: Sequence[Recording], port: str | None, host: str | None, file: str | None
) -> Recording:
    """Return the only recording that the narrowing words leave. Raises NoSuchRecordingError."""
    left = chosen(recordings, port, host, file)
    if len(left) == 1:
        return left[0]
    if not left:
        raise NoSuchRecordingError("Nothing records there: `inv local` starts a recording.")
    names = ", ".join(f"{recording.name} ({recording.file})" for recording in left)
    raise NoSuchRecordingError(f"Say which one with --port or --file: {names}.")
