"""What real tests need: a home of its own for each, its recordings, and the patience of a deadline."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import psutil
import pytest

from reclog.engine.records.names import EVENTS, HOLES, MARK, PAST
from reclog.engine.stores.index.files import NAMES as INDEX
from reclog.engine.stores.pieces import PIECES
from reclog.engine.system.kernel import listeners
from reclog.look.status import describe
from reclog.recordings.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
#: What a recording leaves in its folder, for history.
HISTORY = {EVENTS, HOLES, PAST, PIECES, *INDEX}
BIN = Path(sys.executable).parent


def ready_for_ctrl_c() -> None:
    """Undo what a shell does to its background jobs: they, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition: Callable[[], Any], within: float = 20.0, what: str = "") -> Any:
    """Return the first true value of `condition`; fail after `within` seconds."""
    now = time.monotonic()
    until = now + within
    while True:
        began = now
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > until:
            pytest.fail(f"not within {within} s: {what or condition}")
        # A look that is dear is taken less often: other tests share these cores.
        time.sleep(min(0.1, max(0.01, 2 * (now - began))))
        now = time.monotonic()


@functools.cache
def slot() -> int:
    """Return a number that no other process of any test run on this machine has while this one lives."""
    for number in range(SLOTS):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.bind(f"\0reclog-test-{number}")  # abstract: the kernel frees it (unix(7))
        except OSError:
            sock.close()
        else:
            _held.append(sock)
            return number
    raise AssertionError(f"{SLOTS} processes run tests here already")


def free_port() -> int:
    """Return a port that nobody uses now, below the ephemeral range: no outgoing connection takes it."""
    first = 20000 + slot() * 1000
    for port in random.sample(range(first, first + 1000), 1000):
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


def listening(*ports: int) -> set[tuple[str, int]]:
    """Return the addresses and ports, of these, on which somebody listens.

    psutil.net_connections finds out whose each socket is, too, by looking at every descriptor there is.
    """
    found = set()
    for family, table in ((socket.AF_INET, "/proc/net/tcp"), (socket.AF_INET6, "/proc/net/tcp6")):
        for address, _, port in (one.partition(":") for one, _ in listeners(table)):
            if int(port, 16) in ports:
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
                found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found


SLOTS = 12
_held: list[socket.socket] = []
_given: set[int] = set()


def events_in(folder: Path, event: str = "") -> list[dict[str, Any]]:
    """Return the events of a daemon, or those of a name."""
    found = [json.loads(line) for line in (folder / "events.log").read_text().splitlines()]
    return [one for one in found if not event or one["event"] == event]


def daemon_in(folder: Path) -> psutil.Process:
    """Return the daemon whose state is there."""
    return psutil.Process(json.loads((folder / "state.json").read_text())["identity"]["pid"])


@dataclasses.dataclass
class Running:
    """A recording that a test started."""

    home: Home
    port: int
    file: Path

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `inv` that start it."""
        return "local", "--port", str(self.port), "--file", str(self.file)

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

    def history(self) -> dict[str, Any]:
        """Return the counters that are on disk: what is known of a daemon that does not answer."""
        found: dict[str, Any] = json.loads((self.folder / "counters.json").read_text())
        return found

    @property
    def folder(self) -> Path:
        return self.home.recordings / f"local-{self.port}"

    def events(self, event: str = "") -> list[dict[str, Any]]:
        return events_in(self.folder, event)

    @property
    def daemon(self) -> psutil.Process:
        return daemon_in(self.folder)

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

    def start(self, program: str, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start `inv` or `fab` and do not wait for it; Ctrl-C reaches it as in a terminal."""
        ways = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        argv = [str(BIN / program), *words]
        return subprocess.Popen(argv, cwd=ROOT, env=self.env, text=True, preexec_fn=ready_for_ctrl_c, **ways)

    def inv(self, *words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return self.program("inv", *words, **kwargs)

    def program(
        self, name: str, *words: str, cwd: Path = ROOT, env: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run `inv` or `fab`; elsewhere than in this checkout by an interpreter of its own."""
        argv = [str(BIN / name), *words]
        if cwd != ROOT or self.within[:3] not in ([], ["ip", "netns", "exec"]):
            return self.run(*argv, cwd=cwd, env=env, timeout=timeout)
        return commands.call(argv, cwd, {**self.env, **(env or {})}, "".join(self.within[3:]), timeout)

    def local(self, *words: str, file: Path | None = None, **kwargs: Any) -> Running:
        """Start `inv local` on a free port; fail with its own words if it does not start."""
        running = self.to_be(file)
        done = self.inv(*running.words, *words, **kwargs)
        assert done.returncode == 0, done.stderr
        return running

    def to_be(self, file: Path | None = None) -> Running:
        """Return a recording on a free port that is still to be started."""
        self.ports.append(free_port())
        return Running(self, self.ports[-1], file or self.path / f"{self.ports[-1]}.log")

    def status(self) -> list[dict[str, Any]]:
        """Return what `inv status --json` says."""
        registry = Registry(self.state / "reclog")
        return describe(registry.recordings(), registry)

    def kill_all(self) -> str:
        """Run `inv kill`, if there is anything left to stop; return what went wrong, in its words."""
        if not self.processes() and not any(self.recordings.glob("*/config.json")):
            return ""
        done = self.inv("kill")
        return done.stderr if done.returncode else ""

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
