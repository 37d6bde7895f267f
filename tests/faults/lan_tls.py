"""reclog on a LAN, whose senders speak TLS, as a system on the stage."""

from __future__ import annotations

import socket

from bench import Home
from lan import Lan
from tls_sender import tls_connection


class LanTls(Lan):
    """`inv local --tls`."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, "builtin", "--tls")
        self.name = "lan, TLS"

    def post(self) -> None:
        """Return None: beside TLS there are no datagrams."""

    def connect(self) -> socket.socket:
        """Connect as a sender, and shake hands."""
        (certificate,) = (self.home.state / "reclog" / "tls").glob("*.pem")
        sock = tls_connection(self.port, str(certificate))
        sock.settimeout(5)
        sock.sendall(self.token)
        return sock
