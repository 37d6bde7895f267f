"""Prove a path on this machine: send a line that exists once in the world, and find it in the file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import os
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, BinaryIO

from reclog.engine.system.address import parse_network, reachable, with_port

from ..recordings.again import again_command, stop_command
from ..recordings.registry import Recording, Registry
from ..recordings.token import text_of
from ..words import inv
from .status import contacts

#: Bytes of the file that are looked through at a time.
_BLOCK = 1024 * 1024
#: Why a connection may be closed at once.
MAY_IT_SEND = "is this address allowed (--allow)? Is its token known here (--token)?"


@dataclasses.dataclass
class Hop:
    """One step of a path and how it went."""

    path: str
    name: str
    #: Seconds; None where the step was not reached.
    took: float | None
    #: What is wrong and what to do about it; empty if it works.
    trouble: str = ""
    #: What is worth knowing and breaks nothing.
    remark: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the step works."""
        return not self.trouble and self.took is not None


@dataclasses.dataclass(frozen=True)
class Secured:
    """How a recording's port speaks TLS."""

    #: SHA-256 of its certificate, in hex.
    fingerprint: str
    #: It lets nobody in without a certificate of that one's own.
    asks: bool

    @classmethod
    def of(cls, recording: Recording) -> Secured | None:
        """Return that of a recording; None where it speaks plain text."""
        if recording.facts.get("tls") is not True:
            return None
        return cls(recording.fact("fingerprint"), bool(recording.fact("tls_clients")))

    def shake(self, sock: socket.socket) -> ssl.SSLSocket:
        """Return `sock` speaking TLS. Raises OSError, also where another certificate is shown."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        secured = context.wrap_socket(sock)
        shown = hashlib.sha256(secured.getpeercert(True) or b"").hexdigest()
        if shown != self.fingerprint:
            secured.close()
            raise OSError(errno.EPROTO, f"it shows another certificate, {shown}")
        return secured


#: What is said where the way ends before a line is sent.
ASKS = "ok; no line sent, as --tls-clients asks for a certificate that is not ours"


def probe_nothing(recording: Recording, within: float) -> list[Hop]:
    """Return what is to be said of a recording that nothing can be sent to."""
    remark = "nothing is sent: what it records, others publish"
    return [] if recording.of else [Hop(recording.name, recording.fact("subject"), 0.0, remark=remark)]


def probe_local(recording: Recording, timeout: float) -> list[Hop]:
    """Try each hop of a local recording, up to the first broken one; `timeout` seconds a hop."""
    name, port = recording.name, recording.port
    if not recording.is_alive():
        again = again_command(recording)
        if recording.is_locked():  # it runs, and can't be found by its state file
            stop = stop_command(recording)
            return [Hop(name, "process", None, f"The recorder's state is lost: `{stop}`, then `{again}`.")]
        return [Hop(name, "process", None, f"The recorder is dead: `{again}` starts it again.")]
    hops = [Hop(name, "process", 0.0), *map(functools.partial(_device, name), contacts(recording))]
    if port:
        paused, secured = why_not_recorded(recording), Secured.of(recording)
        host = own_address(recording)
        hops += probe_path(name, host, port, recording.file, timeout, paused, secured, token_of(recording))
        if recording.counters.get("udp") is True and hops[-1].ok:
            hops.append(probe_datagram(name, host, port, recording.file, timeout, paused))
    return hops


def token_of(recording: Recording) -> str:
    """Return what has to be said to it first; empty if nothing has, or that is not known here."""
    return text_of(recording.fact("token"), Registry(recording.folder.parent.parent))


def _device(name: str, device: Mapping[str, Any]) -> Hop:
    """Return the hop of a device that is dialled: nothing is sent to it."""
    if device["connected"]:
        return Hop(name, device["name"], 0.0, remark=f"connected since {device['since']}")
    trouble = (
        f"{device['name']} is not connected since {device['since']} ({device['why'] or 'no answer yet'}): it "
        "is tried again for ever."
    )
    return Hop(name, device["name"], None, trouble)


def why_not_recorded(recording: Recording) -> str:
    """Return why a line may wait, as its recorder or relay says; empty if it says nothing."""
    paused = recording.word("paused_for")
    if paused:
        return f"recording is paused ({paused}): make room"
    if recording.counters.get("listener_full") is True:
        since = recording.word("full_since")
        return f"all places for senders are taken since {since}, others wait: see --max-per-address"
    return ""


def own_address(recording: Recording) -> str:
    """Return the address at which its listener is reached on that machine itself."""
    networks = []
    for word in recording.listed("allow"):
        with contextlib.suppress(ValueError):
            networks.append(parse_network(word))
    return reachable(recording.bind or "0.0.0.0", networks)


def probe_path(
    name: str,
    host: str,
    port: int,
    file: str,
    timeout: float,
    paused: str = "",
    secured: Secured | None = None,
    token: str = "",
) -> list[Hop]:
    """Try a path of the caller's own: does `host:port` accept, and does a line end up in `file`?"""
    began = time.monotonic()
    target = with_port(host, port)
    try:
        sock = socket.create_connection((host, port), timeout=timeout)
    except OSError as error:
        reason = error.strerror or str(error)
        trouble = (
            f"{target} closed the connection ({reason}): {MAY_IT_SEND}"
            if isinstance(error, ConnectionResetError)  # accepted, and closed before we could look
            else f"{target} does not accept a connection ({reason}): is the recorder started, the port right?"
        )
        return [Hop(name, f"port {target}", None, trouble)]
    hops = [Hop(name, f"port {target}", time.monotonic() - began)]
    if secured is not None:
        began = time.monotonic()
        try:
            sock = secured.shake(sock)
        except OSError as error:
            sock.close()
            trouble = (
                f"{target} does not speak TLS with us ({error.strerror or error}): see `{inv('status')}`."
            )
            return [*hops, Hop(name, "TLS", None, trouble)]
        hops.append(Hop(name, "TLS", time.monotonic() - began, remark=ASKS if secured.asks else ""))
        if secured.asks:
            sock.close()
            return hops
    nonce = secrets.token_hex(8)
    start = size_of(file)
    sent_at = time.monotonic()
    with sock:
        try:
            sock.sendall(words_of(token, f"reclog probe {nonce}").encode("ascii"))
        except OSError as error:
            reason = error.strerror or str(error)
            trouble = f"{target} closed the connection ({reason}): {MAY_IT_SEND}"
            return [*hops, Hop(name, "line sent", None, trouble)]
        hops.append(Hop(name, "line sent", time.monotonic() - sent_at))
        took = find_line(file, nonce.encode("ascii"), start, timeout)
        if took is None and _was_refused(sock):
            trouble = f"{target} closed the connection: {MAY_IT_SEND}"
            return [*hops, Hop(name, f"file {file}", None, trouble)]
    if took is None:
        why = paused if paused else f"see `{inv('status')}`, and {file} itself"
        trouble = f"The line did not reach the file within {timeout:g} s: {why}."
        return [*hops, Hop(name, f"file {file}", None, trouble)]
    return [*hops, Hop(name, f"file {file}", took - sent_at)]


def words_of(token: str, line: str) -> str:
    """Return what a sender says: its line, behind its token if there is one."""
    return f"{token}\n{line}\n" if token else f"{line}\n"


def probe_datagram(name: str, host: str, port: int, file: str, timeout: float, paused: str = "") -> Hop:
    """Send a datagram to `host:port`, and see that it ends up in `file`."""
    hop, nonce = Hop(name, f"datagram to {with_port(host, port)}", None), secrets.token_hex(8)
    start, sent_at = size_of(file), time.monotonic()
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.sendto(f"reclog probe {nonce}".encode("ascii"), address)
    except OSError as error:
        return dataclasses.replace(hop, trouble=f"It can't be sent ({error.strerror or error}).")
    took = find_line(file, nonce.encode("ascii"), start, timeout)
    if took is None:
        why = paused or f"see `{inv('status')}`, and this machine's firewall"
        trouble = f"The datagram did not reach the file within {timeout:g} s: {why}."
        return dataclasses.replace(hop, trouble=trouble)
    return dataclasses.replace(hop, took=took - sent_at)


def find_line(file: str, needle: bytes, start: int, within: float) -> float | None:
    """Return when `needle` was seen in `file` from byte `start` on (monotonic).

    None if it was not within `within` seconds.
    """
    until = time.monotonic() + within
    at = start
    with contextlib.ExitStack() as opened:
        recorded: BinaryIO | None = None
        while True:
            with contextlib.suppress(OSError):  # not there yet, or not for us to read
                recorded = recorded or opened.enter_context(open(file, "rb"))
                # Asked first: what was set aside, or renamed, is then read to its end before the next one is.
                now, is_left = os.fstat(recorded.fileno()), not _has_name(recorded, file)
                if now.st_size < at:  # it was truncated
                    at = 0
                recorded.seek(at)
                begin = b""  # of the needle, perhaps
                while data := recorded.read(_BLOCK):
                    if needle in begin + data:
                        return time.monotonic()
                    begin = (begin + data)[-len(needle) + 1 :]
                    if time.monotonic() >= until:
                        break
                at = max(recorded.tell() - len(needle), min(at, start))
                if is_left:
                    recorded, at = None, 0
                    opened.close()
                    continue
            if time.monotonic() >= until:
                return None
            time.sleep(0.002)


def _has_name(recorded: BinaryIO, file: str) -> bool:
    """Tell whether no other file is called `file`."""
    try:
        return os.path.samestat(os.fstat(recorded.fileno()), os.stat(file))
    except FileNotFoundError:
        return True


def size_of(file: str) -> int:
    """Return the bytes of a file; 0 if there is none."""
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def _was_refused(sock: socket.socket) -> bool:
    # We keep our side open: then only who turns us away closes theirs. Had we shut it down, a refusal that
    # ends in TIME_WAIT could not be told from a recorder that has read to our end.
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
