"""A small fleet that is real: tremplins, a laptop, three servers of JetStream, two who subscribe.

Each tremplin and each server is a host of its own (a network namespace), with a real sshd and a real
nats-server, which keeps what it has on this machine's disk; what collects, publishes and subscribes is where
all of them are reached. Needs root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from bench import Home
from cluster import Node, cluster
from netns import Namespace, link
from tremplin_bench import Tremplin, TremplinRecording, run_sshd, tremplin

from benchmarks.load import Load
from reclog.engine.stores.index.files import NAMES as INDEX

TREMPLINS, SUBSCRIBERS = 3, 2
#: The third part of the tremplins' addresses, for the first of them.
FIRST = 11
#: Seconds until something is there that was begun.
WITHIN = 60.0


@dataclasses.dataclass
class Far:
    """A tremplin and what is recorded through it."""

    host: Namespace
    trem: Tremplin
    recording: TremplinRecording

    def send(self, load: Load, senders: int, rate: int, seconds: float) -> subprocess.Popen[str]:
        """Have devices there write so many lines a second in all, each from an address of its own."""
        command = [*self.host.within, str(load.program), "fleet", str(self.recording.port)]
        command += [str(senders), str(rate), str(seconds)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@dataclasses.dataclass
class Fleet:
    """All of it, running."""

    home: Home
    fars: list[Far]
    nodes: list[Node]
    readers: list[Home]

    def stored(self) -> int:
        """Return how many bytes of messages a server has."""
        return max(node.stored() for node in self.nodes)

    def indexed(self) -> int:
        """Return how many bytes the indexes of what is recorded have."""
        paths = [far.recording.folder / name for far in self.fars for name in INDEX]
        return sum(path.stat().st_size for path in paths if path.exists())

    def messages(self) -> int:
        """Return how many messages were published."""
        (counters,) = (self.home.state / "reclog" / "publishers").glob("*/counters.json")
        return sum(int(one["messages"]) for one in json.loads(counters.read_text("utf-8"))["recordings"])

    def copies(self, far: Far) -> list[Path]:
        """Return where the subscribers have a recording."""
        return [reader.path / "logs" / f"{far.recording.folder.name}.log" for reader in self.readers]

    def roots(self) -> dict[str, list[int]]:
        """Return who does which part of the work: processes that have all who do it below them."""
        recordings = [far.recording for far in self.fars]
        return {
            "relay": [one.relay.pid for one in recordings],
            "sshd": [far.trem.process.pid for far in self.fars],
            "collector": [one.daemon.pid for one in recordings],
            "ssh": [one.ssh.pid for one in recordings],
            "publisher": [daemon(self.home, "publisher").pid],
            "server": [node.pid for node in self.nodes],
            "subscriber": [daemon(reader, "subscriber").pid for reader in self.readers],
        }


def daemon(home: Home, role: str) -> psutil.Process:
    """Return the daemon of that role."""
    (found,) = (one for one in home.processes() if one.cmdline()[3:4] == [role])
    return found


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Have one; at its end nothing is left of it."""
    with contextlib.ExitStack() as held:
        home = Home(folder)
        hub = Namespace("hub")
        held.callback(hub.remove)
        nodes = held.enter_context(cluster(folder / "cluster", hub, disks=False))
        home.within = hub.within
        fars = _tremplins(held, home, hub)
        readers = [Home(folder / f"reader{number}") for number in range(SUBSCRIBERS)]
        held.callback(_kill, [home, *readers])
        for far in fars:
            done = far.recording.again("--no-udp")
            assert done.returncode == 0, done.stderr + done.stdout
        servers = ",".join(node.url for node in nodes)
        _started(home, "publish", "--to", servers, "--machine", "fleet")
        for reader in readers:
            reader.within = hub.within
            reader.path.mkdir()
            file = str(reader.path / "logs" / "{recording}.log")
            _started(reader, "subscribe", "--from", servers, "--file", file)
        yield Fleet(home, fars, nodes, readers)


def _tremplins(held: contextlib.ExitStack, home: Home, hub: Namespace) -> list[Far]:
    """Have the tremplins: one account, with an sshd on each host."""
    fars: list[Far] = []
    for number in range(TREMPLINS):
        host = Namespace(f"t{number}")
        held.callback(host.remove)
        link(host, f"t{number}", FIRST + number, hub)
        if fars:
            trem = _another(held, fars[0].trem, _address(0), _address(number), host)
        else:
            trem = held.enter_context(tremplin(home, home.path / "tremplin", _address(0), host.within))
        fars.append(Far(host, trem, trem.to_be(home.path / f"{number}.log")))
    return fars


def _another(
    held: contextlib.ExitStack, first: Tremplin, its_address: str, address: str, host: Namespace
) -> Tremplin:
    """Return the same tremplin on another host."""
    folder = first.folder.with_name(f"tremplin-{address}")
    folder.mkdir(mode=0o700)
    for name in ("sshd_config", "config", "known_hosts"):
        text = (first.folder / name).read_text("utf-8").replace(its_address, address)
        text = text.replace(f"PidFile {first.folder}", f"PidFile {folder}")
        text = text.replace(f"UserKnownHostsFile {first.folder}", f"UserKnownHostsFile {folder}")
        (folder / name).write_text(text, "utf-8")
    process = run_sshd(folder / "sshd_config", host.within)
    held.callback(process.wait)
    held.callback(process.terminate)
    return dataclasses.replace(first, folder=folder, process=process)


def _address(number: int) -> str:
    return f"10.77.{FIRST + number}.2"


def _started(home: Home, *words: str) -> None:
    done = home.inv(*words)
    assert done.returncode == 0, done.stderr + done.stdout


def _kill(homes: list[Home]) -> None:
    for home in homes:
        until = time.monotonic() + WITHIN
        while (said := home.kill_all()) and time.monotonic() < until:
            print(said, file=sys.stderr)
