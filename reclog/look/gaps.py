"""What is missing of a recording, and what held it up, as its event log states it: a sentence each."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reclog.engine.records import names
from reclog.engine.records.jsonfile import parse_json

from ..console import counted, size

Facts = dict[str, Any]
#: Bytes of a log that are read: a log is rotated at less.
_MOST = 8 * 1024 * 1024


class Gap(NamedTuple):
    """A stretch in which something is missing, or had to wait."""

    #: Where it belongs in the file; -1 where nothing tells.
    offset: int
    #: When it began (seconds of the epoch).
    time: float | None
    #: How long it was; None for one that is a moment, or that is not over.
    seconds: float | None
    #: What was the matter, in words for a person; strangers' text is in it.
    what: str
    #: What was recorded there is not there any more.
    is_hole: bool = False

    @property
    def sentence(self) -> str:
        """What is shown in its place."""
        return self.what if self.seconds is None else f"{lasting(self.seconds)}: {self.what}"


def gaps_of(folder: Path) -> list[Gap]:
    """Return what the event log in a recording's folder states, by time; nothing is placed yet."""
    # A daemon from before has one log only.
    name = names.HOLES if (folder / names.HOLES).exists() else names.EVENTS
    logs = folder / f"{name}.1", folder / name
    return list(_stated(logs, tuple(map(_version, logs))))


@functools.lru_cache(maxsize=256)
def _stated(logs: tuple[Path, ...], versions: object) -> tuple[Gap, ...]:
    """Return what logs of these versions state: who looks again and again does not read them again."""
    told = _Told()
    for facts in _events(logs):
        if (when := moment(facts.get("time"))) is not None:
            told.hear(when, facts)
    return tuple(sorted(told.all(), key=lambda gap: gap.time or 0.0))


def _version(path: Path) -> object:
    with contextlib.suppress(OSError):
        now = path.stat()
        return now.st_ino, now.st_size
    return None


def moment(stamp: Any) -> float | None:
    """Return the time (seconds of the epoch) that an event's stamp tells; None if it is none."""
    try:
        return datetime.datetime.fromisoformat(str(stamp).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def lasting(seconds: float) -> str:
    """Return a length of time for a person to read."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


class _Told:
    """Gaps, out of events that state where each begins and ends."""

    def __init__(self) -> None:
        self._over: list[Gap] = []
        # What has begun and is not over, by what it is.
        self._open: dict[str, Gap] = {}
        # Whether a recorder runs, and when the last one stopped.
        self._runs = False
        self._stopped: float | None = None

    def all(self) -> list[Gap]:
        """Return them, those that are not over, too."""
        return [*self._over, *self._open.values()]

    def hear(self, when: float, facts: Facts) -> None:
        """Take an event."""
        if (heard := _HEARD.get(str(facts.get("event")))) is not None:
            heard(self, when, facts)

    def began(self, what: str, when: float, words: str) -> None:
        """Something begins, and lasts."""
        self._open[what] = Gap(-1, when, None, words)

    def ended(self, what: str, seconds: Any) -> None:
        """It is over, after `seconds`."""
        if (gap := self._open.pop(what, None)) is not None:
            length = seconds if type(seconds) in (int, float) and 0 <= seconds < 1e10 else None
            self._over.append(gap._replace(seconds=length))

    def at(self, when: float | None, words: str, seconds: float | None = None) -> None:
        """Something is missing."""
        self._over.append(Gap(-1, when, seconds, words))

    def started(self, when: float, facts: Facts) -> None:
        """What senders said since a recorder ended is missing; what they said to a relay is not."""
        self._open.clear()
        if "spool" not in facts and self._runs:
            self.at(when, "the recorder was killed, and started again")
        elif "spool" not in facts and self._stopped is not None:
            self.at(self._stopped, "stopped", max(0.0, when - self._stopped))
        self._runs, self._stopped = True, None

    def stopped(self, when: float, facts: Facts) -> None:
        """A recorder has ended by itself."""
        self._runs, self._stopped = False, when


def _missing(told: _Told, when: float, facts: Facts) -> None:
    start, end, summed = facts.get("start"), facts.get("end"), facts.get("bytes")
    number = summed if type(summed) is int else end - start if type(start) is type(end) is int else 0
    told.at(when, f"{size(max(0, number))} missing ({facts.get('reason')})")


def _dropped(told: _Told, when: float, facts: Facts) -> None:
    number = facts.get("datagrams")
    words = counted(number, "datagram") if type(number) is int else "datagrams"
    told.at(moment(facts.get("since")) or when, f"{words} dropped")


def _not_taken(told: _Told, when: float, facts: Facts) -> None:
    number = facts.get("messages")
    words = counted(number, "message") if type(number) is int else "messages"
    told.at(when, f"{words} not taken ({facts.get('last')})")


def _changed(told: _Told, when: float, facts: Facts) -> None:
    if str(facts.get("how")).startswith("truncated"):  # a file that is renamed is there
        told.at(when, f"the file was {facts['how']}")


def _began(what: str, words: str) -> Callable[[_Told, float, Facts], None]:
    return lambda told, when, facts: told.began(
        what.format_map(_Words(facts)), when, words.format_map(_Words(facts))
    )


def _ended(what: str, seconds: str) -> Callable[[_Told, float, Facts], None]:
    return lambda told, _, facts: told.ended(what.format_map(_Words(facts)), facts.get(seconds))


class _Words(Facts):
    def __missing__(self, name: str) -> str:
        return "?"


#: What each event says of what is missing.
_HEARD: dict[str, Callable[[_Told, float, Facts], None]] = {
    "started": _Told.started,
    "stopped": _Told.stopped,
    "paused": _began("pause", "paused: {reason}"),
    "resumed": _ended("pause", "paused_seconds"),
    "disconnected": _began("relay", "not connected to the relay, which keeps the lines: {why}"),
    "connected": _ended("relay", "away_seconds"),
    "stream lost": _began("stream", "not connected to the stream, which keeps the lines: {why}"),
    "stream reached": _ended("stream", "away_seconds"),
    "stream reset": lambda told, when, facts: told.at(
        when, f"the stream lost what it had: {facts.get('reason')}"
    ),
    "another recording": lambda told, when, _: told.at(when, "what is published is another recording"),
    "messages not taken": _not_taken,
    "listener died": _began("listener", "the listener died"),
    "listener restarted": _ended("listener", "seconds"),
    "listener taken over": _ended("listener", "seconds"),
    "device lost": _began("device {device}", "{device} not connected: {why}"),
    "device reached": _ended("device {device}", "seconds"),
    "gap": _missing,
    "datagrams dropped": _dropped,
    "file changed": _changed,
    "another spool": lambda told, when, _: told.at(when, "the relay's spool is another one"),
}


def _events(logs: Iterable[Path]) -> Iterator[Facts]:
    """Yield what happened, oldest first, but for what strangers can cause at will."""
    for path in logs:
        try:
            lines = path.read_bytes()[-_MOST:].splitlines()
        except OSError:
            continue
        for line in lines:
            with contextlib.suppress(ValueError):  # cut off by a kill
                yield parse_json(line)
