"""reclog through a tremplin, as a system on the stage: two hosts, a real link, a real sshd."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from bench import ROOT, Home, free_port
from clock import COMPILER, Clock
from lan import stated
from netns import Namespace, link, run
from set_aside import SetAside
from small_disk import SmallDisk
from swarm import flood, runs
from tls_sender import tls_connection
from tremplin_bench import ALIAS, Tremplin, TremplinRecording, account, tremplin

from reclog.engine.records.names import MARK
from reclog.engine.system.faultpoints import VARIABLE

ADDRESS = "10.77.2.1"
#: Room of the two file systems; a fault takes it away for a while.
ROOM = "1g"
#: Small, so that segments (an eighth) are opened and deleted all the time.
SPOOL_MAX = "16MiB"


class Through:
    """`fab tremplin` from a laptop's namespace to a jump host's; senders are on the jump host."""

    def __init__(self, home: Home, folder: Path, carried: str = "--udp", room: str = ROOM) -> None:
        """`carried` is the option that says what carries more than streams of TCP, or them.

        `room` is for what is recorded.
        """
        self.name = "tremplin"
        self.home = home
        self.folder = folder
        self.jump: Namespace
        self.laptop: Namespace
        self.trem: Tremplin
        self.disk_here: SmallDisk
        self.disk_there: SmallDisk
        self.recording: TremplinRecording
        #: Every file that was recorded into, in the order in which that was done; the last is the one now.
        self.files: list[Path] = []
        self.words = ["--partial-after", "20", "--spool-max", SPOOL_MAX, carried]
        #: Not among the words: another collector's file is rotated by nobody.
        self.set_aside = SetAside()
        #: What a sender says first; nothing while no token is asked for.
        self.token = b""
        with contextlib.ExitStack() as stack:
            self._make(stack, room)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Remove the hosts; see that nothing is left on them."""
        self._stack.close()

    def _make(self, stack: contextlib.ExitStack, room: str) -> None:
        self.folder.mkdir(exist_ok=True)
        user = account()
        # The account can't reach a test's folder; two of them, so that a point is armed for one side.
        public = Path(tempfile.mkdtemp(prefix="reclog-through-"))
        public.chmod(0o755)
        stack.callback(shutil.rmtree, public)
        self.points_here, self.points_there = public / "here", public / "there"
        for path in (self.points_here, self.points_there):
            path.mkdir()
            path.chmod(0o777)
        #: What a fault can set, where there is a compiler.
        self.clocks = [Clock(path) for path in (public / "clock-here", public / "clock-there") if COMPILER]
        self.disk_here = SmallDisk(self.folder / "disk", room)
        stack.callback(self.disk_here.close)
        state = Path(user.pw_dir) / ".local/state"
        for path in (state.parent, state):
            path.mkdir(exist_ok=True)
            os.chown(path, user.pw_uid, user.pw_gid)
        self.disk_there = SmallDisk(state, ROOM, user.pw_uid)
        stack.callback(self.disk_there.close)
        self.jump, self.laptop = Namespace("j"), Namespace("l")
        stack.callback(self._leave)
        link(self.laptop, "laptop", 2, self.jump)
        self.environment_here = self._environment(self.points_here, 0)
        self.home.env.update(self.environment_here)
        there = self._environment(self.points_there, 1)
        self.home.within = self.laptop.within
        settings = "SetEnv " + " ".join(f"{name}={value}" for name, value in there.items()) + "\n"
        bench = tremplin(self.home, self.folder / "tremplin", ADDRESS, self.jump.within, settings)
        self.trem = stack.enter_context(bench)
        # Before it waits for its sshd: a cut leaves sessions that it would keep for hours.
        stack.callback(self._end_sessions)
        file = self.disk_here.path / "file.log"
        ports = free_port(), 0, free_port()
        self.recording = TremplinRecording(self.home, ports[0], file, self.trem, *ports[1:])
        self.files = [file]

    def _environment(self, points: Path, side: int) -> dict[str, str]:
        return {VARIABLE: str(points), **(self.clocks[side].env if self.clocks else {})}

    def _end_sessions(self) -> None:
        self.home.inv("kill")
        for session in self.trem.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()

    def _leave(self) -> None:
        self.home.within = []
        for name in self.environment_here:
            del self.home.env[name]
        left = []
        for host in (self.jump, self.laptop):
            until = time.monotonic() + 5
            while _lingering(host) and time.monotonic() < until:
                time.sleep(0.01)
            left += [(pid, _words_of(pid)) for pid in _lingering(host)]
            for pid, _ in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            host.remove()
        assert not left, f"left in the namespaces: {left}"

    # -- what a system does -----------------------------------------------------------------------

    def start(self) -> None:
        """Start it."""
        self.again()

    def again(self) -> None:
        """Run the same `fab tremplin` again; fine if it records already."""
        done = self.open()
        assert done.returncode == 0, done.stderr + done.stdout

    def open(self, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run the same `fab tremplin`, with more words, in a checkout."""
        self.set_aside.begin(self.file)
        done = self.recording.again(*self.words, *self.set_aside.words, *words, cwd=cwd)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def stop(self) -> None:
        """Stop it; see that nothing is left."""
        done = self.home.inv("kill")
        assert done.returncode == 0, done.stderr + done.stdout
        self.see_stopped()

    def see_stopped(self) -> None:
        """See that nothing is left of it; add what was set aside to its files."""
        self.see_nothing()
        self.set_aside.end(self.files, self.recording.folder)

    def see_nothing(self) -> None:
        """See that nothing of it runs, listens or lies about."""
        left = [*self.home.processes(), *self.trem.processes()]
        assert not left, f"left behind: {[' '.join(one.cmdline()) for one in left]}"
        assert not self.trem.files(), f"left there: {self.trem.files()}"
        for host, port in ((self.jump, self.recording.port), (self.laptop, self.recording.port_local)):
            assert not _listens(host, port), f"port {port} still listens"

    def connect(self) -> socket.socket:
        """Connect as a sender."""
        sock = self.jump.call(self._connected)
        sock.sendall(self.token)
        return sock

    def _connected(self) -> socket.socket:
        if "--tls" not in self.words:
            return socket.create_connection(("127.0.0.1", self.recording.port), timeout=5)
        (certificate,) = (self.home.state / "reclog" / "tls").glob("*.pem")
        sock = tls_connection(self.recording.port, str(certificate), name=ALIAS)
        sock.settimeout(5)
        return sock

    def ask(self, option: str) -> subprocess.CompletedProcess[str]:
        """Run the same `fab tremplin` with one more option, but for --udp, which not all go together with."""
        return self.recording.again(*(word for word in self.words if word != "--udp"), option)

    def post(self) -> socket.socket | None:
        """Return a socket that datagrams can be sent on; None where it hears none."""
        if "--udp" not in self.words:
            return None
        sock = self.jump.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.connect(("127.0.0.1", self.recording.port))
        return sock

    def dropped(self) -> int:
        """Return how many datagrams the event log here says were dropped."""
        return stated(self.recording.folder)

    def flood(self, words: Sequence[bytes], over: threading.Event) -> int:
        """Have strangers come to the jump host; return how many."""
        return self.jump.call(lambda: flood(self.recording.port, words, over))

    def processes(self, role: str) -> list[psutil.Process]:
        """Return its collector; its ssh; sshd's processes for the sessions of that; its relay."""
        if role == "session":
            return self._session()
        if role == "relay":
            return [one for one in self.trem.processes() if _is(one, "relay")]
        collectors = [one for one in self.home.processes() if _is(one, "collector")]
        if role == "collector":
            return collectors
        assert role == "ssh", role
        return [one for collector in collectors for one in _children(collector) if "-L" in one.cmdline()]

    def _session(self) -> list[psutil.Process]:
        """Return the process of the account's that is the tunnel's other end (not its privileged monitor)."""
        ours = {process.pid for process in self.processes("ssh")}
        ports = {one.here for one in _connections(self.laptop) if ours & one.pids}
        found = []
        for pid in {pid for one in _connections(self.jump) if one.there in ports for pid in one.pids}:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.uids().real == self.trem.account.pw_uid and runs(process):
                    found.append(process)
        return found

    # -- for faults -------------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        """The file that is recorded into now."""
        return self.files[-1]

    def keep(self, path: Path) -> None:
        """Take note that `path` holds what was recorded before what the file holds now."""
        self.files.insert(len(self.files) - 1, path)

    def spare(self, name: str) -> Path:
        """Return a path on the file's file system, not beside it, that nobody has."""
        folder = self.disk_here.path / "kept"
        folder.mkdir(exist_ok=True)
        return folder / f"{len(list(folder.iterdir()))}.{name}"

    @property
    def spool(self) -> Path:
        return self.trem.relays / str(self.recording.port) / "spool"

    @property
    def relay_folder(self) -> Path:
        return self.spool.parent


class _Connection(NamedTuple):
    """A TCP connection: its ports, and who has it."""

    here: str
    there: str
    pids: set[int]


def _connections(host: Namespace) -> list[_Connection]:
    lines = [line.split() for line in host.run("ss", "-tnpH", "state", "established").splitlines()]
    return [
        _Connection(
            words[2].rpartition(":")[2],
            words[3].rpartition(":")[2],
            {int(pid) for pid in re.findall(r"pid=(\d+)", " ".join(words[4:]))},
        )
        for words in lines
    ]


def _is(process: psutil.Process, role: str) -> bool:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        # Not the command that starts it, nor a child between fork and exec, which has its parent's words.
        mine = len(words) > 3 and words[3] == role and "-I" in words
        parent = process.parent()
        return mine and (parent is None or parent.cmdline() != words) and MARK in process.environ()
    return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [child for child in process.children() if runs(child)]
    return []


def _listens(host: Namespace, port: int) -> bool:
    def attempt() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    return host.call(attempt)


def _lingering(host: Namespace) -> list[str]:
    return run("ip", "netns", "pids", host.name).split()


def _words_of(pid: str) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(psutil.Process(int(pid)).cmdline())
    return ""
