"""The stage on which faults are done: a system that records, senders that write to it, and what is owed.

A system is anything that records what is written to a port: reclog on a LAN, reclog through a tremplin, or
what people use instead. A fault is a function that does something to a stage.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psutil
from bench import wait_until
from checker import SETTLES_WITHIN, Moment, Verdict, check
from set_aside import SetAside
from swarm import runs
from workload import Workload

#: What reclog itself writes into a recording: the lines of `test-connection`, and of the start of a tremplin.
PROBE = re.compile(rb"reclog probe [0-9a-f]+")


class System(Protocol):
    """Something that records what is written to a port."""

    name: str
    #: Every file that holds recorded text: those renamed or removed (a link keeps them) first; once it is
    #: stopped, with what rotation has set aside.
    files: list[Path]
    #: How the file is rotated, and what that has set aside.
    set_aside: SetAside

    def start(self) -> None:
        """Start recording; return when senders can connect."""

    def again(self) -> None:
        """Do what its user does when something has died: the same command again."""

    def stop(self) -> None:
        """Stop it all as its user does, keeping what was sent; see that nothing is left."""

    def close(self) -> None:
        """End whatever is left of it, however it went."""

    def connect(self) -> socket.socket:
        """Connect as a sender."""

    def post(self) -> socket.socket | None:
        """Return a socket that datagrams can be sent on; None where it hears none."""

    def dropped(self) -> int:
        """Return how many datagrams its event log says were dropped."""

    def processes(self, role: str) -> list[psutil.Process]:
        """Return the processes of a role that run now."""


class Deaf:
    """What a system has that hears no datagrams, and is not rotated."""

    set_aside = SetAside()

    def post(self) -> socket.socket | None:
        """Return None."""
        return None

    def dropped(self) -> int:
        """Return 0."""
        return 0


@dataclasses.dataclass
class Injected:
    """What a fault's injections came to."""

    times: int = 0
    #: Seconds from its end until a line sent then was in the file; the longest.
    recovery: float = 0.0


class Stage:
    """A system under a workload, and what is done to it."""

    def __init__(
        self, system: System, seed: int, senders: int = 6, strict: bool = True, patient: bool = False
    ) -> None:
        """A system that is not `strict` promises nothing: that it is stuck does not end the play.

        On a `patient` stage what is held up stays so for longer than any timeout that judges a sender.
        """
        self.system = system
        self._strict = strict
        self._patient = patient
        self.dice = random.Random(seed)
        self.injected: dict[str, Injected] = {}
        self.moments: list[Moment] = []
        #: What somebody took out of the file.
        self.destroyed: list[bytes] = []
        #: Lines that were written into the file by hand.
        self.notes: set[bytes] = set()
        #: Datagrams that are missing, and accounted for, but those of the workload.
        self.flooded = 0
        patience = 60 if strict else 10
        self._workload = Workload(
            system.connect, senders, seed, patience=patience, strict=strict, post=system.post
        )
        self._beacons = 0

    # -- for faults -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def losing(self, settles: float = SETTLES_WITHIN, broken_only: bool = False) -> Iterator[None]:
        """Say that what is done inside may cut connections off: by a kill, or (0 s) by a stop."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.moments.append(Moment(began, time.monotonic(), settles, broken_only))

    def busy(self, seconds: float) -> None:
        """Let the senders write for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(0.05, max(0.0, until - time.monotonic())))

    def pause(self, least: float, most: float) -> None:
        """Let the senders write while something is held up: for 3 to 15 s on a patient stage."""
        if self._patient:
            least, most = 3.0, 15.0
        self.busy(least + self.dice.random() * (most - least))

    def burst(self, senders: int) -> None:
        """Have so many more senders connect at once, write a line and close."""
        self._workload.burst(senders)

    def alone(self) -> threading.Lock:
        """Return what holds back the workload's datagrams, and no more, while it is held."""
        return self._workload.posting

    def victim(self, role: str) -> psutil.Process | None:
        """Return one process of a role; None if none runs now."""
        found = self.system.processes(role)
        return self.dice.choice(found) if found else None

    def the(self, role: str) -> psutil.Process:
        """Return the process of a role: of a system that is healthy there is one, soon."""
        found: psutil.Process = wait_until(lambda: self.victim(role), 20, f"there is a process: {role}")
        return found

    def hit(self, process: psutil.Process, number: int) -> None:
        """Send a signal that ends `process`; return when it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        wait_until(lambda: not runs(process), 20, f"{process.name} ends")

    @property
    def broken(self) -> int:
        """Connections that the other side has ended."""
        return sum(stream.broken and stream.ended is not None for stream in list(self._workload.streams))

    # -- the course of things ---------------------------------------------------------------------

    def inject(self, name: str, fault: Callable[[Stage], None], recovers_within: float = 30.0) -> None:
        """Do a fault, then see that recording has recovered."""
        self.busy(self.dice.random() * 0.3)
        fault(self)
        ended = time.monotonic()
        self.see_recording(recovers_within)
        note = self.injected.setdefault(name, Injected())
        note.times += 1
        note.recovery = max(note.recovery, time.monotonic() - ended)

    def see_recording(self, within: float) -> None:
        """Send a line, over a connection of its own, until one is in the file. Raises AssertionError."""
        until = time.monotonic() + within
        again_at, lines = 0.0, []
        while True:
            if time.monotonic() > again_at:
                lines.append(self._send_beacon())
                # It may have gone to one that was being killed; or nobody listens, which is soon known.
                again_at = time.monotonic() + (2.0 if lines[-1] else 0.1)
            newest = self._newest()
            if any(line and line in newest for line in lines):
                return
            assert time.monotonic() < until, f"{self.system.name} does not record within {within:.0f} s"
            time.sleep(0.005)

    def finish(self) -> Verdict:
        """End the senders, stop the system, judge."""
        self._workload.end()
        with contextlib.nullcontext() if self._strict else contextlib.suppress(AssertionError):
            self.see_recording(60.0 if self._strict else 10.0)
        self.system.stop()
        files = [path.read_bytes() for path in self.system.files if path.exists()]
        dropped = self.system.dropped() - self.flooded
        verdict = check(
            files, self._workload.streams, self.moments, self.destroyed, self._is_foreign, dropped
        )
        missed = self.system.set_aside.missed
        assert verdict.good or not missed, f"not judged: the bench was too slow to keep {', '.join(missed)}"
        return verdict

    @property
    def lines(self) -> int:
        """Lines that senders have begun."""
        return self._workload.lines

    def times_sent(self) -> list[float]:
        """Return when each line was accepted by its receiver's kernel, else when its connection ended."""
        return [
            stream.accepted_at(number)
            for stream in self._workload.streams
            for number in range(stream.lines_sent)
        ]

    def give_up(self) -> None:
        """End the senders, whatever became of the system."""
        with contextlib.suppress(BaseException):
            self._workload.end()

    def _send_beacon(self) -> bytes:
        self._beacons += 1
        line = b"beacon %d\n" % self._beacons
        try:
            with self.system.connect() as sock:
                sock.sendall(line)
        except OSError:
            return b""
        return line

    def _newest(self) -> bytes:
        """Return the last MiB of the newest file, and of what was set aside last."""
        newest = b""
        for path in (*self.system.set_aside.newest(), self.system.files[-1]):
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                file.seek(max(0, file.seek(0, 2) - 1024 * 1024))
                newest += file.read()
        return newest

    def _is_foreign(self, line: bytes) -> bool:
        # Half a line, and less than the word, is what a kill inside a write leaves of one.
        is_ours = line.startswith((b"beacon ", b"datagram ")) or b"beacon ".startswith(line)
        return is_ours or bool(PROBE.match(line)) or line in self.notes


#: Does something to a stage.
Fault = Callable[[Stage], None]


def play(system: System, faults: dict[str, Fault], seed: int) -> None:
    """Start a system, do all faults to it, close it; see that it kept its promises."""
    with contextlib.closing(system):
        system.start()
        stage = Stage(system, seed)
        try:
            for name, fault in faults.items():
                print(name)
                stage.inject(name, fault)
            verdict = stage.finish()
        finally:
            stage.give_up()
    assert verdict.good, str(verdict)
    assert verdict.owed > 0
