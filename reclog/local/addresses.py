"""The addresses of this machine that a device can write to."""

from __future__ import annotations

import ipaddress
import socket

import psutil

#: How interfaces are called behind which containers and virtual machines of this machine are.
INSIDE = ("br-", "cni", "docker", "flannel", "lxc", "lxd", "podman", "veth", "virbr", "vmnet", "vboxnet")
#: Addresses that are worth telling.
MOST = 3


def own_addresses(bind: str) -> list[str]:
    """Return where a listener bound to `bind` is reached by others: the likeliest first, at most `MOST`.

    None that is only valid on its own link, none of this machine alone unless there is no other.
    """
    if not ipaddress.ip_address(bind).is_unspecified:
        return [bind]
    families = (socket.AF_INET,) if ":" not in bind else (socket.AF_INET, socket.AF_INET6)
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        for one in addresses:
            if one.family in families and name in up:
                address = ipaddress.ip_address(one.address.partition("%")[0])
                if not address.is_link_local and not address.is_loopback:
                    found.append((name.startswith(INSIDE), address.version, str(address)))
    found.sort(key=lambda one: one[:2])
    return [address for *_, address in found[:MOST]] or ["127.0.0.1"]
