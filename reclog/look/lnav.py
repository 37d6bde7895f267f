"""lnav, with a format that knows times and senders as we write them."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ..errors import ReclogError

#: https://docs.lnav.org/en/latest/formats.html
FORMAT = {
    "$schema": "https://lnav.org/schemas/format-v1.schema.json",
    "reclog_log": {
        "title": "reclog",
        "description": "What isolated processes say, when it came, and who said it.",
        "regex": {
            "stamped": {"pattern": r"^(?<timestamp>\d{4}-\d\d-\d\dT[\d:.]{12}Z) (?<sender>\S+) (?<body>.*)$"}
        },
        "level-field": "body",
        "level": {
            "error": r"(?i)\b(?:error|fail(?:ed|ure)?|panic)\b|^E \(",
            "warning": r"(?i)\bwarn(?:ing)?\b|^W \(",
        },
        "value": {"sender": {"kind": "string", "identifier": True}},
        "sample": [{"line": "2026-05-31T14:30:00.123Z kitchen boot: it is 21 degrees"}],
    },
}


def lnav_command(program: str, folder: str) -> list[str]:
    """Return lnav's command: it reads what it shows from standard input, and its format below `folder`."""
    return [program, "-I", folder]


@contextlib.contextmanager
def opened() -> Iterator[tuple[IO[str], Callable[[], bool]]]:
    """Yield where to write what lnav shows, and who tells whether it is open; wait for its end.

    Raises ReclogError.
    """
    program = shutil.which("lnav")
    if program is None:
        raise ReclogError("lnav is not here: install it (apt-get install lnav), or leave --lnav out.")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for lnav, which knows what to do with it
    try:
        with tempfile.TemporaryDirectory(prefix="reclog-lnav-") as folder:
            place = Path(folder) / "formats" / "reclog"
            place.mkdir(parents=True)
            (place / "reclog.json").write_text(json.dumps(FORMAT), encoding="utf-8")
            process = subprocess.Popen(
                lnav_command(program, folder), stdin=subprocess.PIPE, encoding="utf-8", restore_signals=True
            )
            try:
                assert process.stdin is not None
                yield process.stdin, lambda: process.poll() is None
            finally:
                with contextlib.suppress(BrokenPipeError):
                    process.communicate()
    finally:
        signal.signal(signal.SIGINT, before)
