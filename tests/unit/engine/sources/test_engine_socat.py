from __future__ import annotations

import pytest

from reclog.engine.sources.socat import socat_command, version
from reclog.engine.sources.source import Asked
from reclog.engine.system.address import parse_network

KEEPALIVE = "keepalive,keepidle=60,keepintvl=10,keepcnt=6,oobinline"


def test_the_command_for_all_addresses() -> None:
    assert socat_command("/usr/bin/socat", Asked("0.0.0.0", 55514), "UNIX-CONNECT:senders") == [
        *("/usr/bin/socat", "-b", "65536", "-t", "0"),
        f"TCP4-LISTEN:55514,bind=0.0.0.0,reuseaddr,fork,backlog=4096,max-children=1000,{KEEPALIVE}",
        "UNIX-CONNECT:senders",
    ]


def test_the_command_for_one_network() -> None:
    asked = Asked("192.0.2.7", 1, [parse_network("192.0.2.0/24")], places=7)
    # -d: whom it refuses is said.
    assert socat_command("socat", asked, "UNIX-CONNECT:senders") == [
        *("socat", "-d", "-b", "65536", "-t", "0"),
        f"TCP4-LISTEN:1,bind=192.0.2.7,reuseaddr,fork,backlog=4096,max-children=7,{KEEPALIVE},range=192.0.2.0/24",
        "UNIX-CONNECT:senders",
    ]


@pytest.mark.parametrize(("bind", "only"), [("::", 0), ("::1", 1), ("2001:db8::1", 1)])
def test_the_command_for_ipv6(bind: str, only: int) -> None:
    assert socat_command("socat", Asked(bind, 65535), "UNIX-CONNECT:senders") == [
        *("socat", "-b", "65536", "-t", "0"),
        f"TCP6-LISTEN:65535,bind=[{bind}],ipv6only={only},reuseaddr,fork,backlog=4096,max-children=1000,{KEEPALIVE}",
        "UNIX-CONNECT:senders",
    ]


def test_the_command_for_the_bare_sink() -> None:
    assert socat_command("socat", Asked("127.0.0.1", 2, places=3), "FD:9", one_way=True) == [
        *("socat", "-u", "-b", "65536", "-t", "0"),
        *(f"TCP4-LISTEN:2,bind=127.0.0.1,reuseaddr,fork,backlog=4096,max-children=3,{KEEPALIVE}", "FD:9"),
    ]


def test_the_command_for_the_bare_sink_of_one_network() -> None:
    asked = Asked("0.0.0.0", 2, [parse_network("192.0.2.7")], places=3)
    command = socat_command("socat", asked, "FD:9", one_way=True)
    assert command[:7] == ["socat", "-u", "-d", "-b", "65536", "-t", "0"]
    assert command[7].endswith(f",max-children=3,{KEEPALIVE},range=192.0.2.7/32")
    assert command[8:] == ["FD:9"]


def test_a_program_that_is_not_there_has_no_version() -> None:
    assert version("/nonexistent/socat") == ""
