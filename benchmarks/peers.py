"""The systems to compare with: each records the lines that come over TCP into one file.

Each is started for real, listens on 127.0.0.1 only, and is set up as someone who knows it would: it takes
6,000 connections if it can, leaves lines as they are if it can, and drops none for want of room in a queue.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

import psutil

from benchmarks.debs import Missing

CONNECTIONS = 6000
"""Connections that a peer takes at the same time, where it can be told."""

NCAT_CONNECTIONS = 1000
"""The same for ncat, which closes those over it: told more, it ends at descriptor 1024, FD_SETSIZE."""

BACKLOG = 4096
"""Connections that the kernel keeps for a busy peer; Linux's own default cap, net.core.somaxconn."""

START_TIMEOUT = 20.0
"""Seconds within which a peer listens."""

STOP_TIMEOUT = 20.0
"""Seconds within which the processes of a peer are gone, after SIGKILL."""

LISTEN = {"tcp": "0A", "udp": "07"}
"""The state of a socket that takes what comes, in /proc/net/… (the kernel's include/net/tcp_states.h)."""


class Running:
    """A peer that listens; `with` stops it at the end.

    `file` is what it records into. `process` is its top process; all others are its descendants.
    """

    def __init__(self, file: Path, child: subprocess.Popen[bytes]) -> None:
        self.file = file
        self.process = psutil.Process(child.pid)
        self._child = child
        self._stopped = False

    def __enter__(self) -> Running:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """Kill it and its descendants, and return when they are gone.

        Raises `RuntimeError` if one is still there after `STOP_TIMEOUT`.
        """
        if self._stopped:
            return  # its id may be another's by now
        until = time.monotonic() + STOP_TIMEOUT
        # By session: a socat's children are found even if it has died and left them. The top process is
        # reaped last, so that no other process can get its id, which is the session's.
        while alive := _session(self._child.pid):
            for pid in alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it has ended by itself
            if time.monotonic() > until:
                raise RuntimeError(f"these processes don't end: {alive}")
            time.sleep(0.01)
        self._child.wait()
        self._stopped = True


class Peer(ABC):
    """A system that records lines."""

    name: str
    protocol = "tcp"
    prints = False
    """Whether it records by printing: its standard output is the file then, opened for appending."""

    def missing(self) -> str:
        """Return why it can't run here, a sentence; "" if it can. May fetch packages."""
        try:
            self.prepare()
        except Missing as why:
            return str(why)
        return ""

    @abstractmethod
    def prepare(self) -> None:
        """Have its program on this machine, or raise `Missing`."""

    @abstractmethod
    def command(self, folder: Path, port: int) -> list[str]:
        """Return its command, after writing into `folder` what it reads."""

    def environment(self) -> dict[str, str]:
        """Return the environment of its processes."""
        return dict(os.environ)

    def start(self, folder: Path, port: int) -> Running:
        """Start it in `folder`, made if need be, and return when it listens on 127.0.0.1:`port`.

        Raises `Missing`, or `RuntimeError` with the peer's last words.
        """
        self.prepare()
        if listens(port, self.protocol):
            raise RuntimeError(f"port {port} is taken: give {self.name} another")
        folder = folder.resolve()  # a daemon may leave the working directory
        folder.mkdir(parents=True, exist_ok=True)
        raise_open_files()
        file, errors = folder / "file.log", folder / "peer.err"
        with file.open("ab") as recorded, errors.open("ab") as said:
            child = subprocess.Popen(
                self.command(folder, port),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=recorded if self.prints else said,
                stderr=said,
                # Ctrl-C goes to the benchmark, which stops its peers.
                start_new_session=True,
            )
        running = Running(file, child)
        try:
            until = time.monotonic() + START_TIMEOUT
            while not listens(port, self.protocol):
                if child.poll() is not None:
                    raise RuntimeError(
                        f"{self.name} ended with code {child.returncode}: {_last_words(errors)}"
                    )
                if time.monotonic() > until:
                    raise RuntimeError(f"{self.name} doesn't listen on port {port}: {_last_words(errors)}")
                time.sleep(0.01)
        except BaseException:  # also Ctrl-C
            running.stop()
            raise
        return running


class Installed(Peer):
    """A peer whose program is on the machine."""

    program: str

    def prepare(self) -> None:
        """Raise `Missing` if the program isn't on PATH."""
        if shutil.which(self.program) is None:
            raise Missing(f"{self.program} isn't here: apt-get install {self.program}")


class Socat(Installed):
    """A process per connection, which appends by itself."""

    program = "socat"

    def __init__(self, name: str, options: tuple[str, ...], listen: str) -> None:
        self.name = name
        self._options, self._listen = options, listen

    def command(self, folder: Path, port: int) -> list[str]:
        """Return socat's command."""
        listen = f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork{self._listen}"
        return ["socat", "-u", *self._options, listen, f"OPEN:{folder / 'file.log'},creat,append"]


class Ncat(Installed):
    """One process, which waits in select(2).

    Its backlog is 10, and there is no option for it.
    """

    name = "ncat"
    program = "ncat"
    prints = True

    def command(self, folder: Path, port: int) -> list[str]:
        """Return ncat's command; it records into its standard output."""
        return ["ncat", "-l", "-k", "-n", "-m", str(NCAT_CONNECTIONS), "--recv-only", "127.0.0.1", str(port)]


class SocketServer(Peer):
    """Python's own recipe: see recipe.py."""

    name = "socketserver"

    def prepare(self) -> None:
        """Do nothing: Python is here."""

    def command(self, folder: Path, port: int) -> list[str]:
        """Return the recipe's command."""
        return [
            sys.executable,
            str(Path(__file__).with_name("recipe.py")),
            str(port),
            str(folder / "file.log"),
        ]


def raise_open_files() -> None:
    """Let this process and those that it starts open as many files as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listens(port: int, protocol: str = "tcp") -> bool:
    """Say whether a socket listens on 127.0.0.1:`port` or on all IPv4 addresses; connects to nothing."""
    ours = {f"{address}:{port:04X}" for address in (_hexadecimal("127.0.0.1"), _hexadecimal("0.0.0.0"))}
    rows = [row.split() for row in Path("/proc/net", protocol).read_text().splitlines()[1:]]
    return any(row[1] in ours and row[3] == LISTEN[protocol] for row in rows)


def _hexadecimal(address: str) -> str:
    """Return an IPv4 address as /proc/net/tcp has it: a number in the machine's own byte order."""
    return f"{int.from_bytes(bytes(int(part) for part in address.split('.')), sys.byteorder):08X}"


def _session(session: int) -> list[int]:
    """Return the processes of `session` that haven't ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass  # it has ended meanwhile
    return found


def _last_words(errors: Path) -> str:
    """Return the last lines of what a peer said."""
    return " / ".join(errors.read_text(errors="replace").split("\n")[-4:]).strip(" /") or "it said nothing"
