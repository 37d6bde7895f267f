"""What people build of socat and ssh to record behind NAT, on the same two hosts as reclog's tremplin.

The one-liners as they were noted down do not work at all (each fork of `socat TCP-LISTEN TCP-LISTEN` wants
the same port), so this is what one ends up with: socat here into the file, `ssh -R` in a loop, with the
options that notice a dead link, and socat there from the public port into the tunnel.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from pathlib import Path

import psutil
from bench import Home, wait_until
from stage import Deaf
from swarm import runs
from through import Through
from tremplin_bench import ALIAS


class PlainThrough(Deaf, Through):
    """socat, ssh, socat."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(home, folder)
        self.name = "socat and ssh"

    def again(self) -> None:
        """Start again what has ended."""
        ports = self.recording
        tuned = ["socat", "-u", "-b", "65536"]
        listen = "reuseaddr,fork,backlog=4096"
        here = [*tuned, f"TCP4-LISTEN:{ports.port_local},bind=127.0.0.1,{listen}"]
        self._keep("collector", [*self.laptop.within, *here, f"OPEN:{self.file},creat,append"])
        tunnel = ["ssh", "-F", str(self.trem.config), "-N", "-o", "BatchMode=yes"]
        tunnel += ["-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=3"]
        tunnel += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
        tunnel += ["-R", f"127.0.0.1:{ports.port_out}:127.0.0.1:{ports.port_local}", ALIAS]
        loop = f"while :; do {shlex.join(tunnel)} 2>/dev/null; sleep 0.3; done"
        self._keep("loop", [*self.laptop.within, "sh", "-c", loop])
        user = self.trem.account
        account = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        there = [*account, *tuned, f"TCP4-LISTEN:{ports.port},{listen}", f"TCP4:127.0.0.1:{ports.port_out}"]
        self._keep("relay", [*self.jump.within, *there])
        wait_until(self._is_through, 30, "the chain of socat, ssh and socat stands")

    def stop(self) -> None:
        """End it all."""
        for process in self._running.values():
            process.terminate()
        left = [one for role in ("collector", "relay", "fork", "ssh") for one in self.processes(role)]
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        for process in self._running.values():
            process.wait(10)
        self._running.clear()

    def close(self) -> None:
        """End it all, and the hosts."""
        self.stop()
        super().close()

    def processes(self, role: str) -> list[psutil.Process]:
        """Return the socat that listens here; the ssh; its session there; the socat that listens there."""
        if role == "session":
            return self._session()
        if role == "ssh":
            return [one for one in self._of("loop")[1:] if one.name() == "ssh"]
        if role == "fork":
            return [*self._of("collector")[1:], *self._of("relay")[1:]]
        return self._of(role)[:1]

    def _of(self, name: str) -> list[psutil.Process]:
        """Return a process that was started, and its children."""
        started = self._running.get(name)
        if started is None or started.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(started.pid)
            return [one for one in [first, *first.children(recursive=True)] if runs(one)]
        return []

    def _keep(self, name: str, command: list[str]) -> None:
        running = self._running.get(name)
        if running is None or running.poll() is not None:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )

    def _is_through(self) -> bool:
        """Tell whether a line that is sent there is in the file here."""
        with contextlib.suppress(OSError), self.connect() as sock:
            sock.sendall(b"beacon of a start\n")
        size = self.file.stat().st_size if self.file.exists() else 0
        with contextlib.suppress(OSError):
            return size > 0 and b"beacon of a start\n" in self.file.read_bytes()[-65536:]
        return False
