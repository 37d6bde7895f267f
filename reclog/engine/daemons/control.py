"""The control socket: a daemon is asked itself, for a full disk keeps its files as they were.

A request is a JSON object on a line. `{"ask": "status"}` is answered at once: `state` and `counters`, as in
the files of these names. `{"ask": "final"}` is answered when the daemon ends: `final` says how, as the event
`stopped` does. `{"set": {…}}` has settings change, all that it names or none: `set` in the answer names those
that were others, `error` says why none did.

Rules kept here:

- The socket is 0600 in a folder that is 0700, and nobody is heard but this user and root.
- Nobody makes the loop wait: who does not read is cut off. Connections and requests are bounded.
- A connection ends with the process: who reads to its end has seen the daemon's, and what it last said.
"""

from __future__ import annotations

import functools
import json
import socket
from typing import Any, Callable, Dict

from ..records.jsonfile import parse_json
from ..system.disk import DISK
from ..system.loop import Loop
from ..system.private import is_own, listen_at

#: Connections at once, and bytes of a request.
MOST, LONGEST = 16, 65536
#: Seconds until others are let in again, where there was no descriptor for one.
AGAIN = 1.0

Facts = Dict[str, Any]


class Control:
    """Answer those who ask at `path`."""

    def __init__(
        self, loop: Loop, path: str, status: Callable[[], Facts], change: Callable[[Facts], Facts]
    ) -> None:
        self._loop = loop
        self._path = path
        self._status = status
        self._change = change
        self._final: Facts = {}
        self._sock = socket.socket(socket.AF_UNIX)
        self._again = loop.timer(self._watch)
        #: Who is connected: what was heard of their next request.
        self._askers: dict[socket.socket, bytes] = {}
        self._waiting: set[socket.socket] = set()
        self._asks = {"status": self._tell, "final": self._let_wait}

    def open(self) -> None:
        """Listen, in the place of a daemon that is dead: the folder's lock is ours. Raises OSError."""
        listen_at(self._path, MOST, self._sock)
        self._watch()

    def end(self, final: Facts) -> None:
        """Tell all who wait for it, or ask from now on, how the daemon ended; `close` is soon."""
        self._final = {"final": final}
        for asker in self._waiting:
            self._send(asker, self._final)

    def close(self) -> None:
        """Answer who came meanwhile, and listen no more; who is connected stays so until the process ends."""
        self._accept()
        for asker in list(self._askers):
            self._hear(asker)
        self._again.off()
        self._loop.unwatch(self._sock)
        self._sock.close()
        DISK.remove(self._path)

    def _watch(self) -> None:
        self._loop.watch(self._sock, self._accept)

    def _accept(self) -> None:
        while True:
            try:
                asker, _ = self._sock.accept()
            except BlockingIOError:
                return
            except OSError:  # no descriptor is left, or it does not listen
                self._loop.unwatch(self._sock)
                self._again.at(self._loop.now() + AGAIN)
                return
            if not is_own(asker):
                asker.close()
                continue
            asker.setblocking(False)
            self._askers[asker] = b""
            self._loop.watch(asker, functools.partial(self._hear, asker))
            if len(self._askers) > MOST:  # the eldest makes room: it has its answer, or has never asked
                self._leave(next(one for one in self._askers if one not in self._waiting))

    def _leave(self, asker: socket.socket) -> None:
        self._askers.pop(asker, None)
        self._waiting.discard(asker)
        self._loop.unwatch(asker)
        asker.close()

    def _hear(self, asker: socket.socket) -> None:
        try:
            more = asker.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        *requests, rest = (self._askers[asker] + more).split(b"\n")
        self._askers[asker] = rest
        if not all(self._answer(asker, one) for one in requests) or not more or len(rest) >= LONGEST:
            self._leave(asker)

    def _answer(self, asker: socket.socket, line: bytes) -> bool:
        """Do what a request asks; tell whether there may be another."""
        try:
            request = parse_json(line)
            wanted = request.get("set")
            answer = (
                self._final or self._change(wanted)
                if isinstance(wanted, dict)
                else self._asks[str(request.get("ask"))](asker)
            )
        except (KeyError, ValueError):
            self._send(asker, {"error": "That is no request."})
            return False
        return not answer or self._send(asker, answer)

    def _tell(self, asker: socket.socket) -> Facts:
        return self._final or self._status()

    def _let_wait(self, asker: socket.socket) -> Facts:
        self._waiting.add(asker)
        return self._final

    def _send(self, asker: socket.socket, answer: Facts) -> bool:
        """Say it whole or not at all; tell whether it went."""
        text = json.dumps(answer).encode("ascii") + b"\n"
        try:
            return asker.send(text) == len(text)
        except OSError:
            return False
