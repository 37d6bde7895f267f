"""Gigabytes through a stream while all on the way are killed, again and again (`inv dev.faults --kills`).

Eight senders write as fast as they are read. At random one process or several die at once: servers,
publisher, subscriber, and who records. What the copy has in the end must be the recording, byte for byte and
in what is known of each line; and the recording must have of each connection its first lines, each once, in
order.
"""

from __future__ import annotations

import contextlib
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from bench import Home, wait_until
from lan import Lan
from long_rotation import Sender, see
from streamed import Published, Streamed
from swarm import runs
from through import Through

#: By the systems' names: who records.
RECORDING = {"stream": ("recorder",), "stream-tremplin": ("relay", "collector")}
SENDERS, ROTATION = 8, ("--rotate", "50MiB", "--keep", "3", "--compress")
_TEXT = b"what a device says, and then some more of it, " * 4
#: Most that are killed at once.
_AT_ONCE = 3


def run(name: str, megabytes: int, kills: int, seed: int, rotate: bool) -> str:
    """Do it; return what came of it. Raises AssertionError."""
    dice = random.Random(seed)
    lines = megabytes * 1_000_000 // (len(_TEXT) + 12)
    killed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="reclog-stream-") as folder:
        Path(folder).chmod(0o755)
        home = Home(Path(folder))
        system = Streamed(home, _recorded(home, name), disks=False)
        with contextlib.closing(system):
            system.set_aside.words = ROTATION if rotate else ()
            system.start()
            began = time.monotonic()
            senders = [Sender(system, number, _TEXT) for number in range(SENDERS)]
            while (done := killed.total()) < kills:
                _allow(senders, lines * done // kills)
                # Not all kills before the bytes: they are to come in their middle.
                wait_until(lambda: sum(one.sent for one in senders) >= lines * (done - 1) // kills, 300)
                _kill(system, name, min(kills - done, dice.randint(1, _AT_ONCE)), dice, killed)
            _allow(senders, lines)
            for sender in senders:
                sender.end()
            system.stop(within=600)
            there, missing = see(system.files, senders, strict=False, text=_TEXT)
            took, size = time.monotonic() - began, system.copy.stat().st_size
    each = ", ".join(f"{role} {count}" for role, count in sorted(killed.items()))
    return (
        f"{name}, seed {seed}: {size} bytes in the copy and {there} lines recorded, each once and in order; "
        f"{missing} missing where who recorded was killed; killed: {each}; {took:.0f} s"
    )


def _recorded(home: Home, name: str) -> Lan | Through:
    if name == "stream":
        return Published(home, "builtin", disk=False)
    return Through(home, home.path / "hosts", room="8g")


def _allow(senders: list[Sender], lines: int) -> None:
    for sender in senders:
        sender.may = lines // len(senders)


def _running(system: Streamed, role: str) -> list[psutil.Process]:
    found: list[psutil.Process] = wait_until(lambda: system.processes(role), 60, f"there is a {role}")
    return found


def _kill(system: Streamed, name: str, count: int, dice: random.Random, killed: Counter[str]) -> None:
    """Kill so many at once; start them again as their user does."""
    everybody = ("node", "node", "node", "publisher", "subscriber", *RECORDING[name])
    roles = dice.sample(everybody, count)
    time.sleep(dice.random() * 0.5)
    nodes = dice.sample(system.nodes, roles.count("node"))
    victims: list[psutil.Process] = []
    for role in roles:
        if role != "node":
            victims += _running(system, role)
    for node in nodes:
        node.end()
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(runs, victims)), 20, "they end")
    time.sleep(dice.random() * 0.5)
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
    killed.update(roles)
    for role in roles:
        if role not in ("node", "relay"):  # a relay is started again by its collector
            system.begin_again(role)
