"""Devices that are dialled, real ones: a serial line, a telnet daemon, a program; and what a person sees."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench import Home, free_port, wait_until
from swarm import runs

TELNETD = ["busybox", "telnetd", "-F", "-f", "/dev/null", "-b", "127.0.0.1", "-p"]


class Dialling:
    """A recording that dials, and has no port."""

    def __init__(self, home: Home, *words: str) -> None:
        self.home = home
        self.file = home.path / "dialled.log"
        self.words = ["local", "--file", str(self.file), *words]
        done = home.inv(*self.words)
        assert done.returncode == 0, done.stderr
        self.said, self.notes = done.stdout, done.stderr

    @property
    def status(self) -> dict[str, Any]:
        (only,) = self.home.status()
        return only

    @property
    def device(self) -> dict[str, Any]:
        (only,) = self.status["dialled"]
        return dict(only)

    def until_connected(self, connected: bool = True) -> None:
        wait_until(lambda: self.device["connected"] is connected, 10, f"it is connected: {connected}")

    def until_recorded(self, text: bytes, within: float = 10) -> None:
        try:
            wait_until(lambda: self.file.read_bytes() == text, within, "it is recorded")
        except pytest.fail.Exception:
            assert self.file.read_bytes() == text
            raise

    def until_ends_with(self, text: bytes) -> None:
        wait_until(lambda: self.file.read_bytes().endswith(text), 10, f"the file ends with {text!r}")

    def events(self, *names: str) -> list[tuple[str, str]]:
        """Return the events of these names among the holes, with why."""
        lines = Path(self.status["holes"]).read_text().splitlines()
        found = map(json.loads, lines)
        return [(one["event"], one.get("why", "")) for one in found if one["event"] in names]

    def children(self) -> list[psutil.Process]:
        """Return its processes but the recorder; who has just ended is none."""
        found = []
        for process in self.home.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "recorder" not in process.cmdline():
                    found.append(process)
        return found

    def kill(self) -> None:
        done = self.home.inv("kill", "--file", str(self.file))
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that is no child of a recorder."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def serial_line(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a serial line: what goes in at the standard input comes out there."""
    with running("socat", "-u", "STDIN", f"PTY,link={path},raw,echo=0") as process:
        wait_until(path.exists, what="there is a line")
        yield process


def say(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def test_a_serial_line_that_comes_goes_and_comes_back(home: Home, tmp_path: Path) -> None:
    line = tmp_path / "ttyUSB0"
    run = Dialling(home, "--from", f"{line}@9600", "--name", f"{line}@9600=board", "--stamp")
    assert f"{line}@9600 is not connected (it is not there: is it plugged in?)" in run.notes
    assert (run.device["connected"], run.device["name"], run.status["port"]) == (False, "board", 0)
    every_byte = bytes(set(range(256)) - {10}) + b"\n"
    for text in (every_byte, b"back\r\n"):
        with serial_line(line) as board:
            run.until_connected()
            say(board, text)
            run.until_ends_with(b"Z board " + text)
        run.until_connected(False)
    assert [event for event, _ in run.events("device reached", "device lost", "device not reached")] == [
        "device not reached",
        "device reached",
        "device lost",
        "device reached",
    ]
    run.kill()
    assert run.file.read_bytes().count(b"\n") == 2


def test_a_telnet_daemon_is_recorded_without_its_commands(home: Home, tmp_path: Path) -> None:
    port = free_port()
    program = tmp_path / "device"
    program.write_text(
        "#!/bin/sh\nprintf 'caf\\351 \\377\\n'\ntrap 'exit 0' HUP\nwhile :; do sleep 0.1; done\n"
    )
    program.chmod(0o700)
    recorded = b"\r\r\ncaf\xe9 \xff\r\n"  # it begins with an empty line, where a banner would be
    run = Dialling(home, "--from", f"tcp://localhost:{port}")
    assert "is not connected (Connection refused)" in run.notes
    for number in (1, 2):
        with running(*TELNETD, str(port), "-l", str(program)) as telnetd:
            run.until_recorded(recorded * number)
            for child in psutil.Process(telnetd.pid).children():
                child.kill()
        run.until_connected(False)
    assert run.status["reconnects"] == 1
    run.kill()


def test_a_program_and_what_it_says_where_it_was_asked_for(home: Home) -> None:
    # `inv` runs in the checkout: a relative name is one of that folder.
    said = b"#!/bin/sh\nto stderr\n"
    run = Dialling(
        home, "--from", "exec:sh -c 'head -n 1 bootstrap.sh; echo \"to stderr\" >&2; exec sleep 1000'"
    )
    run.until_recorded(said)
    (program,) = run.children()
    assert (program.name(), os.getsid(program.pid)) == ("sleep", program.pid)
    program.kill()
    run.until_recorded(said * 2)
    assert ("device lost", "it was ended by SIGKILL") in run.events("device lost")
    run.kill()


def test_a_killed_recorder_takes_its_programs_along(home: Home) -> None:
    address = f"socat:UDP-RECV:{free_port()},bind=127.0.0.1"
    run = Dialling(home, "--from", "exec:sh -c 'sleep 1000; exit'", "--from", address)
    wait_until(lambda: len(run.children()) == 3, what="a shell, what it runs, and socat")
    (recorder,) = [process for process in home.processes() if "recorder" in process.cmdline()]
    recorder.kill()
    wait_until(lambda: len(run.children()) == 1, 5, "the programs end with it")
    (orphan,) = run.children()
    assert home.inv(*run.words).returncode == 0
    assert not runs(orphan)
    wait_until(lambda: len(run.children()) == 3, what="all run again")
    run.kill()
    assert not home.processes()


def test_what_socat_knows_beside_a_port_with_another_listener(home: Home) -> None:
    port, udp = free_port(), free_port()
    address = f"socat:UDP-RECV:{udp},bind=127.0.0.1"
    run = Dialling(home, "--from", address, "--port", str(port), "--listener", "socat", "--bind", "127.0.0.1")
    assert f"127.0.0.1:{port} (socat), {address} -> {run.file}" in run.said
    assert f"devices write to 127.0.0.1:{port} (" in run.said
    run.until_connected()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"a datagram\n", ("127.0.0.1", udp))
    run.until_recorded(b"a datagram\n")
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"a line\n")
    run.until_recorded(b"a datagram\na line\n")
    (socat,) = [one for one in run.children() if "UDP-RECV" in " ".join(one.cmdline())]
    os.kill(socat.pid, signal.SIGKILL)
    wait_until(
        lambda: run.device["why"] != "", what="its end is seen, though the listener reaps children, too"
    )
    run.until_connected()
    run.kill()
    assert not home.processes()


def test_the_same_again_shows_it_and_changes_what_can_change(home: Home) -> None:
    command = "exec:sh -c 'while :; do echo tick; sleep 0.1; done'"
    run = Dialling(home, "--from", command, "--stamp")
    stamp = "exec:sh_-c_'while_:;_do_echo_tick;_sleep_0.1;_done'"
    wait_until(lambda: f" {stamp} tick".encode() in run.file.read_bytes(), what="it ticks")
    done = home.inv(*run.words, "--name", f"{command}=clock")
    assert done.returncode == 0, done.stderr
    assert "Changed: --name" in done.stdout
    wait_until(lambda: b"Z clock tick\n" in run.file.read_bytes(), what="it has its name, connected as it is")
    assert home.inv(*run.words, "--no-name").returncode == 0
    assert run.device["name"] == stamp
    other = home.inv(*run.words, "--from", "tcp://127.0.0.1:1")
    assert other.returncode == 1
    assert f"runs with --from {shlex.quote(command)}, and that does not change" in other.stderr
    proved = home.inv("test-connection")
    assert proved.returncode == 0, proved.stderr
    assert "connected since" in proved.stdout
    table = home.inv("status").stdout
    assert f"{run.status['name']}  recording" in table
    os.kill(run.children()[0].pid, signal.SIGSTOP)
    run.kill()
    assert not home.processes()


def test_what_is_not_connected_is_no_success_of_a_test(home: Home) -> None:
    run = Dialling(home, "--from", "tcp://127.0.0.1:1")
    done = home.inv("test-connection", "--file", str(run.file))
    assert done.returncode == 1
    assert "tcp://127.0.0.1:1 is not connected since" in done.stderr
    assert "not connected since" in home.inv("status").stdout
    run.kill()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from", "udp://a:1"], "give tcp://HOST:PORT, /dev/LINE@BAUD, exec:COMMAND or socat:ADDRESS."),
        (["--from", "tcp://a:1", "--from", "tcp://A:1"], "are one device: give it once."),
        (["--from", "exec:true", "--raw"], "leave --from out, or leave --raw out."),
        (["--name", "192.168.1.7=a b"], "a name is printable, without a space"),
        (["--name", "kitchen=192.168.1.7"], "names nobody"),
        (["--name", "10.0.0.1=a", "--name", "10.0.0.1=b"], "--name gives 10.0.0.1 two names"),
        (["--name", "10.0.0.1=a", "--listener", "socat"], "--name needs the sender's address"),
    ],
)
def test_wrong_words(home: Home, words: list[str], sentence: str) -> None:
    done = home.inv("local", "--file", str(home.path / "f.log"), *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sentence in done.stderr
    assert not home.status()


def test_a_name_stands_for_an_address(home: Home) -> None:
    run = home.local("--stamp", "--name", "127.0.0.1=kitchen")
    assert run.status()["listener"] == "builtin"
    run.send(b"one\n")
    wait_until(lambda: run.read().endswith(b"one\n"), what="it is recorded")
    assert b"Z kitchen:" in run.read()
    wait_until(lambda: run.events("connect"), what="the event")
    assert run.events("connect")[0]["sender"].startswith("kitchen:")
    assert home.inv("local", "--port", str(run.port), "--name", "any").returncode == 0
    run.send(b"two\n")
    wait_until(lambda: run.read().endswith(b"two\n"), what="it is recorded")
    assert b"Z 127.0.0.1:" in run.read()
    run.kill()
