"""Start a daemon in the background and wait for its word: what a remote command line needs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from typing import Any, Sequence

#: Seconds within which a daemon must say that it works: its own patience with a port is 3 s.
READY_WITHIN = 15.0
#: Bytes of what daemons of before have printed, at most, beside what the next one does.
OUTPUT_MOST = 1024 * 1024


def detached(
    command: Sequence[str], cwd: str, env: dict[str, str], output: str, within: float = READY_WITHIN
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Run a daemon's command in a session of its own; return it and its answer.

    `--ready-fd N` is added to `command`. What the daemon prints goes to the file `output`. An answer
    without `ready` has a `message` that says why. Raises OSError if the command can't be run.
    """
    reading, writing = os.pipe()
    out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(out).st_size > OUTPUT_MOST:
            os.ftruncate(out, 0)
        process = subprocess.Popen(
            [*command, "--ready-fd", str(writing)],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[writing],
            start_new_session=True,  # it outlives this terminal
        )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
        os.close(out)
    try:
        answer = _answer(reading, time.monotonic() + within)
    finally:
        os.close(reading)
    if answer is None:
        process.kill()
        process.wait()
        answer = {"ready": False, "message": _last_words(output)}
    return process, answer


def _answer(fd: int, until: float) -> dict[str, Any] | None:
    said = b""
    while not said.endswith(b"\n"):
        if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
            return None
        more = os.read(fd, 65536)
        if not more:
            return None
        said += more
    answer = json.loads(said)
    return answer if isinstance(answer, dict) else None


def _last_words(output: str) -> str:
    try:
        with open(output, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    return f"It did not start: {lines[-1] if lines else 'it said nothing'}."


def this_program() -> list[str]:
    """Return the argv that runs this engine again: a zipapp, or a folder."""
    return [sys.executable, "-I", os.path.abspath(sys.argv[0])]
