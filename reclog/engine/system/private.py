"""A UNIX socket in a daemon's own folder: nobody else's processes reach what listens there."""

from __future__ import annotations

import os
import socket

from .address import short_name
from .disk import DISK
from .kernel import peer_uid


def listen_at(path: str, backlog: int, sock: socket.socket | None = None) -> socket.socket:
    """Listen at `path`, in the place of a daemon that is dead: the folder's lock is ours. Raises OSError."""
    sock = sock or socket.socket(socket.AF_UNIX)
    DISK.remove(path)
    with short_name(path) as name:
        sock.bind(name)
    os.chmod(path, 0o600)
    sock.setblocking(False)
    sock.listen(backlog)
    return sock


def is_own(sock: socket.socket) -> bool:
    """Tell whether this user, or root, is at the other end of a UNIX socket; True where nobody can tell."""
    return peer_uid(sock) in (None, os.geteuid(), 0)
