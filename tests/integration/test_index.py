"""Promise 17: for each line who said it and when, as the senders themselves noted; or that it is unknown."""

from __future__ import annotations

import dataclasses
import random
import signal
import socket
import time
from functools import partial

import pytest
from bench import Home, Running, wait_until
from swarm import Crowd

from reclog.engine.stores.index.reader import IndexReader

#: Milliseconds: what a line may be late on a busy machine, and what half of them are not.
LATEST, USUAL = 2000, 60


@dataclasses.dataclass
class Known:
    """What the index says of one line."""

    sender: str | None
    ms: int | None
    #: What the sender noted: its address, and when it began to say the line.
    address: str
    noted: float


def say(port: int, address: str, lines: int, dice: random.Random) -> None:
    """Say lines on one connection, some of them in two pieces, each with its address and time."""
    with socket.create_connection(("127.0.0.1", port), source_address=(address, 0)) as sock:
        for _ in range(lines):
            text = f"{address} {time.time() * 1000:.3f} {'x' * dice.randrange(80)}"
            if dice.random() < 0.1:
                sock.sendall(text[:30].encode())
                time.sleep(0.02)
                text = text[30:]
            sock.sendall(text.encode() + b"\n")
            time.sleep(dice.random() * 0.01)


def say_each(port: int, address: str, lines: int, dice: random.Random) -> None:
    """Say each line on a connection of its own."""
    for _ in range(lines):
        say(port, address, 1, dice)


def datagrams(port: int, address: str, lines: int, dice: random.Random) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        for _ in range(lines):
            text = f"{address} {time.time() * 1000:.3f} {'x' * dice.randrange(80)}"
            sock.sendto(text.encode(), ("127.0.0.1", port))
            time.sleep(dice.random() * 0.01)


def crowd(port: int, lines: int) -> Crowd:
    """Have twenty senders talk at the same time."""
    ways = (*[say] * 12, *[say_each] * 3, *[datagrams] * 5)
    return Crowd(
        [
            partial(way, port, f"127.0.1.{number}", lines, random.Random(number))
            for number, way in enumerate(ways, 1)
        ]
    )


def known(recording: Running) -> list[Known]:
    """Return what is known of each line that is whole."""
    text = recording.read()
    runs = list(IndexReader(str(recording.folder), str(recording.file)).runs(0, len(text)))
    found, at, number = [], 0, 0
    for line in text.splitlines(keepends=True):
        while runs[number].end <= at:
            number += 1
        words = line.decode().split()
        if len(words) > 1 and line.endswith(b"\n"):
            found.append(Known(runs[number].sender, runs[number].ms, words[0], float(words[1])))
        at += len(line)
    return found


def see_that_nothing_is_wrong(lines: list[Known]) -> None:
    late = []
    for line in lines:
        assert line.sender in (None, line.address), line
        if line.ms is not None:
            late.append(line.ms + 1 - line.noted)
    assert min(late) >= 0, "before it was said"
    assert max(late) < LATEST
    assert sorted(late)[len(late) // 2] < USUAL


def test_who_said_what_when(home: Home, listener: str) -> None:
    recording = home.local("--listener", listener)
    crowd(recording.port, 40).join()
    wait_until(lambda: recording.read().count(b"\n") == 20 * 40)
    wait_until(lambda: all(line.ms for line in known(recording)), what="all times")
    lines = known(recording)
    see_that_nothing_is_wrong(lines)
    senders = sum(line.sender is not None for line in lines)
    # A fork of socat that ends with its line may be too short to be asked.
    assert senders == len(lines) if listener == "builtin" else senders >= 17 * 40
    assert recording.kill().returncode == 0
    assert known(recording) == lines


def test_a_kill_leaves_unknown_what_was_said_just_before(home: Home) -> None:
    recording = home.local("--listener", "builtin")
    first = crowd(recording.port, 30)
    wait_until(lambda: recording.read().count(b"\n") > 200)
    recording.daemon.send_signal(signal.SIGKILL)
    killed = time.time() * 1000
    with pytest.raises((OSError, AssertionError)):
        first.join(20)
    wait_until(lambda: not first.busy)
    before = len(known(recording))
    home.inv(*recording.words, "--listener", "builtin")
    crowd(recording.port, 10).join()
    wait_until(lambda: all(line.ms for line in known(recording)[before:]), what="all times of the second run")
    lines = known(recording)
    see_that_nothing_is_wrong([line for line in lines if line.ms])
    assert len(lines) - before >= 15 * 10
    unknown = [line.noted for line in lines if line.ms is None or line.sender is None]
    assert all(killed - 1000 < noted <= killed + 1 for noted in unknown)


def test_a_dialled_device_is_known_by_what_was_typed(home: Home) -> None:
    address = "exec:sh -c 'echo said; sleep 60'"
    file = home.path / "file.log"
    assert home.inv("local", "--from", address, "--file", str(file)).returncode == 0
    folder = wait_until(lambda: next(iter(home.recordings.glob("*")), None))
    reader = IndexReader(str(folder), str(file))
    wait_until(lambda: [run.sender for run in reader.runs(0, 5)] == ["exec:sh_-c_'echo_said;_sleep_60'"])
