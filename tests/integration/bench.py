"""What real tests need: a home of its own for each, its recordings, and the patience of a deadline."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from reclog.engine.records.names import MARK

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def wait_until(condition: Callable[[], Any], within: float = 10.0, what: str = "") -> Any:
    """Return the first true value of `condition`; fail after `within` seconds."""
    until = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            pytest.fail(f"not within {within} s: {what or condition}")
        time.sleep(0.01)


def free_port() -> int:
    """Return a port that nobody uses now, below the ephemeral range: no outgoing connection takes it."""
    # Each worker of a parallel run has a range of its own.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = 20000 + worker % 6 * 2000
    for port in random.sample(range(first, first + 2000), 2000):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
            if port not in _given:
                _given.add(port)
                return port
    raise AssertionError("no free port")


_given: set[int] = set()


@dataclasses.dataclass
class Running:
    """A recording that a test started."""

    home: Home
    port: int
    file: Path

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.port), timeout=10)

    def send(self, data: bytes) -> None:
        """Send `data` over a connection of its own, and close it."""
        with self.connect() as sock:
            sock.sendall(data)

    def read(self) -> bytes:
        return self.file.read_bytes() if self.file.exists() else b""

    def status(self) -> dict[str, Any]:
        return next(one for one in self.home.status() if one["port"] == self.port)

    def events(self, event: str = "") -> list[dict[str, Any]]:
        lines = (self.home.recordings / f"local-{self.port}" / "events.log").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [one for one in found if not event or one["event"] == event]

    @property
    def daemon(self) -> psutil.Process:
        state = json.loads((self.home.recordings / f"local-{self.port}" / "state.json").read_text())
        return psutil.Process(state["identity"]["pid"])

    def family(self) -> list[psutil.Process]:
        found = []
        for process in self.home.processes():
            with contextlib.suppress(psutil.Error):  # it may end meanwhile
                if f"local-{self.port}" in process.environ().get(MARK, ""):
                    found.append(process)
        return found

    def kill(self) -> subprocess.CompletedProcess[str]:
        return self.home.inv("kill", "--port", str(self.port))


class Home:
    """A state directory of its own, and the commands run with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state"
        self.recordings = self.state / "reclog" / "recordings"
        self.ports: list[int] = []
        #: A command that runs another elsewhere: in a network namespace.
        self.within: list[str] = []
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("INVOKE_")},
            "XDG_STATE_HOME": str(self.state),
            "HOME": str(path),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "COLUMNS": "200",
        }

    def run(
        self, *command: str, timeout: float = 60, cwd: Path = ROOT, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with this home; its output is text, its standard input empty."""
        return subprocess.run(
            [*self.within, *command],
            cwd=cwd,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def inv(self, *words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return self.run(str(BIN / "inv"), *words, **kwargs)

    def local(self, *words: str, file: Path | None = None, **kwargs: Any) -> Running:
        """Start `inv local` on a free port; fail with its own words if it does not start."""
        port = free_port()
        self.ports.append(port)
        file = file or self.path / f"{port}.log"
        done = self.inv("local", "--port", str(port), "--file", str(file), *words, **kwargs)
        assert done.returncode == 0, done.stderr
        return Running(self, port, file)

    def status(self) -> list[dict[str, Any]]:
        done = self.inv("status", "--json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def processes(self) -> list[psutil.Process]:
        """Return every process with a mark of this home."""
        found = []
        for process in psutil.process_iter():
            try:
                mark = process.environ().get(MARK, "")
                if mark.startswith(str(self.state)) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found
