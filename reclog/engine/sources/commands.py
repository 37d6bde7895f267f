"""Devices that a program of ours passes on: what a command says, a serial line, all else that socat knows.

Rules kept here:

- A program runs in a session of its own, without a shell and without input, and dies with the daemon.
- When it has ended, whatever else is in its session is ended, too: nothing speaks beside its successor.
- At a stop it is asked to end (SIGTERM), and what it says until then is recorded; a second later it must.
- A line belongs to whoever opened it first: two who read it would each have a part.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import re
import shlex
import signal
import subprocess
import termios
import time
from typing import Hashable, Sequence

from ..streams.piped import Piped
from ..system.child import Child, is_child, reap
from ..system.kernel import adopt_orphans, children_of
from ..system.loop import Loop
from .dialler import Lost, Reached
from .socat import BLOCK

#: Seconds from SIGTERM, or from the end of its output, to SIGKILL.
GRACE = 1.0
#: Of a serial line that is named alone.
BAUD = 115200
#: As `socat -d -d` says things: how grave, and what; and what it says once it has opened all.
_SAID = re.compile(r"\S+ \S+ socat\[\d+\] ([FEWN]) (.*)")
_OPENED = "starting data transfer loop"


class Program:
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
        self._start(subprocess.DEVNULL)

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

    def _start(self, stdin: int) -> None:
        self._why = ""
        reading, writing = os.pipe2(os.O_CLOEXEC)
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
        self._why = self._why or _how(status)
        self._signal(signal.SIGKILL)
        if not self._open:
            self._over()

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
        try:
            if self._child.pid:
                os.killpg(self._child.pid, number)
            if number == signal.SIGKILL:
                for pid in self._members():
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
        if re.search(r",\s*fork\s*(,|$)", address):
            raise ValueError("leave fork out: it would mix what several say; `--port` is for many senders")
        return address

    def _command(self, address: str) -> Sequence[str]:
        return _socat(_after_colon(address))

    def _hear(self, words: str) -> None:
        said = _SAID.fullmatch(words)
        if said and said.group(2).startswith(_OPENED):
            self._speaks()
        elif said and said.group(1) in "FE":
            self._why = said.group(2)


class Serial(Socat):
    """A serial line: `/dev/ttyUSB0@115200`."""

    @staticmethod
    def named(address: str) -> Hashable:
        """Return the device, whatever leads to it. Raises ValueError."""
        return os.path.realpath(_path_and_baud(address)[0])

    def __init__(self, loop: Loop, address: str, cwd: str, reached: Reached, lost: Lost) -> None:
        super().__init__(loop, address, cwd, reached, lost)
        self._path, _ = _path_and_baud(address)

    def dial(self) -> None:
        """Open the line ourselves, for an error that can be told, and have socat read it."""
        try:
            line = _open_line(self._path)
        except OSError as error:
            self._lost(_why_not(self._path, error))
            return
        try:
            self._start(line)
        finally:
            os.close(line)

    def _command(self, address: str) -> Sequence[str]:
        return _socat(f"STDIN,b{_path_and_baud(address)[1]},raw,echo=0,clocal=1,cs8")


def _socat(address: str) -> list[str]:
    return ["socat", "-d", "-d", "-u", "-b", str(BLOCK), address, "STDOUT"]


def _after_colon(address: str) -> str:
    rest = address.partition(":")[2].strip()
    if "\0" in rest:
        raise ValueError("leave the NUL out")
    return rest


def _path_and_baud(address: str) -> tuple[str, int]:
    path, at, baud = address.rpartition("@")
    if not at or not baud.isdigit():
        path, baud = address, str(BAUD)
    if not hasattr(termios, f"B{baud}"):
        raise ValueError(f"this system knows no {baud[:20]} baud: give one as 9600 or 115200")
    if "\0" in path or not path.strip("/"):
        raise ValueError("name a device, as /dev/ttyUSB0")
    return path, int(baud)


def _open_line(path: str) -> int:
    """Return a serial line that is nobody else's from now on. Raises OSError."""
    line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not os.isatty(line):
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)  # what pyserial and tio ask
        fcntl.ioctl(line, termios.TIOCEXCL)  # and who asks nobody does not get in (tty_ioctl(4))
        os.set_blocking(line, True)
    except OSError:
        os.close(line)
        raise
    return line


def _why_not(path: str, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return _not_permitted(path)
    return {
        errno.ENOENT: "it is not there: is it plugged in?",
        errno.EBUSY: "another program has it: end that one",
        errno.EWOULDBLOCK: "another program has it: end that one",
        errno.ENOTTY: "it is no serial line",
    }.get(error.errno or 0, error.strerror or str(error))


def _not_permitted(path: str) -> str:
    """Return why a line can't be opened, and how it could: on Debian it is the group dialout's."""
    try:
        there = os.stat(path)
        group, user = grp.getgrgid(there.st_gid).gr_name, pwd.getpwuid(os.getuid()).pw_name
    except (OSError, KeyError):
        return "not permitted"
    if there.st_mode & 0o060 != 0o060:
        return "not permitted: its mode lets its owner in alone"
    return f"not permitted, it is of the group {group}: `sudo usermod -aG {group} {user}`, then log in anew"


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0  # it ended just now


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"it was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"it ended with status {os.WEXITSTATUS(status)}"
