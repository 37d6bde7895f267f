"""Promise 17 through a tremplin: who said each line, and when, whatever is killed between."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from bench import wait_until
from tremplin_bench import Tremplin, TremplinRecording
from tremplin_streams import again, kill_collector

from reclog.engine.stores.index.reader import IndexReader

#: Milliseconds before a relay's death of which nothing may be known: what it had not kept yet.
UNKEPT = 1500


class Senders:
    """Say numbered lines with the time at which they are sent, each from an address of its own."""

    def __init__(self, recording: TremplinRecording, count: int) -> None:
        self.said = 0
        self._port = recording.port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._talk, args=(one,)) for one in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _talk(self, one: int) -> None:
        address = f"127.0.0.{one + 2}"
        while not self._stop.is_set():
            with contextlib.suppress(OSError), socket.socket() as sock:
                sock.bind((address, 0))
                sock.connect(("127.0.0.1", self._port))
                while not self._stop.wait(0.01):
                    sock.sendall(b"%s %d\n" % (address.encode(), time.time() * 1000))
                    self.said += 1
            self._stop.wait(0.05)

    def more(self, lines: int) -> None:
        """Wait until so many more were said."""
        until = self.said + lines
        wait_until(lambda: self.said >= until)


def test_who_said_each_line_and_when_is_known_whatever_is_killed(trem: Tremplin) -> None:
    recording = trem.open("--bind", "0.0.0.0")
    senders = Senders(recording, 5)
    deaths = []
    try:
        senders.more(300)
        kill_collector(recording)
        senders.more(300)
        again(recording)
        for _ in range(2):
            senders.more(100)
            wait_until(lambda: recording.status()["state"] == "recording")
            recording.ssh.kill()
        senders.more(100)
        kill_collector(recording)
        senders.more(300)
        recording.relay.kill()  # with a backlog
        deaths.append(time.time() * 1000)
        again(recording)
        senders.more(300)
    finally:
        senders.stop()
    wait_until(lambda: recording.status()["lag_bytes"] == 0)
    assert recording.kill().returncode == 0

    data = recording.read()
    lines = data.splitlines(keepends=True)
    runs = IndexReader(str(recording.folder), str(recording.file)).runs(0, len(data))
    run = next(runs)
    late, unknown, at = [], 0, 0
    for line in lines:
        while run.end <= at:
            run = next(runs)
        at += len(line)
        if line.startswith(b"reclog probe"):
            continue
        sender, sent = line.split()
        if run.sender is None or run.ms is None:
            assert any(death - UNKEPT < int(sent) <= death for death in deaths), (line, run)
            unknown += 1
        else:
            assert run.sender.encode() == sender, (line, run)
            late.append(run.ms - int(sent))
    assert len(lines) > 1000
    assert unknown < len(lines) / 4
    assert min(late) >= 0
    assert sorted(late)[len(late) // 2] < 20, "half of them came later than that"


def test_how_far_the_relays_clock_is_ahead_is_shown(trem: Tremplin) -> None:
    recording = trem.open()
    facts = recording.history()
    assert abs(facts["clock_ahead_ms"]) <= facts["clock_within_ms"] + 1
    (connected,) = recording.events("connected")
    assert connected["clock_ahead_ms"] == facts["clock_ahead_ms"] == recording.status()["clock_ahead_ms"]
