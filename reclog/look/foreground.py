"""`--foreground`: stay with a recorder, show how it does, stop it when we are stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

from reclog.engine.records.events import timestamp

from ..console import counted, note, size, visible
from ..errors import ReclogError
from ..recordings.registry import Recording
from ..recordings.stopped import LastWord

#: Seconds between two looks at the counters; between two lines where there is no terminal.
LOOK_EVERY, SAY_EVERY = 0.5, 10.0
#: Cells that are left free in the last row: a terminal writes ^C there, and a row that breaks is drawn twice.
ROOM_BESIDE = 8


def stay_with(recording: Recording, process: subprocess.Popen[bytes], clean: bool) -> dict[str, Any]:
    """Show a daemon's counters until it ends; Ctrl-C, TERM and HUP stop it. Return how it ended.

    With `clean` nothing of it is left in the registry then. Raises ReclogError if it ended without being
    told to.
    """
    word = LastWord(recording, None, timestamp())
    told: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: told.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        if sys.stdout.isatty():
            _show_live(recording, process, told)
        else:
            _print_lines(recording, process, told)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    stopped = word.facts()
    if not told and process.returncode != 0:
        raise ReclogError(f"The recorder ended by itself; its last words are in {recording.folder}.")
    if clean:
        recording.clean()
    return stopped


def _goes_on(process: subprocess.Popen[bytes], told: list[int], at_most: float) -> bool:
    """Wait up to `at_most` seconds for the recorder's end; pass a stop on to it, once."""
    until = time.monotonic() + at_most
    while True:
        if told:
            process.terminate()  # it drains: a second Ctrl-C must not cut that short
            process.wait()
            return False
        try:
            # Short waits: a signal's handler runs, but does not end a wait (PEP 475).
            process.wait(timeout=0.05)
            return False
        except subprocess.TimeoutExpired:
            if time.monotonic() >= until:
                return True


def _show_live(recording: Recording, process: subprocess.Popen[bytes], told: list[int]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text(""), console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            live.update(Text(_summary(recording, width=live.console.width)), refresh=True)
            if not _goes_on(process, told, LOOK_EVERY):
                return


def _print_lines(recording: Recording, process: subprocess.Popen[bytes], told: list[int]) -> None:
    said, said_at = "", 0.0
    while True:
        summary = _summary(recording)
        state = summary.partition(",")[0]
        if summary != said and (state != said.partition(",")[0] or time.monotonic() - said_at >= SAY_EVERY):
            print(summary, flush=True)
            said, said_at = summary, time.monotonic()
        if not _goes_on(process, told, LOOK_EVERY):
            return


def _summary(known: Recording, width: int = 0) -> str:
    recording = Recording(known.folder)
    reason = visible(recording.word("paused_for"))
    uncounted = recording.counters.get("lines", 0) is None
    head = (
        f"{recording.state}{f' ({reason})' if reason else ''}, "
        f"{'' if uncounted else counted(recording.count('lines'), 'line') + ', '}"
        f"{size(recording.count('bytes'))}, {counted(recording.count('senders'), 'sender')}"
    )
    if not width:
        return head
    from rich.text import Text

    last = Text(visible(recording.word("last_line")))
    last.truncate(max(0, width - ROOM_BESIDE))  # by cells: some characters take two
    return f"{head}\n{last}"


def say_how_it_ended(stopped: dict[str, Any]) -> None:
    """Print what the recorder said when it stopped."""
    if stopped:
        lines = stopped.get("lines")
        number = "" if lines is None else f"{counted(lines, 'line')}, "
        note(f"Stopped: {number}{size(stopped.get('bytes', 0))} recorded.")
