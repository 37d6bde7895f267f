"""How a recording ended, of whichever kind."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import psutil

from reclog.engine.daemons.asking import ANSWER_WITHIN, Line, Reached

from ..console import counted, size
from .logs import last_event
from .recording import Recording, number


class LastWord:
    """What a daemon says as it ends; to be asked for before it is told to."""

    def __init__(self, recording: Recording, daemon: psutil.Process | None, since: str) -> None:
        """Ask for it, and have `daemon` go on if it was suspended: it is to bring in what it has.

        `since` is when it is asked, as an event's time.
        """
        self._recording = recording
        self._since = since
        with contextlib.suppress(psutil.Error):
            if daemon is not None:
                daemon.resume()
        self._line = Line(recording.folder)
        self._has_line = self._line.reached not in (Reached.ABSENT, Reached.DEAD)
        self._line.ask("final")

    def facts(self) -> dict[str, Any]:
        """Return how it ended, once it has; empty if that is not known."""
        if self._has_line:
            facts = self._line.hear(ANSWER_WITHIN).get("final")
        else:  # from before there were control sockets, or it ended while we came
            facts = last_event(self._recording.folder, "stopped")
            if str(facts.get("time")) < self._since:
                return {}
        return facts if isinstance(facts, dict) else {}


@dataclasses.dataclass
class Stopped:
    """How one recording ended."""

    name: str
    file: str
    #: None where nobody counted (raw, or it was dead before).
    lines: int | None
    #: Bytes that senders had sent and that could not be recorded.
    left_bytes: int
    left_senders: int
    reason: str
    was_dead: bool = False
    #: It did not end by itself and was killed.
    forced: bool = False
    #: The tremplin that is out of reach, and was let go; empty if none was.
    forgotten: str = ""
    #: It said itself what it left behind.
    known: bool = True
    #: What of it is still there, and why; empty if nothing is.
    left_over: str = ""

    @classmethod
    def told(cls, recording: Recording, facts: Mapping[str, Any], was_dead: bool, forced: bool) -> Stopped:
        """Return how a recording here ended, by its last word; that may be empty."""
        lines = facts.get("lines")
        return cls(
            name=recording.name,
            file=recording.files,
            lines=lines if type(lines) is int else None,
            left_bytes=number(facts.get("left_bytes")),
            left_senders=number(facts.get("left_senders")),
            reason=str(facts.get("reason") or ""),
            was_dead=was_dead,
            forced=forced,
            known=was_dead or facts.get("drained") is True or bool(facts.get("left_bytes")),
        )

    @property
    def complete(self) -> bool:
        """Tell whether everything sent is in the file."""
        return self.known and not self.forced and not self.left_bytes and not self.left_senders

    @property
    def sentence(self) -> str:
        """How it ended, for a person to read."""
        if self.was_dead:
            return f"{self.name} was dead; cleaned up."
        if self.forgotten:
            return f"{self.name} is forgotten; what its relay on {self.forgotten} has stays there."
        recorded = "" if self.lines is None else f", {counted(self.lines, 'line')} recorded"
        return f"{self.name} stopped{recorded}: {self.file}"

    @property
    def problems(self) -> list[str]:
        """What is not as it should be, a sentence each."""
        return [sentence for sentence in (self._loss(), self.left_over) if sentence]

    def _loss(self) -> str:
        if self.complete:
            return ""
        if self.forced:
            what = "did not end in time and was killed"
            return f"{self.name} {what}: its last lines may be missing in {self.file}."
        if not self.known:
            return f"{self.name}: it is not known whether all that was sent is in {self.file}."
        # Without a reason it was not the disk: what came in part did not become whole, or not in time.
        reason = f" ({self.reason}): make room for {self.file} and" if self.reason else ":"
        return (
            f"{self.name}: {size(self.left_bytes)} of {counted(self.left_senders, 'sender')} could not be "
            f"recorded{reason} have them sent again."
        )
