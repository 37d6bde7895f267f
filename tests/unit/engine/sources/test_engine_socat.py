from __future__ import annotations

import pytest

from reclog.engine.sources.socat import Door, cannot, socat_command, version
from reclog.engine.system.address import parse_network

KEEPALIVE = "keepalive,keepidle=60,keepintvl=10,keepcnt=6"


def test_the_command_for_all_addresses() -> None:
    assert socat_command("/usr/bin/socat", Door("0.0.0.0", 55514), "UNIX-CONNECT:senders") == [
        "/usr/bin/socat",
        "-b",
        "65536",
        "-t",
        "0",
        f"TCP4-LISTEN:55514,bind=0.0.0.0,reuseaddr,fork,backlog=4096,max-children=1000,{KEEPALIVE}",
        "UNIX-CONNECT:senders",
    ]


def test_the_command_for_one_network() -> None:
    door = Door("192.0.2.7", 1, [parse_network("192.0.2.0/24")], max_children=7)
    # -d: whom it refuses is said.
    assert socat_command("socat", door, "UNIX-CONNECT:senders") == [
        "socat",
        "-d",
        "-b",
        "65536",
        "-t",
        "0",
        f"TCP4-LISTEN:1,bind=192.0.2.7,reuseaddr,fork,backlog=4096,max-children=7,{KEEPALIVE},range=192.0.2.0/24",
        "UNIX-CONNECT:senders",
    ]


@pytest.mark.parametrize(("bind", "only"), [("::", 0), ("::1", 1), ("2001:db8::1", 1)])
def test_the_command_for_ipv6(bind: str, only: int) -> None:
    assert socat_command("socat", Door(bind, 65535), "UNIX-CONNECT:senders") == [
        "socat",
        "-b",
        "65536",
        "-t",
        "0",
        f"TCP6-LISTEN:65535,bind=[{bind}],ipv6only={only},reuseaddr,fork,backlog=4096,max-children=1000,{KEEPALIVE}",
        "UNIX-CONNECT:senders",
    ]


def test_the_command_for_the_bare_sink() -> None:
    assert socat_command("socat", Door("127.0.0.1", 2, max_children=3), "FD:9", one_way=True) == [
        "socat",
        "-u",
        "-b",
        "65536",
        "-t",
        "0",
        f"TCP4-LISTEN:2,bind=127.0.0.1,reuseaddr,fork,backlog=4096,max-children=3,{KEEPALIVE}",
        "FD:9",
    ]


def test_the_command_for_the_bare_sink_of_one_network() -> None:
    door = Door("0.0.0.0", 2, [parse_network("192.0.2.7")], max_children=3)
    command = socat_command("socat", door, "FD:9", one_way=True)
    assert command[:7] == ["socat", "-u", "-d", "-b", "65536", "-t", "0"]
    assert command[7].endswith(f",max-children=3,{KEEPALIVE},range=192.0.2.7/32")
    assert command[8:] == ["FD:9"]


@pytest.mark.parametrize(
    ("stamp", "allow", "bind", "why"),
    [
        (False, [], "0.0.0.0", ""),
        (False, [], "::", ""),
        (False, ["192.0.2.0/24"], "0.0.0.0", ""),
        (True, [], "0.0.0.0", "--stamp"),
        (True, ["192.0.2.0/24", "2001:db8::/32"], "::", "--stamp"),
        (False, ["192.0.2.0/24", "198.51.100.0/24"], "0.0.0.0", "one --allow"),
        (False, ["2001:db8::/32"], "::", "IPv4 only"),
        (False, ["2001:db8::/32"], "0.0.0.0", "IPv4 only"),
        (False, ["192.0.2.0/24"], "::", "IPv4 only"),
    ],
)
def test_what_socat_can_not_do(stamp: bool, allow: list[str], bind: str, why: str) -> None:
    said = cannot(stamp, [parse_network(text) for text in allow], bind)
    assert why in said
    assert bool(said) is bool(why)


def test_a_program_that_is_not_there_has_no_version() -> None:
    assert version("/nonexistent/socat") == ""


def test_a_socat_beside_an_old_socket_says_that_it_shares_the_port() -> None:
    alone = socat_command("socat", Door("0.0.0.0", 1), "X")
    beside = socat_command("socat", Door("0.0.0.0", 1), "X", beside=True)
    assert beside == [*alone[:-2], f"{alone[-2]},reuseport", "X"]
