"""Hosts in network namespaces, the links between them, and what can be done to a link."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from tremplin_bench import Tremplin, TremplinRecording

PORT_IN, PORT_OUT = 55514, 55614
CLONE_NEWNET = 0x40000000
Result = TypeVar("Result")


def run(*words: str, text: str = "") -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    program = shutil.which(words[0], path=path) or words[0]
    done = subprocess.run([program, *words[1:]], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


class Namespace:
    """A host of its own: its interfaces, its ports."""

    def __init__(self, name: str) -> None:
        self.name = f"reclog{os.getpid()}{name}"
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def within(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def run(self, *words: str, text: str = "") -> str:
        return run(*self.within, *words, text=text)

    def call(self, function: Callable[[], Result]) -> Result:
        """Call `function` there; a socket that it makes stays there."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                with open(f"/run/netns/{self.name}", "rb") as file:
                    # It holds for the calling thread alone (setns(2)).
                    assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) == 0
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join(30)
        if errors:
            raise errors[0]
        return results[0]

    def remove(self) -> list[str]:
        """Remove it; return the pids that were left in it."""
        left = run("ip", "netns", "pids", self.name).split()
        run("ip", "netns", "delete", self.name)
        return left


@dataclasses.dataclass
class Remote(TremplinRecording):
    """A recording whose senders are on the device."""

    device: Namespace
    address: str

    def connect(self, host: str = "") -> socket.socket:
        where = (host or self.address, self.port)
        return self.device.call(lambda: socket.create_connection(where, timeout=10))

    def again(self, *words: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
        return self.tremplin.fab("tremplin", "--file", str(self.file), *words)


@dataclasses.dataclass
class Hosts:
    """A device, a tremplin and a laptop; the laptop reaches the tremplin's sshd and nothing else."""

    device: Namespace
    jump: Namespace
    laptop: Namespace
    trem: Tremplin

    @property
    def address(self) -> str:
        return "10.77.2.1"

    def open(self) -> Remote:
        recording = Remote(
            self.trem.home, PORT_IN, self.trem.home.path / "file.log", self.trem, PORT_OUT, PORT_IN,
            self.device, "10.77.1.1",
        )  # fmt: skip
        done = recording.again()
        assert done.returncode == 0, done.stderr + done.stdout
        return recording

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Drop all packets between laptop and tremplin, without a word to either."""
        with filtered(self.jump, CUT):
            yield


FILTER = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    iifname "laptop" tcp dport %d accept
    iifname "device" tcp dport %d accept
  }
}
"""
CUT = """
table inet cut {
  chain input { type filter hook input priority -10; iifname "laptop" drop; }
  chain output { type filter hook output priority -10; oifname "laptop" drop; }
}
"""


@contextlib.contextmanager
def filtered(host: Namespace, table: str) -> Iterator[None]:
    """Have `host` filter by an nftables table, named `cut`, meanwhile."""
    host.run("nft", "-f", "-", text=table)
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "inet", "cut")


def link(one: Namespace, name: str, number: int, other: Namespace) -> None:
    """Connect two hosts: 10.77.<number>.1 is `other`, where the interface is called `name`; .2 is `one`."""
    ends = ["type", "veth", "peer", "name", name, "netns", other.name]
    run("ip", "link", "add", "name", "uplink", "netns", one.name, *ends)
    for host, interface, last in ((one, "uplink", 2), (other, name, 1)):
        host.run("ip", "address", "add", f"10.77.{number}.{last}/24", "dev", interface)
        host.run("ip", "link", "set", interface, "up")
