"""What people use instead of reclog, as systems: socat into a file, and socat behind ssh."""

from __future__ import annotations

import contextlib
import socket
import subprocess

import psutil
from bench import Home, free_port, wait_until
from stage import Deaf
from swarm import runs


class PlainLan(Deaf):
    """`socat TCP-LISTEN:port,reuseaddr,fork OPEN:file,creat,append`, or with a queue of 4,096."""

    def __init__(self, home: Home, tuned: bool) -> None:
        self.name = "tuned socat" if tuned else "socat"
        self.port = free_port()
        self.file = home.path / f"{self.port}.log"
        self.files = [self.file]
        options = "reuseaddr,fork" + (",backlog=4096" if tuned else "")
        block = ["-b", "65536"] if tuned else []
        self._command = ["socat", *block, "-u", f"TCP4-LISTEN:{self.port},{options}"]
        self._command += [f"OPEN:{self.file},creat,append"]
        self._socat: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self.again()

    def again(self) -> None:
        """Start it again if it has ended."""
        if self._socat is None or self._socat.poll() is not None:
            self._socat = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        wait_until(self._listens, 10, "socat listens")

    def stop(self) -> None:
        """End it, and the forks that serve senders."""
        for process in [*self.processes("recorder"), *self.processes("fork")]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        if self._socat is not None:
            self._socat.wait(10)

    close = stop

    def connect(self) -> socket.socket:
        """Connect as a sender."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=2)

    def processes(self, role: str) -> list[psutil.Process]:
        """Return the socat that listens, or those that serve senders, also of one that is dead."""
        here = [one for one in _all_socats() if f"TCP4-LISTEN:{self.port}," in " ".join(_words(one))]
        listening = [one for one in here if self._socat is not None and one.pid == self._socat.pid]
        return listening if role == "recorder" else [one for one in here if one not in listening]

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            self.connect().close()
            return True
        return False


def _all_socats() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "socat" and runs(process):
            found.append(process)
    return found


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
