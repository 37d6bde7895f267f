"""Addresses as people write them, and who may send."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from typing import Any, Iterator, Sequence, Union

#: Bytes of a sender's name.
LONGEST_NAME = 64

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def host_of(peer: Sequence[Any]) -> str:
    """Return the numeric address of a socket name; an IPv4 sender on an IPv6 listener is IPv4."""
    host = str(peer[0])
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def with_port(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in brackets (RFC 3986)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def site_of(host: str) -> Union[str, bytes]:
    """Return what stands for the one who has the address `host`: itself, or of IPv6 its /64."""
    if ":" not in host:
        return host
    return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8]


def parse_network(text: str) -> Network:
    """Return the network that `text` (address or address/bits) names. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def allows(networks: Sequence[Network], host: str) -> bool:
    """Tell whether a sender at `host` may send; no networks means that everyone may."""
    if not networks:
        return True
    address = ipaddress.ip_address(host.partition("%")[0])
    return any(address.version == network.version and address in network for network in networks)


def named_address(text: str) -> tuple[str, str]:
    """Return the address and its name that `ADDRESS=NAME` says. Raises ValueError."""
    address, _, name = text.rpartition("=")
    if not address or not 0 < len(name.encode()) <= LONGEST_NAME or not name.isprintable() or " " in name:
        raise ValueError(f"a name is printable, without a space, and has at most {LONGEST_NAME} bytes")
    return address, name


@contextlib.contextmanager
def short_name(path: str) -> Iterator[str]:
    """Yield a name of `path` that fits a UNIX socket's address: 108 bytes, and a state folder may be deeper.

    Raises OSError.
    """
    if len(os.fsencode(path)) < 100:
        yield path
        return
    if not os.path.isdir("/proc/self/fd"):
        raise OSError(errno.ENAMETOOLONG, f"{path} is too long for a socket here: set XDG_STATE_HOME")
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def everywhere() -> str:
    """Return the address that means all of this machine: of both families, where it has IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(("::", 0))
    except OSError:
        return "0.0.0.0"
    return "::"


def reachable(bind: str, allow: Sequence[Network] = ()) -> str:
    """Return the address at which a listener bound to `bind` is reached from its own machine.

    Whoever connects to it comes from it, too: where there are several, it is one that may send.
    """
    own = {"0.0.0.0": ["127.0.0.1"], "::": ["127.0.0.1", "::1"]}.get(bind, [bind])
    return next((one for one in own if allows(allow, one)), own[0])
