"""Start a daemon in the background and learn from itself that it works, or why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import reclog
from reclog.engine.records.names import MARK, OUTPUT
from reclog.engine.system.detach import READY_WITHIN, detached

from ..errors import StartError
from .registry import Recording

#: Where a role is to be found, if that is not the engine.
PROGRAMS = {"publisher": "stream", "subscriber": "stream"}


def daemon_command(role: str, folder: Path) -> list[str]:
    """Return the argv of a daemon; `-I` keeps the caller's PYTHON* variables and folder out of it."""
    program = os.path.join(os.path.dirname(os.path.abspath(reclog.__file__)), PROGRAMS.get(role, "engine"))
    return [sys.executable, "-I", program, role, "--folder", str(folder)]


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
