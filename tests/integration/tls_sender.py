"""A sender that speaks TLS, and knows how much of its text the other kernel has taken, in whole records."""

from __future__ import annotations

import bisect
import contextlib
import socket
import ssl

from swarm import unacknowledged


class TlsSocket(socket.socket):
    """A socket on which `send` encrypts: what it took is on the wire."""

    def shake(self, context: ssl.SSLContext, name: str) -> None:
        """Do the handshake of a client. Raises OSError."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        # Where each record ends, in bytes of the wire, and of the text.
        self._wire, self._text = [0], [0]
        self._rest = b""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                super().sendall(self._out.read())
                came = self.recv(65536)
                if not came:
                    raise ConnectionError("it ended in its handshake") from None
                self._in.write(came)
            else:
                super().sendall(self._out.read())
                return

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]
        """Send one record of `data`; return how much of it that is. What is not on its way yet goes first.

        Raises OSError.
        """
        self.flush()
        piece = bytes(data[:16000])
        self._tls.write(piece)
        self._rest = self._out.read()
        self._wire.append(self._wire[-1] + len(self._rest))
        self._text.append(self._text[-1] + len(piece))
        with contextlib.suppress(TimeoutError):
            self.flush()
        return len(piece)

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        """Send all of it. Raises OSError."""
        while data:
            data = data[self.send(data) :]
        self.flush()

    def flush(self) -> None:
        """Send what is encrypted. Raises OSError."""
        while self._rest:
            self._rest = self._rest[super().send(self._rest) :]

    def outstanding(self) -> int:
        """Return the bytes of text that were sent and that the other kernel has no whole record of."""
        with contextlib.suppress(TimeoutError):
            self.flush()
        accepted = self._wire[-1] - len(self._rest) - unacknowledged(self)
        return self._text[-1] - self._text[bisect.bisect_right(self._wire, accepted) - 1]


def tls_connection(
    port: int,
    certificate: str,
    version: ssl.TLSVersion | None = None,
    show: tuple[str, str] | None = None,
    name: str = "localhost",
) -> TlsSocket:
    """Connect to a port of the loopback, whose certificate is known. Raises OSError."""
    context = ssl.create_default_context(cafile=certificate)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if show is not None:
        context.load_cert_chain(*show)
    sock = TlsSocket()
    try:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        sock.shake(context, name)
    except BaseException:
        sock.close()
        raise
    return sock
