"""TLS: what one connection says, decrypted (RFC 8446, RFC 5246).

Rules kept here:

- No session tickets of TLS 1.3: they lie unread at a sender that never reads. Its close is a reset then, and
  what is on its way to us is lost: of 6 MB 2.8 came, and it looked like a clean end.
- What is encrypted is read from the kernel here, and given to `ssl` in memory: a stop can do with it what it
  can do with a plain connection.
- What TLS has to answer is sent after each read.
- Before a whole ClientHello is here nothing is made for it: a half handshake costs 46 KiB. What begins as
  something else is told.
- Handshakes have their share of each turn; who finds it used is read in the next one.
- An end without close_notify is a cut: more may have been said.
- Half a record can't be read. Where no more is accepted, its rest is: that, and not a byte behind it.
"""

from __future__ import annotations

import errno
import socket
import ssl

from ..errors import EngineError
from ..system.loop import Loop
from ..system.segments import accept_until, acknowledge, first_sequence
from .plain import Plain
from .stream import Unspoken

#: Seconds of each turn for handshakes; one takes 0.3 ms.
SHARE = 0.004
#: Bytes that are decrypted at a time: each connection keeps a buffer of as many.
PIECE = 64 * 1024
#: Bytes of the largest ClientHello.
HELLO_MAX = 16 * 1024
#: Bytes of a record's header (RFC 8446, 5.1): its type, a version, its length. How one of a handshake begins.
HEADER = 5
HANDSHAKE = b"\x16\x03"
PLAIN_TEXT = Unspoken("speaks plain text: have it speak TLS, or start without --tls")
NEITHER = Unspoken("speaks neither TLS nor text")


class TlsUnusable(EngineError):
    """The certificate, its key, or the CA of the clients can't be used."""

    cause = "tls"


class Secured:
    """What the TLS connections of one port have in common."""

    def __init__(self, loop: Loop, certificate: str, key: str, clients: str) -> None:
        """Have those files (PEM); no `clients`: nobody is asked for a certificate. Raises TlsUnusable."""
        self._clients = clients
        self.load(certificate, key)
        #: Where all that is encrypted is received.
        self.room = memoryview(bytearray(PIECE))
        self._now = loop.now
        self._left = SHARE
        loop.after_turn(self._renew)

    def load(self, certificate: str, key: str) -> None:
        """Have newcomers see another certificate. Raises TlsUnusable, and they see the old one then."""
        # In another context: one has a certificate for each kind of key, and would show the old one, too.
        self.context = _serving(certificate, key, self._clients)

    def carry(self, sock: socket.socket) -> Tls:
        """Return the stream of a connection."""
        return Tls(sock, self)

    @property
    def busy(self) -> bool:
        """Tell whether this turn had its share of handshakes."""
        return self._left <= 0

    def shake(self, tls: ssl.SSLObject) -> None:
        """Go on with a handshake. Raises OSError: SSLWantReadError where it needs more."""
        began = self._now()
        try:
            tls.do_handshake()
        finally:
            self._left -= self._now() - began

    def _renew(self) -> None:
        self._left = SHARE


class Tls(Plain):
    """What one connection says by TLS."""

    def __init__(self, sock: socket.socket, secured: Secured) -> None:
        super().__init__(sock)
        self.shaking = True
        self.holds = False
        self._secured = secured
        self._tls: ssl.SSLObject | None = None
        self._in: ssl.MemoryBIO
        self._out: ssl.MemoryBIO
        # Bytes received; where among them the last record begins whose header is here, and the next.
        self._taken = self._begin = self._next = 0
        # Of these, what `ssl` was not given: a hello, or a header, that is not whole.
        self._held = b""
        self._refused = False
        # The sequence number of its first byte, where it is told.
        self._first: int | None = None
        # How it ended.
        self._over: OSError | None = None

    @property
    def half(self) -> int:
        """Bytes that are here and can't be read before their record is whole."""
        return 0 if self.shaking else self._taken - (self._begin if self._next > self._taken else self._next)

    def receive_into(self, room: memoryview) -> int:
        """Put what was said into `room`; 0 once it was said that this is all. Raises OSError.

        With no room a handshake goes on, and 0 tells that it is done.
        """
        filled = 0
        more = True
        while more and (self.shaking or filled < len(room)) and self._over is None:
            try:
                more = self.holds or self._fetch()
            except BlockingIOError:
                break
            except OSError as error:
                self._over = error
            else:
                filled += self._decrypt(room[filled:])
        if filled or not (len(room) or self.shaking):
            self.holds = self.holds or self._over is not None
            return filled
        if self._over is None:
            raise BlockingIOError
        if isinstance(self._over, _Closed):
            return 0
        raise self._over

    def answer(self, words: bytes) -> None:
        """Say something back, as far as that goes without waiting."""
        if self._tls is not None and not self.shaking:
            try:
                self._tls.write(words)
            except ssl.SSLError:
                return
            self._answer()

    def refuse(self) -> bool:
        """Accept not a byte more, but for the rest of a record; False where the system can't."""
        if not self._refused:
            self._refused = True
            self._first = first_sequence(self._sock)
        return super().refuse()

    def _fetch(self) -> bool:
        """Take from the kernel what is encrypted; tell whether there may be more. Raises OSError."""
        if self.shaking and (self._tls is None if self._refused else self._secured.busy):
            raise BlockingIOError  # who has not begun said nothing, and will not; others wait for their turn
        room, held = self._secured.room, len(self._held)
        room[:held] = self._held
        try:
            count = self._sock.recv_into(room[held:], 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if self._refused and self.half:
                self._accept_the_rest()
            raise
        if not count:
            why = (
                "closed before its TLS handshake was done" if self.shaking else "cut: not closed as TLS asks"
            )
            raise ConnectionAbortedError(errno.ECONNABORTED, why)
        here = held + count
        self._taken += count
        whole = self._follow(room[:here])
        if self._tls is None:
            if not self._begins(room[:here]):
                self._held = bytes(room[:here])
                raise BlockingIOError
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = self._secured.context.wrap_bio(self._in, self._out, server_side=True)
        self._held = bytes(room[whole:here])
        self._in.write(room[:whole])
        return here == len(room)

    def _follow(self, came: memoryview) -> int:
        """Go from record to record through what came; return where a header begins that is not whole."""
        size, begin = len(came), None
        base = self._taken - size
        at = self._next - base
        last = size - HEADER
        while at <= last:
            begin = at
            at += HEADER + (came[at + 3] << 8 | came[at + 4])
        if begin is not None:
            self._begin = base + begin
        self._next = base + at
        return min(at, size)

    def _begins(self, came: memoryview) -> bool:
        """Tell whether all of its hello is here. Raises OSError if it is none."""
        if came[0] != HANDSHAKE[0]:
            text = 32 <= came[0] < 127 or came[0] in b"\t\r\n"
            raise OSError(errno.EPROTO, PLAIN_TEXT if text else NEITHER)
        if not HANDSHAKE.startswith(bytes(came[:2])) or self._next > HELLO_MAX:
            raise OSError(errno.EPROTO, "its TLS handshake does not begin as one")
        return 0 < self._next <= len(came)

    def _decrypt(self, room: memoryview) -> int:
        """Put into `room` what of it is whole; return how many bytes. What is wrong with it ends it."""
        tls, filled, size = self._tls, 0, len(room)
        assert tls is not None
        self.holds = False
        try:
            if self.shaking:
                self._secured.shake(tls)
                self.shaking = False
                acknowledge(self._sock)  # else Nagle's algorithm keeps the first line 40 ms at its sender
            read, left = tls.read, self._in
            rest = self.half - len(self._held)
            while filled < size:
                count: int = read(size - filled, room[filled:])  # type: ignore[assignment]
                if not count:
                    self._over = _Closed()
                    tls.unwrap()
                    break
                filled += count
                if left.pending <= rest and filled < size:
                    break
            else:
                self.holds = True  # perhaps: it is asked before the kernel is
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._over = self._over or OSError(errno.EPROTO, f"its TLS fails: {_said(error)}")
        self._answer()
        return filled

    def _answer(self) -> None:
        if not self._out.pending:
            return
        words = self._out.read()
        try:
            sent = self._sock.send(words, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the next read tells of it
        if sent < len(words):
            self._over = self._over or OSError(errno.EPROTO, "it does not read what TLS answers")

    def _accept_the_rest(self) -> None:
        """Accept what is missing of the last record, or of its header."""
        if self._first is not None:
            end = self._next if self._next > self._taken else self._next + HEADER
            accept_until(self._sock, self._first + end)


class _Closed(OSError):
    """The sender said that this is all."""


def _serving(certificate: str, key: str, clients: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key, password="")  # else a passphrase is asked for at a terminal
    except OSError as error:
        raise TlsUnusable(
            f"{certificate} with {key} can't be used ({_said(error)}): see --tls-cert and --tls-key."
        ) from error
    try:
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise TlsUnusable(f"{clients} holds no CA ({_said(error)}): see --tls-clients.") from error
    return context


def _said(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else error.strerror or str(error)
