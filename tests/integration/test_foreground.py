"""`--foreground`, and what a terminal sees of a recording."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from bench import BIN, Home, Running, wait_until
from terminal import HOSTILE, SHOWN, terminal

from reclog.console import size

INV = str(BIN / "inv")


def recording(home: Home) -> bool:
    return any(one["state"] == "recording" for one in home.status())


@contextlib.contextmanager
def foreground(home: Home, *words: str) -> Iterator[tuple[Running, subprocess.Popen[str]]]:
    """Run `inv local --foreground` without a terminal, its output in a pipe."""
    running = home.to_be()
    process = home.start("inv", *running.words, "--foreground", *words)
    try:
        wait_until(lambda: process.poll() is not None or recording(home), what="the recording")
        yield running, process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


BURST = b"".join(b"line %d\n" % number for number in range(20_000))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_to_the_foreground_drains_and_stops(
    home: Home, listener: str, number: signal.Signals
) -> None:
    with foreground(home, "--listener", listener) as (running, process):
        assert process.stdout is not None
        running.send(b"first\n")
        assert process.stdout.readline() == "first\n"  # as it comes
        running.send(BURST)
        process.send_signal(number)
        out, errors = process.communicate(timeout=15)
        assert process.returncode == 0, errors
        said = errors.splitlines()
        assert said[0].startswith(f"local-{running.port}: 0.0.0.0:{running.port}")
        assert said[1].startswith("devices write to ")
        assert said[2:] == [f"Stopped: 20001 lines, {size(len(BURST) + 6)} recorded."]
        assert out.encode() == BURST
    assert running.read() == b"first\n" + BURST
    assert home.processes() == []
    assert home.status() == []


def test_the_recorder_ends_with_a_foreground_that_is_killed(home: Home, listener: str) -> None:
    with foreground(home, "--listener", listener) as (running, process):
        running.send(BURST)
        process.kill()
        wait_until(lambda: home.processes() == [], within=5, what="the recorder has ended by itself")
    assert running.read() == BURST
    assert home.status() == []
    assert running.events("stopped")[0]["lines"] == 20_000


def test_a_recorder_that_dies_ends_its_foreground(home: Home) -> None:
    with foreground(home) as (running, process):
        running.daemon.kill()
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 1
        assert errors.splitlines()[-1].startswith("The recorder ended by itself")


def test_inv_kill_ends_a_foreground(home: Home) -> None:
    with foreground(home) as (running, process):
        running.send(b"x\n")
        assert "1 line recorded" in running.kill().stdout
        process.communicate(timeout=10)
        assert process.returncode == 0


def test_live_counters_on_a_terminal_and_ctrl_c(home: Home, listener: str) -> None:
    running = home.to_be()
    with terminal(home, INV, *running.words, "--foreground", "--listener", listener) as window:
        window.see(b"recording, 0 lines, 0 B, 0 senders")
        with running.connect() as sock:
            sock.sendall(b"one\ntwo\n")
            window.see(b"recording, 2 lines, 8 B, 1 sender")
            window.see(b"two")
            sock.sendall(b"three\n")
            window.type(b"\x03")
            assert window.ended() == 0
        assert b"Stopped: 3 lines, 14 B recorded." in window.shown
        assert b"Traceback" not in window.shown
    assert running.read() == b"one\ntwo\nthree\n"
    assert home.status() == []


def test_a_closed_window_stops_a_foreground(home: Home) -> None:
    running = home.to_be()
    with terminal(home, INV, *running.words, "--foreground") as window:
        window.see(b"0 senders")
        running.send(BURST)
    wait_until(lambda: home.processes() == [])
    assert running.read() == BURST
    assert home.status() == []


def test_a_recorder_in_the_background_outlives_its_terminal(home: Home, listener: str) -> None:
    running = home.to_be()
    with terminal(home, "sh") as window:
        window.type(shlex.join([INV, *running.words, "--listener", listener]).encode() + b"\n")
        window.see(b"Follow: tail -f")
    before = {process.pid for process in running.family()}
    running.send(b"still here\n")
    wait_until(lambda: running.read() == b"still here\n")
    assert {running.daemon.pid} <= before
    assert running.status()["state"] == "recording"
    assert running.daemon.terminal() is None


def test_lines_on_a_terminal_have_senders_and_colours_and_are_not_obeyed(home: Home) -> None:
    running = home.to_be()
    with terminal(home, INV, *running.words, "--foreground", "--listener", "builtin") as window:
        window.see(b"0 senders")
        running.send(HOSTILE + b"\n")
        red = SHOWN.removeprefix(r"\x1b[31m").encode()
        window.see(b"\x1b[31m" + red + b"\x1b[0m\r\n")
        with socket.create_connection(("127.0.0.1", running.port), 10, ("127.0.0.2", 0)) as other:
            other.sendall(b"hello\n")
        window.see(b"hello\r\n")
        running.send(b"two\n")  # now there are two for certain: of the very first line nothing may be known
        window.see(b"127.0.0.1 \x1b[0mtwo\r\n")
        window.type(b"\x03")
        assert window.ended() == 0
    acts = set(re.findall(rb"\x1b[^A-Za-z]*.", window.shown))
    assert acts <= {b"\x1b[31m", b"\x1b[32m", b"\x1b[33m", b"\x1b[0m", b"\x1b[7m", b"\x1b[m", b"\x1b[K"}
    assert not set(window.shown.decode()) & set("\u202e\x07\x9b")


def test_a_reader_that_has_seen_enough_stops_the_recording(home: Home) -> None:
    with foreground(home) as (running, process):
        assert process.stdout is not None
        running.send(b"one\n")
        assert process.stdout.readline() == "one\n"
        process.stdout.close()
        running.send(b"two\n")
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, "Traceback" in errors) == (0, False)
        assert errors.endswith("Stopped: 2 lines, 8 B recorded.\n")
    assert running.read() == b"one\ntwo\n"
    assert home.processes() == []
