"""Real NATS servers with JetStream on loopback: one, or three that are a cluster, for tests and for trying.

Each has a folder, free ports that it keeps when it is started again, and is ended by its pid: at the latest
when whoever started it ends. What is acknowledged is on the disk (`sync_interval: always`).

As a program (`inv dev.nats`), with 1 or 3 as its argument, it stays in front until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import free_port

WITHIN = 30.0
_PR_SET_PDEATHSIG = 1


class Server:
    """One server; `started`, killed and started again as a test likes."""

    def __init__(self, folder: Path, name: str, more: str = "", port: int = 0) -> None:
        """`more` is added to its configuration."""
        self.folder, self.name, self.more = folder, name, more
        self.port, self.monitor = port or free_port(), free_port()
        #: Where it listens, and a command that runs it elsewhere.
        self.address, self.within = "127.0.0.1", list[str]()
        self.store = folder / "store"
        self.settings = {"sync_interval": "always", "max_file_store": "8GB"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://{self.address}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> Server:
        """Start it; `wait` tells when it serves."""
        assert self._process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "server.conf"
        config.write_text(self._config(), "utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.within, program(), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_us,
            )
        return self

    def wait(self) -> Server:
        """Return once JetStream serves there: in a cluster, once that has a leader."""
        give_up_at = time.monotonic() + WITHIN
        while not self.is_healthy():
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text("utf-8")[-2000:]
            assert time.monotonic() < give_up_at, self.log.read_text("utf-8")[-2000:]
            time.sleep(0.02)
        return self

    def is_healthy(self) -> bool:
        url = f"http://127.0.0.1:{self.monitor}/healthz"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def is_over(self, within: float) -> bool:
        """Tell whether it has died, or does within so many seconds."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        return not self.runs

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal that it dies of, and wait for that; nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(WITHIN)

    def forget(self) -> None:
        """Lose all that it ever stored, while it does not run."""
        assert self._process is None
        shutil.rmtree(self.store, ignore_errors=True)

    def _config(self) -> str:
        jetstream = "\n".join(f"  {name}: {value}" for name, value in self.settings.items())
        return (
            f'server_name: "{self.name}"\nlisten: "{self.address}:{self.port}"\n'
            f'http: "{self.address}:{self.monitor}"\n'
            f'jetstream {{\n  store_dir: "{self.store}"\n{jetstream}\n}}\n{self.more}\n'
        )


@contextlib.contextmanager
def one(folder: Path, more: str = "") -> Iterator[Server]:
    """Have one server."""
    server = Server(folder / "nats", "n1", more)
    try:
        yield server.start().wait()
    finally:
        server.end()


@contextlib.contextmanager
def three(folder: Path) -> Iterator[list[Server]]:
    """Have three that are a cluster."""
    routes = [free_port() for _ in range(3)]
    others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    servers = [
        Server(
            folder / f"nats{number}",
            f"n{number}",
            f'cluster {{\n  name: "three"\n  listen: "127.0.0.1:{port}"\n  routes: [{others}]\n}}',
        )
        for number, port in enumerate(routes, 1)
    ]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.end()


@functools.cache
def program() -> str:
    """Return the server's program: that of the package beside this Python, or Debian's."""
    beside = Path(sys.executable).parent / "nats-server"
    found = (
        str(beside)
        if beside.exists()
        else shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin")
    )
    assert found, "there is no nats-server: `sh bootstrap.sh tests`, or `apt-get install nats-server`"
    return found


def _end_with_us() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(nodes: int) -> str:
    """Have one, or three, until Ctrl-C, which returns nothing; if one of them dies, return what to say."""
    with tempfile.TemporaryDirectory(prefix="reclog-nats-") as folder, contextlib.ExitStack() as held:
        servers = (
            held.enter_context(three(Path(folder))) if nodes == 3 else [held.enter_context(one(Path(folder)))]
        )
        print(f"JetStream listens until Ctrl-C: {','.join(server.url for server in servers)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                for server in servers:
                    if server.is_over(0.5):
                        last = server.log.read_text("utf-8", "replace")[-2000:]
                        return f"{last}The server {server.url} has ended by itself: run inv dev.nats again."
    return ""


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1) or 0)
