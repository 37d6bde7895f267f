"""reclog on a LAN, as a system on the stage."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from bench import HISTORY, Home, Running, free_port, wait_until
from set_aside import SetAside
from small_disk import SmallDisk
from swarm import flood, runs

from reclog.engine.records.names import EVENTS, HOLES
from reclog.engine.sources.tcp import someone_listens
from reclog.engine.system.faultpoints import VARIABLE
from reclog.engine.system.kernel import listens

#: The file of a round is far smaller.
ROOM = "2g"


class Lan:
    """`inv local`, with one of the listeners."""

    def __init__(
        self, home: Home, listener: str, *words: str, file: Path | None = None, disk: bool | None = None
    ) -> None:
        """`disk`: whether its file has a file system of its own; None: if we may make one."""
        self.name = f"lan, {listener}"
        self.listener = listener
        self.port = free_port()
        home.ports.append(self.port)
        self.home = home
        may = os.geteuid() == 0 and file is None
        self.disk = (
            SmallDisk(home.path / f"disk-{self.port}", ROOM) if (may if disk is None else disk) else None
        )
        self.file = file or (self.disk.path if self.disk else home.path) / f"{self.port}.log"
        self.files = [self.file]
        self.set_aside = SetAside()
        self.running = Running(home, self.port, self.file)
        #: What a sender says first; nothing while no token is asked for.
        self.token = b""
        #: Connections that say nothing and stay.
        self.guests: list[socket.socket] = []
        #: Where a fault point is armed, by a file with its name.
        self.faultpoints = home.path / "faultpoints"
        self.faultpoints.mkdir(exist_ok=True)
        home.env[VARIABLE] = str(self.faultpoints)
        self.words = ["local", "--port", str(self.port), "--file", str(self.file), "--listener", listener]
        # A sender that pauses longer inside a line has it split, as it is promised; ours never mean to.
        self.words += ["--partial-after", "20", *words]
        self._folder = home.recordings / f"local-{self.port}"

    #: What stays in its folder beside what does with any recording.
    leaves: frozenset[str] = frozenset()

    def start(self) -> None:
        """Start it."""
        self.words += self.set_aside.words
        self.again()

    def again(self) -> None:
        """Run the same `inv local` again; fine if it runs already."""
        self.set_aside.begin(self.file)
        done = self.home.inv(*self.words)
        assert done.returncode == 0 or "already" in done.stderr, done.stderr
        assert self.recorder() is not None, f"no recorder runs: {done.stdout}{done.stderr}"

    def stop(self) -> None:
        """Stop it; see that nothing is left."""
        done = self.home.inv("kill", "--port", str(self.port))
        assert done.returncode == 0, done.stderr
        self.see_stopped()

    def see_stopped(self) -> None:
        """See that nothing is left of it; add what was set aside to its files."""
        self.see_nothing_left()
        self.say_goodbye()
        self.set_aside.end(self.files, self.folder)

    def close(self) -> None:
        """End whatever is left of it, and keep its files where no file system of their own is needed."""
        self.say_goodbye()
        for process in self.running.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not self.running.family(), 10, "what was killed ends")
        if self.disk is not None:
            self._keep_files(self.disk.path.with_name(f"files-{self.port}"))
            self.disk.close()
            self.disk = None

    def connect(self) -> socket.socket:
        """Connect as a sender."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        sock.sendall(self.token)
        return sock

    def post(self) -> socket.socket | None:
        """Return a socket that datagrams can be sent on; None where it hears none."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def dropped(self) -> int:
        """Return how many datagrams its event log says were dropped."""
        return stated(self.folder)

    def ask(self, option: str) -> subprocess.CompletedProcess[str]:
        """Run the same `inv local` with one more option."""
        return self.home.inv(*self.words, option)

    def flood(self, words: Sequence[bytes], over: threading.Event) -> int:
        """Have strangers come; return how many."""
        return flood(self.port, words, over)

    def processes(self, role: str) -> list[psutil.Process]:
        """Return its recorder; or the socat that listens; or the socats that serve senders who write."""
        recorder = self.recorder()
        if role == "recorder":
            return [recorder] if recorder else []
        listening = _listening_child(recorder, self.port) if recorder else None
        if role == "socat":
            return [listening] if listening else []
        assert role == "fork", role
        silent = {guest.getsockname()[1] for guest in self.guests}
        found = []
        for one in self.running.family():
            with contextlib.suppress(psutil.Error):
                if one.name() == "socat" and one != listening:
                    peers = {c.raddr.port for c in one.net_connections("tcp") if c.raddr}
                    if peers and not peers & silent:
                        found.append(one)
        return found

    # -- what its faults look at and use ----------------------------------------------------------

    def recorder(self) -> psutil.Process | None:
        """Return its recorder; None while none runs."""
        found = {}
        for process in self.running.family():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if "recorder" in words and runs(process):
                    found[process.pid] = process, Path(words[words.index("--folder") + 1])
        # It forks to start socat, and that one looks like itself for a moment.
        for process, folder in found.values():
            with contextlib.suppress(psutil.Error):
                if process.ppid() not in found:
                    self._folder = folder
                    return process
        return None

    @property
    def folder(self) -> Path:
        """The state folder of the recording that runs, or ran last."""
        return self._folder

    def listens(self) -> bool:
        """Tell whether anybody listens on its port."""
        return someone_listens(self.port)

    def events(self, event: str, since: str) -> list[dict[str, Any]]:
        """Return the events of a name since a time, or sums with it, as the event log writes them."""
        found = []
        for name in ("events.log.1", "events.log"):
            path = self.folder / name
            for line in path.read_bytes().splitlines() if path.exists() else []:
                with contextlib.suppress(ValueError):  # a line that was cut
                    one = json.loads(line)
                    if event in (one["event"], *one.get("counts", ())) and one["time"] >= since:
                        found.append(one)
        return found

    def wait_for(self, event: str, since: str, within: float = 15.0) -> dict[str, Any]:
        """Return the first such event since then; fail if none comes."""
        found: list[dict[str, Any]] = wait_until(
            lambda: self.events(event, since), within, f"{event!r} is in the event log"
        )
        return found[0]

    def arm(self, point: str, words: str) -> Path:
        """Arm a fault point; return the file that is there once it is reached."""
        self._reached(point).unlink(missing_ok=True)
        new = self.faultpoints / f"{point}.armed"
        new.write_text(words)
        new.rename(self.faultpoints / point)  # nobody reads half a word
        return self._reached(point)

    def is_reached(self, point: str) -> bool:
        """Tell whether a point that was armed has been reached."""
        return self._reached(point).exists()

    def see_nothing_left(self) -> None:
        """See that no process runs, nobody listens, and no state is left."""
        family = [" ".join(process.cmdline()) for process in self.running.family()]
        assert not family, f"left behind: {family}"
        assert not self.listens(), "its port still listens"
        names = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        left = names - {*HISTORY, f"{EVENTS}.1", f"{HOLES}.1", "daemon.log", *self.leaves}
        assert not left, f"left behind: {sorted(left)}"

    def say_goodbye(self) -> None:
        """Close the connections that stayed."""
        for guest in self.guests:
            guest.close()
        self.guests.clear()

    def _reached(self, point: str) -> Path:
        return self.faultpoints / f"{point}.reached"

    def _keep_files(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for number, path in enumerate(self.files):
            if path.exists():
                kept = folder / f"{number:03} {path.name}"
                kept.write_bytes(path.read_bytes())
                self.files[number] = kept


def stated(folder: Path) -> int:
    """Return how many datagrams the event log in a recording's folder says were dropped."""
    found = 0
    for name in ("holes.log.1", "holes.log"):
        path = folder / name
        for line in path.read_bytes().splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):  # a line that was cut
                one = json.loads(line)
                found += one["datagrams"] if one["event"] == "datagrams dropped" else 0
    return found


def _listening_child(recorder: psutil.Process, port: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return next((child for child in recorder.children() if listens(child.pid, "0.0.0.0", port)), None)
    return None
