"""The collector of a recording through a tremplin: its name, its port here, its start and end."""

from __future__ import annotations

import getpass
import secrets
import socket
import subprocess
from typing import TYPE_CHECKING

from reclog.engine.records.jsonfile import read_json, write_json

from ..errors import ForbiddenError, PortBusyError, RelayError
from ..recordings.launch import launch
from ..recordings.processes import end, exact, holder_of
from ..recordings.registry import Recording, Registry

if TYPE_CHECKING:
    from ..recordings.settings import TremplinSettings

#: Seconds for the tunnel to come up and the relay to answer.
READY_WITHIN = 30.0


def collector_id(registry: Registry) -> str:
    """Return the name by which relays know this user on this machine; made once, kept in the state folder."""
    path = registry.root / "collector.json"
    try:
        known = read_json(str(path)).get("id")
    except (OSError, ValueError):
        known = None
    if not isinstance(known, str) or not known:
        known = f"{getpass.getuser()}@{socket.gethostname()} ({secrets.token_hex(4)})"
        registry.make()
        write_json(str(path), {"id": known})
    return known


def start_collector(recording: Recording) -> tuple[subprocess.Popen[bytes], int]:
    """Start the collector of a recording; return it and the bytes that wait for it. Raises RelayError."""
    process, answer = launch("collector", recording, within=READY_WITHIN)
    if not answer.get("ready"):
        trouble = Recording(recording.folder).word("paused_for")
        if trouble and "cause" not in answer:
            raise RelayError(f"The tunnel does not come up ({trouble}): see that sshd and the relay can run.")
        kind = ForbiddenError if answer.get("cause") == "forbidden" else RelayError
        raise kind(str(answer.get("message")))
    return process, int(answer.get("lag_bytes", 0))


def end_collector(recording: Recording) -> None:
    """End the collector of a recording, if it runs."""
    now = Recording(recording.folder)
    daemon = exact(now.identity) if now.identity else None
    if daemon is not None:
        end([daemon], term_within=5.0)


def local_port(settings: TremplinSettings) -> tuple[int, str]:
    """Return the local port to use, and what is to be said of it. Raises PortBusyError."""
    port = settings.port_local
    if is_free(port):
        return port, ""
    if settings.port_local_given:
        holder = holder_of(port) or "another process"
        raise PortBusyError(f"Port {port} is taken by {holder}: choose another --port-local.")
    while not is_free(port):
        port += 1
        if port > 65535:
            raise PortBusyError("No port above is free: choose one with --port-local.")
    return port, f" ({settings.port_local} is taken here: the next free port)"


def is_free(port: int) -> bool:
    """Tell whether a port of this machine can be bound."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # On all addresses: a relay or recorder of this machine, on 0.0.0.0, holds it too.
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
