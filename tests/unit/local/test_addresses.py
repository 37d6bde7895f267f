"""Which addresses a device is told to write to."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from reclog.local.addresses import own_addresses
from reclog.recordings.again import again_command, entrances, stop_command, write_to
from reclog.recordings.registry import Recording, Registry

LO = ["127.0.0.1", "::1"]
LAN = ["192.168.1.10", "fe80::1%eth0", "2001:db8::10"]
#: By interface; those whose names begin with `down` are.
MACHINES: dict[str, dict[str, list[str]]] = {
    "alone": {"lo": LO, "eth0": ["169.254.7.7"]},
    "lan": {"lo": LO, "docker0": ["172.17.0.1"], "eth0": LAN, "down0": ["10.9.9.9"]},
    "many": {"br-1a": ["172.18.0.1"], **{f"eth{n}": [f"10.0.0.{n}"] for n in range(5)}},
}


@pytest.mark.parametrize(
    ("machine", "bind", "addresses"),
    [
        ("alone", "0.0.0.0", ["127.0.0.1"]),
        ("lan", "0.0.0.0", ["192.168.1.10", "172.17.0.1"]),
        ("lan", "::", ["192.168.1.10", "2001:db8::10", "172.17.0.1"]),
        ("lan", "127.0.0.1", ["127.0.0.1"]),
        ("lan", "fd00::1", ["fd00::1"]),
        ("many", "0.0.0.0", ["10.0.0.0", "10.0.0.1", "10.0.0.2"]),
    ],
)
def test_the_likeliest_come_first(
    monkeypatch: pytest.MonkeyPatch, machine: str, bind: str, addresses: list[str]
) -> None:
    def one(address: str) -> SimpleNamespace:
        return SimpleNamespace(family=socket.AF_INET6 if ":" in address else socket.AF_INET, address=address)

    there = MACHINES[machine]
    up = {name: SimpleNamespace(isup=not name.startswith("down")) for name in there}
    monkeypatch.setattr(psutil, "net_if_stats", lambda: up)
    monkeypatch.setattr(
        psutil, "net_if_addrs", lambda: {name: list(map(one, found)) for name, found in there.items()}
    )
    assert own_addresses(bind) == addresses


def recording(folder: Path, **facts: object) -> Recording:
    return Registry(folder).new("local-1", {"port": 55514, "file": "/a b.log", **facts})


def test_a_narrow_terminal_has_room_for_it(tmp_path: Path) -> None:
    one = recording(tmp_path)
    assert write_to(["192.168.1.10"], one) == "devices write to 192.168.1.10:55514 (tcp)"
    one.counters["udp"] = True
    said = write_to(["192.168.1.10", "2001:db8:1234:5678::10", "172.17.0.1"], one)
    assert said == "devices write to 192.168.1.10:55514 or [2001:db8:1234:5678::10]:55514 (tcp, udp)"
    assert len(said) == 80
    assert write_to(["x" * 100], one).startswith("devices write to " + "x" * 100)
    one.facts["tls"] = True
    assert write_to(["::1"], one) == "devices write to [::1]:55514 (tls, udp)"


def test_one_without_a_port_is_called_by_its_devices_and_its_file(tmp_path: Path) -> None:
    one = recording(tmp_path, port=0, dial=["exec:docker logs -f web", "tcp://a:23"])
    assert entrances(one) == "exec:docker logs -f web, tcp://a:23"
    assert stop_command(one) == "inv kill --file '/a b.log'"
    assert again_command(one) == (
        "inv local --from 'exec:docker logs -f web' --from tcp://a:23 --file '/a b.log'"
    )
    one.facts["port"] = 7
    assert entrances(one) == "port 7, exec:docker logs -f web, tcp://a:23"
    assert again_command(one).startswith("inv local --port 7 --from ")
    one.facts.update(port=0, dial=5, file="")
    assert (entrances(one), stop_command(one)) == ("no port", "inv kill")
