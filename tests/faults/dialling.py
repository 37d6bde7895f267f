"""A recording that dials as well: a device that listens, and a program.

Each says numbered lines for as long as it lives, or is connected. However that ends, what is recorded
of it is its first lines, each once and in order: what is missing is missing at its end.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
import time

import psutil
from bench import Home, free_port, wait_until
from lan import Lan
from lan_acts import lan_of
from lan_faults import (
    disk_full,
    recorder_frozen,
    recorder_killed,
    recorder_told_to_end,
    stopped,
    stopped_on_a_full_disk,
)
from stage import Fault, Stage

from reclog.engine.records.events import timestamp

#: Who spoke, which life of it that was, the line's number; the stop tells a whole line from its beginning.
LINE = re.compile(rb"beacon (device|program) (\d+) (\d+)\.")
PROGRAM = "exec:sh -c 'n=0; while echo beacon program $$ $n.; do n=$((n + 1)); sleep 0.005; done'"


class Device:
    """It listens, and speaks to whoever connects last."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: None)
        self._lives = 0

    def come(self) -> None:
        """Listen."""
        self._ended.clear()
        listening = socket.create_server(("127.0.0.1", self._port))
        listening.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve, args=(listening,))
        self._thread.start()

    def go(self) -> None:
        """Be gone: what was said is sent."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _serve(self, listening: socket.socket) -> None:
        with listening:
            while not self._ended.is_set():
                with contextlib.suppress(OSError), listening.accept()[0] as sock:
                    self._lives += 1
                    self._speak(sock, self._lives)

    def _speak(self, sock: socket.socket, life: int) -> None:
        sock.settimeout(0.05)
        number, rest = 0, b""
        while not self._ended.is_set() or rest:
            if not rest:
                rest = b"beacon device %d %d.\n" % (life, number)
                number += 1
                time.sleep(0.002)
            with contextlib.suppress(TimeoutError):
                rest = rest[sock.send(rest) :]


class Dialling(Lan):
    """`inv local` with a port, a device and a program."""

    def __init__(self, home: Home) -> None:
        port = free_port()
        super().__init__(home, "socat", "--from", f"tcp://127.0.0.1:{port}", "--from", PROGRAM)
        self.name = "lan, dialling"
        self.device = Device(port)

    def start(self) -> None:
        """Start it, and the device."""
        self.device.come()
        super().start()

    def stop(self) -> None:
        """Stop it; see that of each life the first lines are there."""
        super().stop()
        self.device.go()
        text = b"".join(path.read_bytes() for path in self.files)
        said: dict[tuple[bytes, bytes], list[int]] = {}
        for who, life, number in LINE.findall(text):
            said.setdefault((who, life), []).append(int(number))
        assert {who for who, _ in said} == {b"device", b"program"}
        for life, numbers in said.items():
            assert numbers == list(range(len(numbers))), f"{life}: {numbers[:3]} to {numbers[-3:]}"

    def close(self) -> None:
        """End whatever is left."""
        self.device.go()
        super().close()

    def program(self) -> psutil.Process:
        """Return the program that is dialled."""
        found: list[psutil.Process] = wait_until(self._programs, 10, "the program runs")
        return found[0]

    def _programs(self) -> list[psutil.Process]:
        found = []
        for process in self.running.family():
            with contextlib.suppress(psutil.Error):
                if process.name() == "sh":
                    found.append(process)
        return found


def _dialling(stage: Stage) -> Dialling:
    assert isinstance(stage.system, Dialling)
    return stage.system


def device_gone(stage: Stage) -> None:
    """The device's connection and port are closed, and opened again."""
    system, since = _dialling(stage), timestamp()
    system.device.go()
    system.wait_for("device lost", since)
    stage.pause(0.2, 1.5)
    since = timestamp()
    system.device.come()
    system.wait_for("device reached", since)


def program_killed(stage: Stage) -> None:
    """SIGKILL of the program."""
    lan, since = lan_of(stage), timestamp()
    stage.hit(_dialling(stage).program(), signal.SIGKILL)
    lan.wait_for("device lost", since)
    lan.wait_for("device reached", since)


FAULTS: dict[str, Fault] = {
    "device gone": device_gone,
    "program killed": program_killed,
    "recorder killed": recorder_killed,
    "recorder told to end": recorder_told_to_end,
    "recorder frozen": recorder_frozen,
    "stopped": stopped,
    "disk full": disk_full,
    "disk full, stopped": stopped_on_a_full_disk,
}
