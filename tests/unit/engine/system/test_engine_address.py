from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reclog.engine.system.address import allows, host_of, parse_network, reachable, short_name, with_port


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        (("192.0.2.7", 4000), "192.0.2.7"),
        (("::ffff:192.0.2.7", 4000, 0, 0), "192.0.2.7"),
        (("2001:db8::1", 4000, 0, 0), "2001:db8::1"),
        (("::ffff:0", 4000, 0, 0), "::ffff:0"),
        (("fe80::1%eth0", 4000, 0, 2), "fe80::1%eth0"),
    ],
)
def test_a_senders_host(peer: tuple[object, ...], host: str) -> None:
    assert host_of(peer) == host


def test_an_ipv6_host_is_bracketed_before_its_port() -> None:
    assert with_port("192.0.2.7", 55514) == "192.0.2.7:55514"
    assert with_port("::1", 55514) == "[::1]:55514"
    assert with_port("fe80::1%eth0", 1) == "[fe80::1%eth0]:1"


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
    ],
)
def test_a_network_may_be_named_by_any_address_in_it(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    "text", ["", "host", "192.0.2", "192.0.2.7/33", "300.1.1.1", "::1/129", "10.0.0.0/8 "]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|Only|Expected|Address"):
        parse_network(text)


def test_everyone_may_send_where_nothing_is_said() -> None:
    assert allows([], "192.0.2.7")
    assert allows((), "::1")


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::9", True),
        ("2001:db9::9", False),
        ("fe80::1%eth0", True),
        ("fe81::1%eth0", False),
        ("::1", False),
        ("127.0.0.1", False),
    ],
)
def test_only_named_networks_may_send(host: str, may: bool) -> None:
    networks = [parse_network(text) for text in ("192.0.2.0/24", "2001:db8::/32", "fe80::/64")]
    assert allows(networks, host) is may


def test_all_of_ipv4_is_not_all_of_ipv6() -> None:
    assert not allows([parse_network("0.0.0.0/0")], "::1")
    assert not allows([parse_network("::/0")], "127.0.0.1")


def test_how_a_listener_is_reached_from_its_own_machine() -> None:
    assert reachable("0.0.0.0") == "127.0.0.1"
    assert reachable("::") == "127.0.0.1"
    assert reachable("::", [parse_network("fd00::/8"), parse_network("::1")]) == "::1"
    assert reachable("::", [parse_network("fd00::/8")]) == "127.0.0.1"
    assert reachable("192.0.2.7") == "192.0.2.7"


def test_a_name_that_is_too_long_for_a_socket_has_a_short_one_or_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / ("x" * 100) / "control")
    os.mkdir(os.path.dirname(path))
    with short_name(path) as name, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(name)
    assert os.path.exists(path)
    monkeypatch.setattr(os.path, "isdir", lambda path: False)  # macOS has no /proc
    with pytest.raises(OSError, match="too long for a socket here: set XDG_STATE_HOME"), short_name(path):
        pass
