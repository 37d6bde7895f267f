"""Where the tunnel ends on the tremplin: a UNIX socket in the relay's folder, or a port of its 127.0.0.1.

Any user of the tremplin gets to a port, and can keep its owner out by a flood of connections; the socket is
the owner's alone. Whether sshd forwards to it is found out by trying (sshd_config(5),
AllowStreamLocalForwarding).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reclog.engine.records.names import FEED

from ..recordings.settings import TremplinSettings
from .package import build, digest
from .survey import Relay

#: The port where there is no socket.
PORT = 55614
#: Bytes of a UNIX socket's name, at most: 108 on Linux, 104 elsewhere (unix(7)), with the zero at its end.
LONGEST = 103


def ends(settings: TremplinSettings, known: Relay | None, folder: str) -> Sequence[int]:
    """Return the ports to try, one after the other; 0 is the socket."""
    if settings.port_remote_out:
        return [settings.port_remote_out]
    if known is not None and known.port_out and known.program == digest(build()):
        return [known.port_out]  # it was decided when it was started
    port = PORT if settings.port_remote_in != PORT else PORT + 1
    # ssh splits its forwards at colons, and replaces tokens and variables in them (ssh_config(5)).
    path = where(0, folder)
    plain = re.fullmatch(r"/[\w./@+,=-]+", path, re.ASCII) and len(path) <= LONGEST
    return [0, port] if plain else [port]


def where(port: int, folder: str) -> str:
    """Return where a tunnel to the relay of `folder` ends, as ssh's forwards name it."""
    return f"127.0.0.1:{port}" if port else f"{folder}/{FEED}"
