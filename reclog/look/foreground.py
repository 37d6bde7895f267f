"""`--foreground`: stay with a recording, show its lines and how it does, stop it when we are stopped.

Rules kept here:

- On a terminal the lines are as `tail` shows them, and the counters in one row below, drawn anew; elsewhere
  there are the lines alone.
- A recorder that is stopped drains, whatever comes meanwhile: no second Ctrl-C cuts that short.
- What was sent and could not be recorded is an error.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from reclog.engine.records.events import timestamp

from ..console import counted, has_colours, note, prints, say, size, visible
from ..errors import NotDrainedError, ReclogError
from ..recordings.recording import Recording, number
from ..recordings.stopped import LastWord, Stopped
from .following import Following
from .forms import ASCII_BAR, BAR, Plain, said
from .query import History, Line, Question
from .status import gaps_since_start, lines_per_second
from .table import rate, sentence

#: Seconds between two looks at the file, and at the counters.
LOOK_EVERY, COUNT_EVERY = 0.05, 0.5
#: Lines that are shown at a time; bytes behind which a terminal is not kept waiting once all is over.
AT_A_TIME, BEHIND = 1000, 1024 * 1024
#: Cells that are left free in the last row: a terminal writes ^C there, and a row that breaks is drawn twice.
ROOM_BESIDE = 8
#: What a terminal does (ECMA-48): its row erased; other colours, and back.
_ERASED, _REVERSE, _PLAIN = "\r\x1b[K", "\x1b[7m", "\x1b[m"


def words(foreground: bool) -> Callable[[str], None]:
    """Return how to say what is no line: beside the lines in a pipe it goes to standard error."""
    return note if foreground and not sys.stdout.isatty() else say


def stay_with(recording: Recording, process: subprocess.Popen[bytes], begin: int, over: bool) -> None:
    """Show what comes behind the recording offset `begin` until a daemon ends; Ctrl-C, TERM and HUP stop it.

    If it is `over` with the daemon nothing of it is left in the registry then. Raises ReclogError if it ended
    without being told to, or could not bring in all that was sent.
    """
    word = LastWord(recording, None, timestamp())
    told: list[int] = []

    def stop(which: int, _: object) -> None:
        if not told:
            process.terminate()  # from here: a pipe that nobody reads may hold up all else
        told.append(which)

    signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    previous = [signal.signal(one, stop) for one in signals]
    try:
        _show(recording, process, begin)
    finally:
        for one, handler in zip(signals, previous):
            signal.signal(one, handler)
    facts = word.facts()
    if not told and process.returncode != 0:
        raise ReclogError(f"The recorder ended by itself; its last words are in {recording.folder}.")
    stopped = Stopped.told(recording, facts, was_dead=False, forced=False)
    if facts:
        lines = "" if stopped.lines is None else f"{counted(stopped.lines, 'line')}, "
        note(f"Stopped: {lines}{size(number(facts.get('bytes')))} recorded.")
    if over:
        recording.clean()
        if stopped.problems:
            raise NotDrainedError("\n".join(stopped.problems))


def _show(recording: Recording, process: subprocess.Popen[bytes], begin: int) -> None:
    """Show lines and counters until a daemon has ended and all that it wrote is shown."""
    screen, row, due = _Screen(), "", 0.0
    history = History(recording)
    form = Plain([history], BAR if prints(BAR) else ASCII_BAR, has_colours())
    with contextlib.closing(Following(history, Question(), begin)) as following:
        while True:
            ended = process.poll() is not None  # then all that it wrote is there
            found = list(itertools.islice(following.new(), AT_A_TIME))
            more = len(found) == AT_A_TIME
            if ended and not more:
                found += following.rest()
            if screen.live and time.monotonic() >= due:
                row, due = _summary(recording), time.monotonic() + COUNT_EVERY
            if sys.stdout.isatty():
                lines = [form.of(history, one) for one in found]
            else:
                lines = [said(one) for one in found if isinstance(one, Line)]
            if not screen.show(lines, "" if ended else row):
                process.terminate()  # nobody looks any more
                process.wait()
                return
            if ended and not more:
                return
            if ended and screen.live and following.left() > BEHIND:
                note(f"{size(following.left())} more are in {recording.file}.")
                return
            if not more:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_EVERY)


class _Screen:
    """Lines, and on a terminal a row below them that is drawn anew."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._row = ""

    def show(self, lines: Sequence[str], row: str) -> bool:
        """Show what is new, and `row` in the place of the last one; False if nobody looks any more."""
        width = shutil.get_terminal_size().columns - ROOM_BESIDE
        row = f"{_REVERSE}{sentence(row, max(1, width))}{_PLAIN}" if row else ""
        if lines or row != self._row:
            erased = _ERASED if self._row else ""
            self._row = row
            try:
                sys.stdout.write(erased + "".join(f"{line}\n" for line in lines) + row)
                sys.stdout.flush()
            except OSError:  # a pipe, or a terminal, that is gone
                return False
        return True


def _summary(known: Recording) -> str:
    recording = Recording(known.folder)
    reason, gaps = recording.word("paused_for"), len(gaps_since_start(recording))
    words = [f"{recording.state} ({reason})" if reason else recording.state]
    if recording.counters.get("lines", 0) is not None:
        words += [counted(recording.count("lines"), "line")]
    words += [size(recording.count("bytes")), counted(recording.count("senders"), "sender")]
    speed = lines_per_second(recording)
    words += [f"{rate(speed)} lines/s"] if speed is not None else []
    words += [counted(gaps, "gap")] if gaps else []
    return visible(", ".join(words))
