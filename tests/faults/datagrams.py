"""Datagrams while something is done to a recording on a LAN: each is recorded, whole and once, or counted."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

from bench import wait_until
from lan import Lan
from lan_acts import Concurrent, disk_of, fill, kill_recorder, lan_of
from stage import Fault, Stage
from swarm import frozen
from workload import line_of

SENDERS, EACH = 4, 6000


class Post:
    """Senders of datagrams: each of their lines can be told, as those of a workload's streams."""

    def __init__(self, stage: Stage) -> None:
        self._lan = lan_of(stage)
        self._keys = [b"datagram %d.%d" % (stage.dice.randrange(1 << 60), n) for n in range(SENDERS)]
        self._before = self._lan.running.status()
        self.sent = 0

    def send(self, each: int = EACH) -> None:
        """Have each sender send so many as fast as it goes: some end in a newline, some are 65 KB long."""
        with contextlib.ExitStack() as stack:
            new = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in self._keys]
            socks = [stack.enter_context(one) for one in new]
            first = self.sent // SENDERS
            for number in range(first, first + each):
                for key, sock in zip(self._keys, socks, strict=True):
                    line = line_of(key, number)
                    sock.sendto(line if number % 2 else line[:-1], ("127.0.0.1", self._lan.port))
                    self.sent += 1

    def recorded(self) -> int:
        """Return how many are in the file; see that they are whole, in order, and there once."""
        found: dict[bytes, list[int]] = {key: [] for key in self._keys}
        for line in self._lan.file.read_bytes().split(b"\n"):
            if line.startswith(b"datagram "):
                key, number = line[: line.index(b" ", 9)], line.split(b" ", 3)[2]
                if key in found:
                    assert line + b"\n" == line_of(key, int(number)), line[:80]
                    found[key].append(int(number))
        assert all(numbers == sorted(set(numbers)) for numbers in found.values()), "out of order, or twice"
        return sum(map(len, found.values()))

    def see_all(self) -> None:
        """See that each is recorded or counted, as the recorder says and as the file does."""

        def new(name: str) -> int:
            return int(self._lan.running.status()[name]) - int(self._before[name])

        wait_until(
            lambda: new("datagrams") + new("datagrams_dropped") == self.sent, 20, "all are accounted for"
        )
        wait_until(lambda: self.recorded() == new("datagrams"), 20, "they are in the file")

    def see_all_stated(self) -> None:
        """See, when the recorder has ended, that its event log states whatever is not in the file."""
        recorded, stated = self.recorded(), _stated_in_last_run(self._lan)
        assert recorded + stated - int(self._before["datagrams_dropped"]) == self.sent


def _stated_in_last_run(lan: Lan) -> int:
    stated = 0
    for event in _events(lan):
        if event["event"] == "started":
            stated = 0
        elif event["event"] == "datagrams dropped":
            stated += event["datagrams"]
    return stated


def _events(lan: Lan) -> Iterator[dict[str, Any]]:
    for line in (lan.folder / "holes.log").read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # a line that was cut
            yield json.loads(line)


def while_frozen(stage: Stage) -> None:
    """More of them than the kernel has room for, while the recorder stands still."""
    post = Post(stage)
    with frozen(stage.the("recorder")):
        post.send()
    post.see_all()


def while_stopped(stage: Stage) -> None:
    """The same, and then `inv kill`: it has the recorder go on."""
    post, lan = Post(stage), lan_of(stage)
    with stage.losing(settles=0):
        stage.the("recorder").suspend()
        post.send()
        done = Concurrent(lan, "kill", "--port", str(lan.port)).done()
    assert done.returncode == 0, done.stderr
    post.see_all_stated()
    lan.again()


def while_killed(stage: Stage) -> None:
    """SIGKILL between them: what it and the kernel had goes, uncounted; what is there is whole."""
    post = Post(stage)
    post.send(200)
    kill_recorder(stage, signal.SIGKILL)
    lan_of(stage).again()
    post.send(200)
    wait_until(lambda: post.recorded() >= 200 * SENDERS, 20, "those behind the kill are in the file")


def while_the_disk_is_full(stage: Stage) -> None:
    """The kernel keeps what it has room for, and counts the others."""
    post = Post(stage)
    fill(stage)
    post.send()
    disk_of(stage).make_room()
    post.see_all()


FAULTS: dict[str, Fault] = {
    "datagrams, recorder frozen": while_frozen,
    "datagrams, stopped": while_stopped,
    "datagrams, recorder killed": while_killed,
}
#: Faults that need root.
ROOT: dict[str, Fault] = {"datagrams, disk full": while_the_disk_is_full}
