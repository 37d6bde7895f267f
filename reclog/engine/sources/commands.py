"""Devices that a program of ours passes on: what a command says, and all that socat knows.

Rules kept here:

- A program runs in a session of its own, without a shell and without input, and dies with the daemon.
- When it has ended, whatever else is in its session is ended, too: nothing speaks beside its successor.
- At a stop it is asked to end (SIGTERM), and what it says until then is recorded; a second later it must.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from typing import Hashable, Sequence

from ..streams.piped import Piped
from ..system.child import Child, is_child, reap
from ..system.kernel import adopt_orphans, children_of
from ..system.loop import Loop
from .dialler import Dialler, Lost, Reached
from .socat import BLOCK

#: Seconds from SIGTERM, or from the end of its output, to SIGKILL.
GRACE = 1.0
#: As `socat -d -d` says things: how grave, and what; and what it says once it has opened all.
_SAID = re.compile(r"\S+ \S+ socat\[\d+\] ([FEWN]) (.*)")
_OPENED = "starting data transfer loop"


class Program(Dialler):
    """A program, and the pipe that it writes into."""

    #: Whether what it says on its standard error is text of the device, too.
    SAYS_TEXT = False

    def __init__(self, loop: Loop, address: str, cwd: str, reached: Reached, lost: Lost) -> None:
        self._loop = loop
        self._reached = reached
        self._lost = lost
        command = self._command(address)
        self._child = Child(loop, command, cwd, self._hear, on_end=self._ended, prepare=os.setsid)
        self._late = loop.timer(lambda: self._signal(signal.SIGKILL))
        # The pipe's end until there is a stream; whether that is open; the session.
        self._pipe = -1
        self._open = False
        self._session = 0
        self._why = ""
        self._closed = False
        adopt_orphans()
        loop.on_signal(signal.SIGCHLD, reap)

    def dial(self) -> None:
        """Start it."""
        self.start(subprocess.DEVNULL)

    def finish(self, until: float) -> bool:
        """Have it end; False if `until` (the loop's clock) came first."""
        self._signal(signal.SIGTERM)
        kill_at = self._loop.now() + GRACE
        while self._child.pid:
            now = self._loop.now()
            if now >= until:
                return False
            if now >= kill_at:
                self._signal(signal.SIGKILL)
            self._loop.turn(at_most=0.02)
        return True

    def close(self) -> None:
        """End it, and all of its session; who is another user's by now gets SIGPIPE when it next writes."""
        self._closed = True
        self._late.off()
        self._signal(signal.SIGKILL)
        until = time.monotonic() + GRACE
        while self._child.pid and time.monotonic() < until:
            time.sleep(0.002)
            self._child.poll()
        self._signal(signal.SIGKILL)  # those whom their parents' end made our children
        self._drop_pipe()
        self._child.close()

    def _command(self, address: str) -> Sequence[str]:
        """Return its argv."""
        raise NotImplementedError

    def _hear(self, words: str) -> None:
        """Hear a line that it says beside its output."""

    def start(self, stdin: int) -> None:
        """Start it, with that for its input."""
        self._why = ""
        reading, writing = os.pipe()
        try:
            self._child.start(stdin, writing, self.SAYS_TEXT)
        except OSError as error:
            os.close(reading)
            self._lost(f"{self._child.command[0]} can't be started ({error.strerror})")
            return
        finally:
            os.close(writing)
        self._pipe = reading
        self._session = self._child.pid
        if self.SAYS_TEXT:
            self._speaks()

    def _speaks(self) -> None:
        """Have what it writes be the device's stream."""
        if self._pipe >= 0:
            pipe, self._pipe = self._pipe, -1
            self._open = True
            self._reached(Piped(pipe, self._stream_closed))

    def _stream_closed(self) -> None:
        self._open = False
        if self._child.pid:
            self._late.at(self._loop.now() + GRACE)  # its last word may have been said as it ends
        else:
            self._over()

    def _ended(self, status: int) -> None:
        self._late.off()
        self._why = self._why or self._how(status)
        self._signal(signal.SIGKILL)
        if not self._open:
            self._over()

    def _how(self, status: int) -> str:
        """Return how it ended, for a person to read."""
        if os.WIFSIGNALED(status):
            return f"it was ended by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"it ended with status {os.WEXITSTATUS(status)}"

    def _over(self) -> None:
        self._drop_pipe()
        if not self._closed:
            self._lost(self._why)

    def _drop_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _signal(self, number: int) -> None:
        """Send the program a signal, and SIGKILL to its whole session."""
        members = self._members() if number == signal.SIGKILL else []
        if self._child.pid:
            members.append(-self._child.pid)  # all of its group (kill(2))
        for pid in members:
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                pass  # it ended just now; or it became another user (sudo)

    def _members(self) -> list[int]:
        """Return who is in its session, of our descendants."""
        found, looked_at = [], children_of(os.getpid())
        for pid in looked_at:
            if pid == self._child.pid or not is_child(pid):
                looked_at += children_of(pid)
                if _session_of(pid) == self._session:
                    found.append(pid)
        return found


class Command(Program):
    """What a command says: `exec:docker logs -f web`."""

    SAYS_TEXT = True

    @staticmethod
    def named(address: str) -> Hashable:
        """Return its words. Raises ValueError."""
        words = shlex.split(_after_colon(address))
        if not words:
            raise ValueError("name a command behind exec:")
        return ("exec", *words)

    def _command(self, address: str) -> Sequence[str]:
        return shlex.split(_after_colon(address))


class Socat(Program):
    """What socat reads from an address of its own: `socat:UDP-RECV:5140`."""

    @staticmethod
    def named(address: str) -> Hashable:
        """Return the address. Raises ValueError."""
        if not _after_colon(address):
            raise ValueError("name an address of socat's behind socat:")
        if re.search(r",\s*fork\s*(=|,|$)", address, re.IGNORECASE):
            raise ValueError("leave fork out: it would mix what several say; `--port` is for many senders")
        return address

    def _command(self, address: str) -> Sequence[str]:
        return socat_words(_after_colon(address))

    def _hear(self, words: str) -> None:
        said = _SAID.fullmatch(words)
        if said and said.group(2).startswith(_OPENED):
            self._speaks()
        elif said and said.group(1) in "FE":
            self._why = said.group(2)

    def _how(self, status: int) -> str:
        return super()._how(status) if status else "it has come to its end"


def socat_words(address: str) -> list[str]:
    """Return the argv of a socat that passes on what it reads from one of its addresses."""
    return ["socat", "-d", "-d", "-u", "-b", str(BLOCK), address, "STDOUT"]


def _after_colon(address: str) -> str:
    rest = address.partition(":")[2].strip()
    if b"\0" in os.fsencode(rest):
        raise ValueError("leave the NUL out")
    return rest


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0  # it ended just now
