"""`--foreground`: stay with a recorder, show how it does, stop it when we are stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

from .console import note, size, visible
from .errors import ReclogError
from .launch import Started
from .registry import Recording

#: Seconds between two looks at the counters; between two lines where there is no terminal.
LOOK_EVERY, SAY_EVERY = 0.5, 10.0


def stay(started: Started) -> dict[str, Any]:
    """Show the recorder's counters until it ends; Ctrl-C, TERM and HUP stop it. Return how it ended.

    Raises ReclogError if it ended without being told to.
    """
    told: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: told.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        if sys.stdout.isatty():
            _show_live(started, told)
        else:
            _print_lines(started, told)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    stopped = started.recording.last_event("stopped")
    if not told and started.process.returncode != 0:
        raise ReclogError(f"The recorder ended by itself; its last words are in {started.recording.folder}.")
    started.recording.clean()
    return stopped


def _goes_on(started: Started, told: list[int], at_most: float) -> bool:
    """Wait up to `at_most` seconds for the recorder's end; pass a stop on to it, once."""
    until = time.monotonic() + at_most
    while True:
        if told:
            started.process.terminate()  # it drains: a second Ctrl-C must not cut that short
            started.process.wait()
            return False
        try:
            # Short waits: a signal's handler runs, but does not end a wait (PEP 475).
            started.process.wait(timeout=0.05)
            return False
        except subprocess.TimeoutExpired:
            if time.monotonic() >= until:
                return True


def _show_live(started: Started, told: list[int]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text(""), console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            live.update(Text(_summary(started, width=live.console.width)), refresh=True)
            if not _goes_on(started, told, LOOK_EVERY):
                return


def _print_lines(started: Started, told: list[int]) -> None:
    said, said_at = "", 0.0
    while True:
        summary = _summary(started)
        state = summary.partition(",")[0]
        if summary != said and (state != said.partition(",")[0] or time.monotonic() - said_at >= SAY_EVERY):
            print(summary, flush=True)
            said, said_at = summary, time.monotonic()
        if not _goes_on(started, told, LOOK_EVERY):
            return


def _summary(started: Started, width: int = 0) -> str:
    recording = Recording(started.recording.folder)
    counters = recording.counters
    state = recording.state
    reason = counters.get("paused_for")
    lines = counters.get("lines")
    head = (
        f"{state}{f' ({reason})' if reason else ''}, "
        f"{'' if lines is None else f'{lines} lines, '}{size(counters.get('bytes', 0))}, "
        f"{counters.get('senders', 0)} senders"
    )
    if not width:
        return head
    last = visible(str(counters.get("last_line") or ""))
    return f"{head}\n{last[: width - 1]}"


def say_how_it_ended(stopped: dict[str, Any]) -> None:
    """Print what the recorder said when it stopped."""
    if stopped:
        lines = stopped.get("lines")
        counted = "" if lines is None else f"{lines} lines, "
        note(f"Stopped: {counted}{size(stopped.get('bytes', 0))} recorded.")
