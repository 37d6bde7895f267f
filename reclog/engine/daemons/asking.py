"""Ask a daemon itself, over its control socket: its files may be old, or another's.

Whether it lives can be told from this alone: it answers, it does not (SIGSTOP), or nobody is there any more.
A daemon from before there were control sockets has none, and is judged from its files.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import socket
import time
from typing import Any, Union

from ..records.jsonfile import parse_json
from ..records.names import CONTROL
from ..system.address import short_name

#: Seconds that a stop may take to bring in what senders have sent.
DRAIN_WITHIN = 10.0
#: Seconds for an answer: a daemon gives it within a turn of its loop.
ANSWER_WITHIN = 1.0
#: Bytes of an answer at most.
LONGEST = 1 << 20

Folder = Union[str, "os.PathLike[str]"]


class Reached(enum.Enum):
    """Who is behind a control socket."""

    ALIVE = "it answers"
    SILENT = "it does not answer"
    DEAD = "nobody is there any more"
    ABSENT = "it has no control socket"


def ask(folder: Folder, within: float = ANSWER_WITHIN) -> tuple[Reached, dict[str, Any]]:
    """Return who is there, and its `state` and `counters` if it answers."""
    with contextlib.closing(Line(folder, within)) as line:
        line.ask("status")
        facts = line.hear(within)
        return line.reached, facts


def request(folder: Folder, wanted: dict[str, Any], within: float = 5 * ANSWER_WITHIN) -> dict[str, Any]:
    """Return the answer to what is wanted; if there is none, it has an `error` that says so."""
    with contextlib.closing(Line(folder, within)) as line:
        line.say(wanted)
        return line.hear(within) or {"error": f"{folder}: {line.reached.value}"}


class Line:
    """A connection to a daemon, whoever is there."""

    def __init__(self, folder: Folder, within: float = ANSWER_WITHIN) -> None:
        """Connect, within so many seconds where many others wait."""
        until = time.monotonic() + within
        self._sock = socket.socket(socket.AF_UNIX)
        self._heard = b""
        self.reached = self._connect(folder)
        while self.reached is Reached.SILENT and time.monotonic() < until:
            time.sleep(0.01)
            self.reached = self._connect(folder)

    def _connect(self, folder: Folder) -> Reached:
        self._sock.setblocking(False)
        try:
            with short_name(os.path.join(folder, CONTROL)) as name:
                self._sock.connect(name)
        except BlockingIOError:  # its queue is full
            return Reached.SILENT
        except ConnectionRefusedError:
            return Reached.DEAD
        except (OSError, ValueError):
            return Reached.ABSENT
        return Reached.ALIVE

    def ask(self, what: str) -> None:
        """Ask for `status`, which is answered at once, or for `final`, which is when it ends."""
        self.say({"ask": what})

    def say(self, wanted: dict[str, Any]) -> None:
        """Say a request, as `control` has them."""
        with contextlib.suppress(OSError):
            self._sock.send(json.dumps(wanted).encode("ascii") + b"\n")

    def hear(self, within: float) -> dict[str, Any]:
        """Return the next answer; empty if there is none: not in so many seconds, or the daemon has ended."""
        until = time.monotonic() + within
        while self.reached is Reached.ALIVE and b"\n" not in self._heard and len(self._heard) < LONGEST:
            self._sock.settimeout(max(0.001, until - time.monotonic()))
            try:
                more = self._sock.recv(65536)
            except socket.timeout:
                self.reached = Reached.SILENT
                return {}
            except OSError:
                more = b""
            if not more:
                self.reached = Reached.DEAD
            self._heard += more
        answer, _, self._heard = self._heard.partition(b"\n")
        with contextlib.suppress(ValueError):
            return parse_json(answer)
        return {}

    def close(self) -> None:
        """Ask no more."""
        self._sock.close()
