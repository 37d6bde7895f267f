"""Promises 4, 9 and 11: the file's disk fills, the file is changed by others, the file is asked for twice."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from bench import Home, Running, wait_until
from small_disk import SmallDisk
from swarm import Crowd, memory, stays, unacknowledged

MIB = 1024 * 1024


@pytest.fixture
def disk(home: Home) -> Iterator[SmallDisk]:
    with contextlib.closing(SmallDisk(home.path / "disk", "2m")) as disk:
        yield disk
        home.kill_all()


class Bulk:
    """A sender of numbered lines that counts what TCP takes from it."""

    def __init__(self, recording: Running, name: bytes, size: int) -> None:
        filler = b"." * 80
        count = size // 100
        self.lines = [b"%s %09d %s" % (name, number, filler) for number in range(count)]
        self.name = name
        self.taken = 0
        self._recording = recording
        self._sock = socket.socket()

    def send(self) -> None:
        text = b"\n".join(self.lines) + b"\n"
        with self._recording.connect() as sock:
            self._sock = sock
            sock.settimeout(60)
            while self.taken < len(text):
                self.taken += sock.send(text[self.taken : self.taken + 16_000])

    def acknowledged(self) -> int:
        """Return the bytes that the recorder's kernel has taken."""
        return self.taken - unacknowledged(self._sock)

    def is_recorded(self, recorded: list[bytes]) -> bool:
        """Tell whether its lines are there: each once, whole, in order."""
        return [line for line in recorded if line.startswith(self.name)] == self.lines


@pytest.mark.root
def test_a_full_disk_pauses_and_loses_nothing(home: Home, listener: str, disk: SmallDisk) -> None:
    ballast = disk.path / "ballast"
    ballast.write_bytes(b"x" * MIB)
    recording = home.local("--listener", listener, file=disk.path / "file.log")
    daemon = recording.daemon
    senders = [
        Bulk(recording, b"bulk", 40 * MIB),
        Bulk(recording, b"some", MIB),
        Bulk(recording, b"few", 9000),
    ]
    crowd = Crowd([sender.send for sender in senders])

    def is_paused() -> bool:
        status = recording.status()
        return bool(status["state"] == "paused" and status["paused_for"] == "No space left on device")

    wait_until(is_paused)
    bulk = senders[0]
    wait_until(lambda: held_back(bulk), 20, "the sender is held back")
    full, before = recording.read(), memory([daemon])
    stays(lambda: recording.read() == full and memory([daemon]) - before < MIB, 1)
    assert crowd.busy
    assert before < 64 * MIB
    # It goes on by itself, and stops again at the next wall.
    ballast.unlink()
    wait_until(lambda: len(recording.read()) > len(full) + MIB // 2)
    wait_until(is_paused)
    wait_until(lambda: held_back(bulk), 20, "the sender is held back")
    assert memory([daemon]) < before + 4 * MIB
    disk.grow("100m")
    crowd.join(30)
    total = sum(len(sender.lines) for sender in senders)
    wait_until(lambda: recording.read().count(b"\n") >= total)
    assert recording.status()["state"] == "recording"
    recorded = recording.read().splitlines()
    assert len(recorded) == total
    assert all(sender.is_recorded(recorded) for sender in senders)
    pauses, resumes = recording.events("paused"), recording.events("resumed")
    assert len(pauses) == len(resumes) >= 2
    assert pauses[0]["reason"] == "No space left on device"
    assert resumes[0]["paused_seconds"] > 1
    assert recording.kill().returncode == 0


@pytest.mark.root
def test_time_in_which_nobody_is_read_is_not_the_senders(home: Home, listener: str, disk: SmallDisk) -> None:
    """Half a line was read before the pause, its rest comes meanwhile or after it."""
    recording = home.local("--listener", listener, "--partial-after", "0.8", file=disk.path / "file.log")
    disk.fill(64 * 1024)
    over, held = threading.Event(), threading.Event()
    sent: list[list[bytes]] = [[] for _ in range(8)]

    def two_pieces(mine: list[bytes], name: int) -> None:
        with recording.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(60)
            while not over.is_set():
                mine.append(b"sender %d line %07d %s" % (name, len(mine), b"." * 200))
                sock.sendall(mine[-1])
                over.wait(0.3 if name > 4 else 0.02)  # some are inside of a line at any moment
                if held.is_set() and name > 6:
                    over.wait(1.0)  # silent for longer than it may be, but nobody would have heard it
                sock.sendall(b"\n")

    crowd = Crowd([lambda n=n: two_pieces(sent[n], n) for n in range(8)])  # type: ignore[misc]
    wait_until(lambda: recording.events("paused"))
    held.set()
    stays(lambda: not recording.events("resumed"), 1.2)
    held.clear()
    disk.make_room()
    wait_until(lambda: recording.events("resumed"))
    recording.daemon.suspend()
    try:
        stays(lambda: crowd.busy, 1.2)
    finally:
        recording.daemon.resume()
    over.set()
    crowd.join(30)
    assert recording.kill().returncode == 0
    recorded = recording.read().splitlines()
    found = [[line for line in recorded if line.startswith(b"sender %d " % n)] for n in range(8)]
    assert found == sent
    assert len(recorded) == sum(map(len, sent))


def held_back(bulk: Bulk) -> bool:
    """Tell whether TCP takes nothing of it for half a second."""
    taken = bulk.taken
    return not threading.Event().wait(0.5) and bulk.taken == taken


@pytest.mark.root
def test_a_stop_on_a_full_disk_says_what_is_left(home: Home, disk: SmallDisk) -> None:
    """Both listeners at once: each of them tries for the ten seconds that a stop may take."""
    recordings = [
        home.local("--listener", listener, file=disk.path / f"{listener}.log")
        for listener in ("socat", "builtin")
    ]
    senders = [Bulk(recording, b"bulk", 20 * MIB) for recording in recordings]

    def send(sender: Bulk) -> None:
        with contextlib.suppress(OSError):  # it is cut off, and so learns it
            sender.send()

    crowd = Crowd([lambda sender=sender: send(sender) for sender in senders])  # type: ignore[misc]
    wait_until(lambda: all(recording.status()["state"] == "paused" for recording in recordings))
    wait_until(lambda: all(held_back(sender) for sender in senders), 20)
    acknowledged = [sender.acknowledged() for sender in senders]
    done = home.inv("kill")
    crowd.join(5)
    assert done.returncode == 1
    for recording, sender, taken in zip(recordings, senders, acknowledged):
        said = next(line for line in done.stderr.splitlines() if line.startswith(f"local-{recording.port}:"))
        assert "could not be recorded (No space left on device)" in said
        assert str(recording.file) in said
        stopped = recording.events("stopped")[-1]
        assert not stopped["drained"]
        # What was taken is recorded or said to be left, less the block that a fork of socat has in hand.
        in_hand = 65536 if recording is recordings[0] else 0
        assert 0 <= taken - len(recording.read()) - stopped["left_bytes"] <= in_hand
        assert stopped["seconds"] < 12
        recorded = recording.read().split(b"\n")
        assert recorded[:-1] == sender.lines[: len(recorded) - 1]
        assert sender.lines[len(recorded) - 1].startswith(recorded[-1])
    assert home.processes() == []


def test_an_open_line_does_not_go_on_in_another_file(home: Home) -> None:
    recording = home.local("--partial-after", "0.2")
    with recording.connect() as sock:
        sock.sendall(b"login: ")
        wait_until(lambda: recording.read() == b"login: ")
        recording.file.rename(recording.file.with_name("moved"))
        sock.sendall(b"root\nnext\n")
        wait_until(lambda: recording.read() == b"root\nnext\n")
