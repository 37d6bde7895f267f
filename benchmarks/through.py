"""What records through a tremplin, as systems of the benchmark; both ends are on this machine.

What senders write is on the far side; a tunnel of ssh, through a real sshd, brings it to a file here:

- `reclog`: `fab tremplin`.
- `ssh -L between two socats`: a socat there listens at the forward's far end, a socat here dials its near end
  and writes the file. A backlog is a file that the far one reads. For live senders a third socat, with a fork
  each, listens there and writes into a FIFO that the far one reads: `socat TCP-LISTEN TCP-LISTEN` alone would
  serve one sender. `tuned` has blocks of 64 KiB and a longer queue.
- `ssh host cat`: the backlog to standard output. For live senders, a socat there with a fork each does that.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import free_port
from tremplin_bench import ALIAS, Tremplin

from benchmarks import measure
from benchmarks.peers import BACKLOG, listens

WITHIN = 20.0
"""Seconds within which something listens, connects or ends."""

PLAIN = "ssh -L between two socats"
TUNED = "ssh -L between two socats, tuned"
CAT = "ssh host cat"


def wait(condition: Callable[[], object], what: str, within: float = WITHIN) -> None:
    """Return when `condition` is true. Raises RuntimeError."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {within:g} s: {what}")
        time.sleep(0.002)


class Chain:
    """Processes that bring lines here: to be entered; at the end none is left."""

    def __init__(self, trem: Tremplin, folder: Path, name: str, spool: Path) -> None:
        """`spool` is the backlog there."""
        self.trem = trem
        self.folder = folder
        self.name = name
        self.file = folder / "file.log"
        self.spool = spool
        self._others: set[int] = set()
        self._children: list[subprocess.Popen[bytes]] = []
        self._block = ["-b", "65536"] if name != PLAIN else []
        self._queue = f",backlog={BACKLOG}" if name != PLAIN else ""

    def __enter__(self) -> Chain:
        """Return itself."""
        self._others = {process.pid for process in self.trem.processes()}
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all of it: what was started here, and what ssh started there and leaves."""
        there = {process.pid for process in self.trem.processes()} - self._others
        for pid in [*there, *measure.tree([child.pid for child in self._children])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child in self._children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are all that works here, and sshd."""
        return [self.trem.process.pid, *(child.pid for child in self._children)]

    def ready_for_backlog(self) -> Callable[[], None]:
        """Have all stand but the last step; return that, which begins the transfer of `spool`."""
        if self.name == CAT:
            ssh = self._ssh(f"read go && exec cat {shlex.quote(str(self.spool))}")
            assert ssh.stdin is not None
            pipe = ssh.stdin

            def go() -> None:
                pipe.write(b"go\n")
                pipe.flush()

            wait(lambda: b"ready" in (self.folder / "said").read_bytes(), "ssh")
            return go
        out, local = free_port(), free_port()
        self._far_end(f"OPEN:{self.spool},rdonly", out)
        self._forward(local, out)
        return lambda: self._near_end(local)

    def ready_for_senders(self) -> int:
        """Have all stand; return the port for senders."""
        port = free_port()
        listen = f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork{self._queue}"
        if self.name == CAT:
            self._ssh(shlex.join(["socat", "-u", *self._block, listen, "-"]))
        else:
            out, local = free_port(), free_port()
            fifo = self.folder / "fifo"
            os.mkfifo(fifo)
            # Opened for both ways, it does not end with one sender, nor wait for the first.
            self._far_end(f"OPEN:{fifo},rdonly=0,rdwr", out)
            self._start(["socat", "-u", *self._block, listen, f"OPEN:{fifo},append"])
            self._forward(local, out)
            self._near_end(local)
        wait(lambda: listens(port), f"{self.name} listens")
        return port

    def _far_end(self, source: str, port: int) -> None:
        listen = f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr"
        self._start(["socat", "-u", *self._block, source, listen])
        wait(lambda: listens(port), "the far socat listens")

    def _near_end(self, port: int) -> None:
        self._start(["socat", "-u", *self._block, f"TCP4:127.0.0.1:{port}", f"OPEN:{self.file},creat,append"])

    def _forward(self, local: int, out: int) -> None:
        options = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{local}:127.0.0.1:{out}"]
        self._start(["ssh", "-F", str(self.trem.config), "-o", "BatchMode=yes", *options, ALIAS])
        wait(lambda: listens(local), "the tunnel")

    def _ssh(self, command: str) -> subprocess.Popen[bytes]:
        """Run a command there, its output into the file here; it says `ready` when it begins."""
        words = ["ssh", "-T", "-F", str(self.trem.config), "-o", "BatchMode=yes", ALIAS]
        return self._start([*words, f"echo ready >&2; {command}"], into=self.file)

    def _start(self, command: Sequence[str], into: Path | None = None) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            said = stack.enter_context(open(self.folder / "said", "ab"))
            out = stack.enter_context(open(into, "ab")) if into else said
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=said)
        self._children.append(child)
        return child
