"""Promise 2: a burst is recorded whole, and a limit that would prevent it is said."""

from __future__ import annotations

import contextlib
import os
import resource
import threading

import pytest
from bench import BIN, Home, Running, wait_until
from swarm import in_threads, is_turned_away, listening_socat, stays

SENDERS, THREADS = 2000, 200


@pytest.fixture(autouse=True)
def many_files() -> None:
    """Let the test hold as many connections as it wants to open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def burst(recording: Running) -> None:
    """Connect all senders, and only when all are connected let each write its line and close."""
    all_connected = threading.Barrier(THREADS, timeout=60)

    def some(first: int) -> None:
        numbers = range(first, SENDERS, THREADS)
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(recording.connect()) for _ in numbers]
            all_connected.wait()
            for number, sock in zip(numbers, socks):
                sock.sendall(b"line %d of the burst\n" % number)
                sock.close()

    in_threads([lambda first=first: some(first) for first in range(THREADS)])  # type: ignore[misc]


def burst_lines() -> list[bytes]:
    return sorted(b"line %d of the burst" % number for number in range(SENDERS))


def test_2000_senders_at_once_are_2000_lines(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    burst(recording)
    wait_until(lambda: recording.read().count(b"\n") >= SENDERS, 20)
    assert sorted(recording.read().splitlines()) == burst_lines()
    assert recording.kill().returncode == 0
    assert sorted(recording.read().splitlines()) == burst_lines()


def test_a_limit_of_open_files_is_said_and_loses_nothing(home: Home, listener: str) -> None:
    recording = home.to_be()
    command = [str(BIN / "inv"), *recording.words, "--listener", listener]
    done = home.run("sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *command)
    assert done.returncode == 0, done.stderr
    assert "At most 236 senders are served at once, the limit of open files" in done.stderr
    assert "ulimit -n 4000" in done.stderr

    def some(first: int) -> None:
        for number in range(first, SENDERS, THREADS):
            recording.send(b"line %d of the burst\n" % number)

    in_threads([lambda first=first: some(first) for first in range(THREADS)])  # type: ignore[misc]
    wait_until(lambda: recording.read().count(b"\n") >= SENDERS, 20)
    assert sorted(recording.read().splitlines()) == burst_lines()


def test_no_limit_no_note(home: Home, listener: str) -> None:
    done = home.inv(*home.to_be().words, "--listener", listener)
    assert done.returncode == 0
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard >= SENDERS + 100:
        assert "limit of open files" not in done.stderr


def test_one_too_many_waits_and_is_recorded_later(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener, "--max-senders", "5")
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(recording.connect()) for _ in range(5)]
        for number, sock in enumerate(first):
            sock.sendall(b"%d\n" % number)
        wait_until(lambda: recording.read().count(b"\n") == 5)
        sixth = stack.enter_context(recording.connect())
        sixth.sendall(b"sixth\n")
        full = wait_until(lambda: recording.events("listener full"))
        assert full[0]["senders"] == 5
        stays(lambda: b"sixth" not in recording.read(), 0.5)
        wait_until(lambda: recording.status()["listener_full"])
        assert "recording, full since 20" in home.inv("status").stdout
        probe = home.inv("test-connection", "--port", str(recording.port), "--timeout", "0.2")
        assert "all places for senders are taken since 20" in probe.stderr
        first[0].close()
        wait_until(lambda: recording.read().endswith(b"\nsixth\n"))
        first[1].sendall(b"goes on\n")
        wait_until(lambda: recording.read().endswith(b"\ngoes on\n"))
    assert wait_until(lambda: recording.events("listener has room again"))


def test_one_address_does_not_take_every_place(home: Home) -> None:
    recording = home.local("--listener", "auto", "--max-per-address", "3")
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(recording.connect()) for _ in range(3)]
        for number, sock in enumerate(first):
            sock.sendall(b"%d\n" % number)
        wait_until(lambda: recording.read().count(b"\n") == 3)
        assert is_turned_away(recording.connect)
        refused = wait_until(lambda: recording.events("refused"))
        assert refused[0]["sender"].startswith("127.0.0.1:")
        assert "3 connections" in refused[0]["why"]
        first[0].close()
        wait_until(lambda: recording.status()["senders"] == 2)
        recording.send(b"again\n")
        wait_until(lambda: recording.read().endswith(b"again\n"))
        first[2].sendall(b"still here\n")
        wait_until(lambda: recording.read().endswith(b"still here\n"))
    assert b"intruder" not in recording.read()


def test_a_fork_is_made_as_cheap_as_it_can_be(home: Home) -> None:
    recording = home.local("--listener", "socat")
    socat = wait_until(lambda: listening_socat(recording))
    assert os.sched_getscheduler(socat.pid) == os.SCHED_BATCH
    assert socat.environ()["LD_BIND_NOW"] == "1"


@pytest.mark.parametrize("listener", ["socat", "builtin"])
def test_the_silent_make_room(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener, "--max-senders", "3")
    with contextlib.ExitStack() as silent:
        for _ in range(3):
            sock = silent.enter_context(recording.connect())
            sock.sendall(b"half")
        with recording.connect() as honest:
            honest.sendall(b"honest\n")
            wait_until(lambda: b"honest\n" in recording.read(), 20)
        wait_until(lambda: recording.events("made room"))
    wait_until(lambda: recording.read().count(b"half") == 3)
