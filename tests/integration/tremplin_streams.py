"""Numbered lines through a tremplin: their senders, whether all are there; its processes killed, frozen."""

from __future__ import annotations

import contextlib
import json
import threading
import zlib

import psutil
from bench import wait_until
from swarm import Crowd
from tremplin_bench import TremplinRecording

MIB = 1024 * 1024


class Stream:
    """Senders of numbered lines that go on until told to end."""

    def __init__(self, recording: TremplinRecording, senders: int = 1, per_second: int = 200) -> None:
        self.sent = [0] * senders
        self._over = threading.Event()
        self._pause = 1 / per_second
        self._recording = recording
        self._crowd = Crowd([lambda number=number: self._send(number) for number in range(senders)])  # type: ignore[misc]

    def more(self, lines: int) -> None:
        """Wait until so many more lines are sent."""
        wanted = sum(self.sent) + lines
        wait_until(lambda: sum(self.sent) >= wanted, 30, "senders go on")

    def end(self) -> None:
        self._over.set()
        self._crowd.join()

    def _send(self, number: int) -> None:
        with self._recording.connect() as sock:
            sock.settimeout(60)
            while not self._over.wait(self._pause):
                sock.sendall(line_of(number, self.sent[number]))
                self.sent[number] += 1


def line_of(sender: int, number: int) -> bytes:
    return b"sender-%d %07d %s\n" % (sender, number, b"." * (number % 50))


def lines_of(recorded: bytes, sender: int) -> list[bytes]:
    begin = b"sender-%d " % sender
    return [line for line in recorded.splitlines(keepends=True) if line.startswith(begin)]


def all_there(recorded: bytes, stream: Stream) -> bool:
    return all(
        lines_of(recorded, sender) == [line_of(sender, number) for number in range(count)]
        for sender, count in enumerate(stream.sent)
    )


def wait_for(recording: TremplinRecording, stream: Stream, within: float = 20.0) -> None:
    wait_until(lambda: len(recording.read().splitlines()) >= sum(stream.sent), within, "all is recorded")
    last = [line_of(sender, count - 1) for sender, count in enumerate(stream.sent)]
    wait_until(lambda: all(line in recording.read() for line in last), within, "the last lines are recorded")


def is_what_the_relay_spooled(recording: TremplinRecording) -> bool:
    """Tell whether the file, which began empty, is byte for byte what the relay spooled."""
    recorded, relay = recording.read(), recording.relay_counters()
    assert relay["crc_from"] == 0
    return bool(len(recorded) == relay["end"] and zlib.crc32(recorded) == relay["crc"])


def counters(recording: TremplinRecording) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((recording.folder / "counters.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def kill_collector(recording: TremplinRecording) -> None:
    """Kill -9 the collector; wait until it and its ssh are gone."""
    family = [recording.daemon, *recording.daemon.children(recursive=True)]
    family[0].kill()
    psutil.wait_procs(family, timeout=10)


def again(recording: TremplinRecording, *words: str) -> None:
    done = recording.again(*words)
    assert done.returncode == 0, done.stderr + done.stdout


def relay_died(recording: TremplinRecording, reboot: bool = False) -> None:
    """Kill -9 the relay; at a reboot also all else of its account there, at once."""
    relay = recording.relay
    for process in [relay, *(recording.tremplin.sessions() if reboot else [])]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: not psutil.pid_exists(relay.pid) or relay.status() == psutil.STATUS_ZOMBIE)


def listens(recording: TremplinRecording) -> bool:
    try:
        recording.connect().close()
    except ConnectionError:
        return False
    return True


class Bulk:
    """One sender of so many bytes of numbered lines, as fast as it can."""

    def __init__(self, recording: TremplinRecording, size: int) -> None:
        self.lines = [b"sender-0 %07d %s\n" % (number, b"." * 82) for number in range(size // 100)]
        self._recording = recording
        self._crowd = Crowd([self._send])

    @property
    def busy(self) -> bool:
        return self._crowd.busy

    def join(self) -> None:
        self._crowd.join(90)

    def is_recorded(self, recorded: bytes) -> bool:
        return lines_of(recorded, 0) == self.lines

    def _send(self) -> None:
        with self._recording.connect() as sock:
            sock.settimeout(80)
            sock.sendall(b"".join(self.lines))


def all_comes(recording: TremplinRecording, stream: Bulk) -> None:
    """See that all of it is sent and recorded, as the relay spooled it."""
    stream.join()
    wait_until(lambda: stream.is_recorded(recording.read()), 20, "all is recorded")
    wait_until(lambda: is_what_the_relay_spooled(recording), what="the file is what the relay spooled")
