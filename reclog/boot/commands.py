"""Commands of the system's that see to what starts at boot, in English, for what they say is looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

#: Seconds for an answer.
WITHIN = 30.0


class CommandError(Exception):
    """A command can't be run, or does not do it; the message is what it says."""


def output(command: Sequence[str], given: bytes = b"", **environment: str) -> bytes:
    """Return what a command prints that is `given` so much; `environment` is set where it is not yet.

    Raises CommandError.
    """
    env = {**environment, **os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, input=given, env=env, capture_output=True, timeout=WITHIN, check=False)
    except OSError as error:
        raise CommandError(f"{command[0]} can't be run ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{command[0]} does not answer within {WITHIN:g} s") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CommandError(said[0] if said else f"{command[0]} ended with {done.returncode}")
    return done.stdout
