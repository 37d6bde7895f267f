"""reclog on the LAN as a system of the benchmark, started as a person starts it."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
from pathlib import Path

import psutil
from bench import BIN, Home

STOP_WITHIN = 30.0
"""Seconds that a recorder may take to drain and to end."""

BUILTIN = "reclog, builtin"
SOCAT = "reclog, socat"


class Recording:
    """A recorder that listens."""

    def __init__(self, home: Home, file: Path, process: psutil.Process) -> None:
        self.home = home
        self.file = file
        self.process = process

    def stop(self) -> None:
        """Have it drain and end; raise RuntimeError if something of it is left."""
        end(self.process)


def end(daemon: psutil.Process) -> None:
    """Tell a daemon of reclog's to end, and wait for it. Raises RuntimeError."""
    daemon.send_signal(signal.SIGTERM)
    until = time.monotonic() + STOP_WITHIN
    with contextlib.suppress(psutil.NoSuchProcess):
        # A zombie has ended: when its parent, this machine's init, takes note is not ours to wait for.
        while daemon.is_running() and daemon.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > until:
                raise RuntimeError(f"{daemon} does not end")
            time.sleep(0.005)


class Local:
    """`inv local` with a listener, and a home of its own."""

    def __init__(self, name: str, listener: str, *words: str) -> None:
        self.name = name
        self.listener = listener
        self._words = words

    def missing(self) -> str:
        """Return why it can't run here."""
        if self.listener == "socat" and shutil.which("socat") is None:
            return "socat isn't here: apt-get install socat"
        return ""

    def start(self, folder: Path, port: int) -> Recording:
        """Start it in `folder`; raise RuntimeError with its own words if it does not start."""
        folder.mkdir(parents=True, exist_ok=True)
        home = Home(folder)
        file = folder / "file.log"
        words = ["--port", str(port), "--file", str(file), "--listener", self.listener, *self._words]
        done = home.run(str(BIN / "inv"), "local", *words)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        state = json.loads((home.recordings / f"local-{port}" / "state.json").read_text("utf-8"))
        return Recording(home, file, psutil.Process(state["identity"]["pid"]))


def ours() -> list[Local]:
    """Return reclog's systems on the LAN."""
    return [Local(BUILTIN, "builtin"), Local(SOCAT, "socat")]
