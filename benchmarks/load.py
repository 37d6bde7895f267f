"""The load: load.c, compiled once, and what its commands say."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.debs import Missing

SOURCE = Path(__file__).with_name("load.c")
LINE = 100
"""Bytes of a line, as in load.c."""

END_WITHIN = 120.0
"""Seconds after which a command that does not end is taken for stuck."""


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a generator did; times in seconds of CLOCK_MONOTONIC."""

    began: float
    ended: float
    sent: int
    tried: int = 0
    failed: int = 0


@dataclasses.dataclass(frozen=True)
class Ages:
    """How old lines were when they could be read in the file."""

    lines: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclasses.dataclass(frozen=True)
class Checked:
    """What is in a file: lines that were sent, once, and what else."""

    whole: int
    doubled: int
    torn: int
    disordered: int


class Load:
    """The compiled program."""

    def __init__(self, cache: Path) -> None:
        """Compile it into `cache`, unless that has this very source already. Raises Missing."""
        name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
        self.program = cache / f"load-{name}"
        if not self.program.exists():
            self._compile()

    def _compile(self) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise Missing("The load generator needs a C compiler: run `sh bootstrap.sh bench`.")
        self.program.parent.mkdir(parents=True, exist_ok=True)
        growing = self.program.with_suffix(".new")
        command = [compiler, "-O2", "-pthread", "-o", str(growing), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"The load generator does not compile: {done.stderr.strip()}")
        growing.rename(self.program)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start a command; its standard input and output are pipes."""
        command = [str(self.program), *map(str, words)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *words: object) -> dict[str, Any]:
        """Run a command to its end."""
        return answer(self.start(*words))

    def check(self, file: Path, senders: int, lines: int, skip: int = 0) -> Checked:
        """Compare what follows the first `skip` bytes of `file` with what `senders` sent, `lines` each."""
        return Checked(**self.run("check", file, senders, lines, skip))

    @contextlib.contextmanager
    def sink(self, port: int) -> Iterator[None]:
        """Have a sink that throws all away listen on `port`."""
        process = self.start("sink", port)
        try:
            wait_ready(process)
            yield
        finally:
            process.kill()
            process.communicate()


def wait_ready(process: subprocess.Popen[str]) -> None:
    """Return when a command says that it is ready. Raises RuntimeError."""
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the load generator ended with status {process.wait()}")


def tell(process: subprocess.Popen[str]) -> None:
    """Let a command that waits for a word go on."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next object that a command says. Raises RuntimeError."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the load generator ended with status {process.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found


def answer(process: subprocess.Popen[str], within: float = END_WITHIN) -> dict[str, Any]:
    """Return the object that a command ends with. Raises RuntimeError."""
    try:
        said, _ = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError("the load generator does not end") from None
    if process.returncode != 0:
        raise RuntimeError(f"the load generator ended with status {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    return found
