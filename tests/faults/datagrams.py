"""Floods of datagrams while nobody reads: each is recorded, whole and once, or counted, to the datagram.

The workload's own datagrams are held back meanwhile, or they would be in that count.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench import wait_until
from stage import Fault, Stage
from swarm import frozen
from workload import line_of

SENDERS, EACH = 4, 6000


class Flood:
    """Senders of datagrams: each of their lines can be told, as those of a workload's streams."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._keys = [b"datagram %d.%d" % (stage.dice.randrange(1 << 60), n) for n in range(SENDERS)]
        self._before = stage.system.dropped()

    def send(self) -> None:
        """Have each sender send its own as fast as it goes: some end in a newline, some are 65 KB long."""
        with contextlib.ExitStack() as stack:
            socks = [(key, sock) for key in self._keys if (sock := self._stage.system.post()) is not None]
            for _, sock in socks:
                stack.enter_context(sock)
            for number in range(EACH):
                for key, sock in socks:
                    line = line_of(key, number)
                    sock.send(line if number % 2 else line[:-1])

    def see_all(self) -> None:
        """See that each is recorded, or the event log states that it was dropped."""
        sent = SENDERS * EACH
        wait_until(lambda: self._recorded() + self._dropped() == sent, 30, "all are recorded, or stated")
        self._stage.flooded += self._dropped()
        assert 0 < self._dropped() < sent

    def _dropped(self) -> int:
        return self._stage.system.dropped() - self._before

    def _recorded(self) -> int:
        """Return how many are recorded; see that they are whole, in order, and there once."""
        found: dict[bytes, list[int]] = {key: [] for key in self._keys}
        system = self._stage.system
        text = b"".join(path.read_bytes() for path in system.set_aside.before(system.files[-1]))
        for line in text.split(b"\n")[:-1]:
            if line.startswith(b"datagram "):
                key, number = line[: line.index(b" ", 9)], line.split(b" ", 3)[2]
                if key in found:
                    assert line + b"\n" == line_of(key, int(number)), line[:80]
                    found[key].append(int(number))
        assert all(numbers == sorted(set(numbers)) for numbers in found.values()), "out of order, or twice"
        return sum(map(len, found.values()))


def while_held_up(hold: Callable[[Stage], AbstractContextManager[None]]) -> Fault:
    """More of them than the kernel has room for, while nobody reads."""

    def fault(stage: Stage) -> None:
        with stage.alone():
            flood = Flood(stage)
            with hold(stage):
                flood.send()
            flood.see_all()

    return fault


def while_stopped(role: str) -> Fault:
    """The same, and then a stop: what the kernel has is recorded, and what it had no room for is stated."""

    def fault(stage: Stage) -> None:
        with stage.alone():
            flood = Flood(stage)
            with frozen(stage.the(role)):
                flood.send()
            with stage.losing(settles=0):
                stage.system.stop()
            flood.see_all()
        stage.system.again()

    return fault


def floods(role: str) -> dict[str, Fault]:
    """Return the faults of whom such a process records."""
    return {
        f"datagrams, {role} frozen": while_held_up(lambda stage: frozen(stage.the(role))),
        "datagrams, stopped": while_stopped(role),
    }
