"""Three NATS servers on hosts of their own (network namespaces), around one from which all is reached."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import wait_until
from nats_servers import Server
from netns import Namespace, filtered, link
from small_disk import SmallDisk

CLIENTS, ROUTES, MONITOR = 4222, 6222, 8222
#: The third part of its networks' addresses, for the first of them.
FIRST = 101
#: Room of a server's disk; a fault takes it away for a while.
ROOM = "1g"


class Node(Server):
    """One of the servers."""

    def __init__(self, folder: Path, number: int, hub: Namespace, has_disk: bool) -> None:
        super().__init__(folder, f"n{number}", port=CLIENTS)
        self.hub, self.link = hub, f"n{number}"
        self.host = Namespace(f"n{number}")
        self.address = address(number)
        self.within = self.host.within
        link(self.host, self.link, FIRST + number, hub)
        self.host.run("ip", "route", "add", "default", "via", f"10.77.{FIRST + number}.1")
        #: A file system of its own.
        self.disk = SmallDisk(folder / "disk", ROOM) if has_disk else None
        self.store = folder / "disk" / "store"
        routes = ", ".join(f'"nats://{address(one)}:{ROUTES}"' for one in range(3))
        self.monitor = MONITOR
        self.more = (
            f'cluster {{\n  name: "three"\n  listen: "{self.address}:{ROUTES}"\n  routes: [{routes}]\n}}'
        )

    def is_healthy(self) -> bool:
        return self._asked("healthz") is not None

    def leads(self) -> bool:
        """Tell whether it is the leader of the stream."""
        found = self._asked("jsz?streams=1&accounts=1")
        return found is not None and f'"leader":"{self.name}"' in "".join(found.split())

    def stored(self) -> int:
        """Return how many bytes of messages it has, headers and all."""
        return int(json.loads(self._asked("jsz") or "{}")["bytes"])

    def cut_off(self) -> contextlib.AbstractContextManager[None]:
        """Drop all packets between it and everybody else, without a word to either."""
        drops = {"input": "iifname", "output": "oifname", "forward": "iifname"}
        chains = [
            f"chain {name} {{ type filter hook {name} priority -10; {which} {self.link} drop; }}"
            for name, which in drops.items()
        ]
        chains.append(f"chain back {{ type filter hook forward priority -9; oifname {self.link} drop; }}")
        return filtered(self.hub, "table inet cut {\n" + "\n".join(chains) + "\n}\n")

    def close(self) -> None:
        """End it, and remove its host."""
        self.end()
        if self.disk is not None:
            self.disk.close()
        self.host.remove()

    def _asked(self, what: str) -> str | None:
        def ask() -> str | None:
            with contextlib.suppress(OSError):
                url = f"http://{self.address}:{MONITOR}/{what}"
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return str(answer.read().decode()) if answer.status == 200 else None
            return None

        return self.hub.call(ask)


def address(number: int) -> str:
    """Return the address of a server."""
    return f"10.77.{FIRST + number}.2"


@contextlib.contextmanager
def cluster(folder: Path, hub: Namespace, disks: bool) -> Iterator[list[Node]]:
    """Have three servers that are one, reached from `hub`; `disks`: each with one of its own."""
    with contextlib.ExitStack() as held:
        hub.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        nodes = []
        for number in range(3):
            nodes.append(Node(folder / f"node{number}", number, hub, disks))
            held.callback(nodes[-1].close)
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait()
        wait_until(lambda: all(node.is_healthy() for node in nodes), 30, "the cluster serves")
        yield nodes
