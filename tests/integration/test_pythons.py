"""The engine under every Python that it promises to run on: its unit tests, and a recording."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from bench import HISTORY, ROOT, Home, free_port, wait_until

from reclog.engine.records.jsonfile import write_json
from reclog.engine.records.names import MARK
from reclog.engine.stores.pieces import PIECES
from reclog.engine.system.detach import detached
from reclog.recordings.launch import daemon_command
from reclog.recordings.settings import resolve_local

VERSIONS = [f"3.{minor}" for minor in range(8, 14)]
#: Where the tests' own tools are kept for each Python, from one run to the next.
TOOLS = ROOT / ".venv-pythons"


def version_of(python: str) -> str:
    """Return the version that `python` says it is; empty if it does not start (a pyenv shim may not)."""
    words = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", words], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def pythons() -> dict[str, str]:
    """Return an interpreter for each version that this machine has one of."""
    found: dict[str, str] = {}
    folder = Path(os.path.expanduser("~/.pyenv/versions"))
    for python in sorted(folder.glob("*/bin/python")):
        found.setdefault(version_of(str(python)), str(python))
    for version in VERSIONS:
        python_on_path = shutil.which(f"python{version}")
        if version not in found and python_on_path and version_of(python_on_path) == version:
            found[version] = python_on_path
    return {version: found[version] for version in VERSIONS if version in found}


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    """Run a test under every Python that is here."""
    if request.param not in pythons():
        pytest.skip(f"no Python {request.param} here")
    return pythons()[request.param]


def test_there_is_a_python() -> None:
    assert pythons()


@pytest.mark.parametrize(
    ("python", "listener"),
    [*((one, "builtin") for one in VERSIONS), (VERSIONS[0], "socat"), (VERSIONS[-1], "socat")],
    indirect=["python"],
)
def test_a_recording_under(home: Home, python: str, listener: str) -> None:
    port = free_port()
    home.ports.append(port)
    file = home.path / "x.log"
    words = {"port": port, "file": str(file), "listener": listener, "partial_after": 0.2}
    config = {**dataclasses.asdict(resolve_local(words, {})), "kind": "local", "host": None, "token": ""}
    folder = home.recordings / f"local-{port}"
    folder.mkdir(parents=True)
    write_json(str(folder / "config.json"), {**config, "name": folder.name})
    command = [python, "-X", "dev", "-W", "ignore::ResourceWarning", *daemon_command("recorder", folder)[1:]]
    output = home.path / "said"
    daemon, ready = detached(command, str(folder), {**home.env, MARK: str(folder)}, str(output))
    try:
        assert ready.get("ready"), ready
        assert ready["listener"] == listener
        lines = [b"sender %d line %d\r\n" % (sender, line) for sender in range(20) for line in range(50)]
        senders = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
        for number, sender in enumerate(senders):
            for line in lines[number * 50 : number * 50 + 50]:
                sender.sendall(line[:7])
                sender.sendall(line[7:])
        senders[0].sendall(b"half a line")
        wait_until(lambda: file.read_bytes().endswith(b"half a line"))
        senders[0].sendall(b", its end\n")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=20) == 0, output.read_text()
        for sender in senders:
            sender.close()
    finally:
        daemon.kill()
        daemon.wait()
    assert sorted(file.read_bytes().splitlines(keepends=True)) == sorted([*lines, b"half a line, its end\n"])
    assert {path.name for path in folder.iterdir()} == HISTORY - {PIECES}
    assert output.read_text() == ""


@functools.cache
def tools() -> Path:
    """Return a folder with pytest and hypothesis for every Python here; made once and kept.

    They are pure Python, so what the oldest one gets runs under all.
    """
    oldest = next(iter(pythons().values()))
    folder = TOOLS / version_of(oldest)
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:  # another worker may be at it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv = folder / "venv"
            subprocess.run([oldest, "-m", "venv", str(venv)], check=True, capture_output=True, timeout=60)
            pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--target", str(folder)]
            for left in (2, 1, 0):  # a network may stumble
                done = subprocess.run([*pip, "pytest", "hypothesis"], check=not left, timeout=100)
                if done.returncode == 0:
                    break
            (folder / "complete").touch()
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("python", VERSIONS[:1], indirect=True)
def test_the_unit_tests_under(python: str, tmp_path: Path) -> None:
    """Of the oldest, which has least; the others record."""
    words = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestConfigWarning"]
    with tempfile.TemporaryDirectory() as basetemp:  # not below ours: a socket's name is short (unix(7))
        done = subprocess.run(
            [
                *(python, "-m", "pytest", *words),
                *("--basetemp", basetemp, str(ROOT / "tests" / "unit" / "engine")),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": f"{tools()}:{ROOT}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path),
                "RECLOG_FUZZ_EXAMPLES": "3",  # a Python that differs does so in each
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
