"""The peers that reclog is compared with."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import BACKLOG, CONNECTIONS, Ncat, Peer, Socat, SocketServer
from benchmarks.syslogs import Rsyslog, SyslogNg


def peers(cache: Path) -> list[Peer]:
    """Return the peers; packages that aren't installed are unpacked in `cache`."""
    return [
        Socat("socat, as in the old script", (), ""),
        Socat("socat, tuned", ("-b", "65536"), f",backlog={BACKLOG},max-children={CONNECTIONS}"),
        Ncat(),
        Rsyslog("imtcp", cache),
        Rsyslog("imptcp", cache),
        SyslogNg(cache),
        SocketServer(),
    ]


def of_datagrams(cache: Path) -> list[Peer]:
    """Return those that record datagrams."""
    return [Rsyslog("imudp", cache), SyslogNg(cache, "udp")]
