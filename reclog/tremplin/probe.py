"""Prove a path through a tremplin, hop by hop."""

from __future__ import annotations

import secrets
import shlex
import socket
import time
from typing import TYPE_CHECKING

from reclog.engine.system.address import allows, parse_network, reachable

from ..errors import HostError, RelayError
from ..look.probe import (
    ASKS,
    Hop,
    Secured,
    find_line,
    own_address,
    probe_datagram,
    probe_local,
    probe_nothing,
    size_of,
    token_of,
    why_not_recorded,
    words_of,
)
from ..recordings.again import again_command
from ..recordings.registry import Recording
from ..recordings.settings import TremplinSettings
from ..words import inv
from .login import Way, login
from .scripts import send_words, why_not_sent
from .survey import survey

if TYPE_CHECKING:  # they bring Fabric, which takes as long to import as all else
    from .place import Say
    from .remote import RemoteRelay

#: Seconds for the line of a start to come through.
PROBE_WITHIN = 5.0
#: Seconds for a datagram, which may never come.
DATAGRAM_WITHIN = 1.5


def probe_tremplin(recording: Recording, timeout: float) -> list[Hop]:
    """Try each hop of a recording through a tremplin, up to the first broken one."""
    name, alias, file = recording.name, recording.host, recording.file
    port = recording.port
    again = again_command(recording)
    hops: list[Hop] = []
    began = time.monotonic()
    try:
        way = Way.of(recording)
        seen = survey(way)
    except HostError as error:
        return [Hop(name, f"ssh {alias}", None, str(error))]
    hops.append(Hop(name, f"ssh {alias}", time.monotonic() - began))
    relay = seen.relays.get(recording.fact("relay_folder").rpartition("/")[2])
    if relay is None or not relay.pid:
        trouble = f"The relay on {alias} does not run: `{again}` starts it, its spool is kept."
        return [*hops, Hop(name, "relay process", None, trouble)]
    hops.append(Hop(name, "relay process", 0.0))
    start, nonce = size_of(file), secrets.token_hex(8)
    began = time.monotonic()
    secured = Secured.of(recording)
    asks = secured is not None and secured.asks
    words = send_words(own_address(recording), port, secured.fingerprint if secured else "")
    text = words_of(token_of(recording), f"reclog probe {nonce}")
    said = "" if asks else why_not_sent(login(way, shlex.join(words), text))
    if said:
        trouble = f"Port {port} does not answer on {alias} itself ({said}): see its host's firewall."
        return [*hops, Hop(name, f"port {port} there", None, trouble)]
    hops.append(Hop(name, f"port {port} there", time.monotonic() - began, remark=ASKS if asks else ""))
    if not recording.is_alive():
        return [*hops, Hop(name, "collector", None, f"The collector is dead: `{again}` starts it again.")]
    hops.append(Hop(name, "collector", 0.0))
    if recording.state == "reconnecting":
        why = recording.word("paused_for") or "not connected"
        trouble = f"The tunnel is down ({why}): it is tried again by itself; see `{inv('status')}`."
        return [*hops, Hop(name, "tunnel and feed", None, trouble)]
    hops.append(Hop(name, "tunnel and feed", 0.0))
    took = began if asks else find_line(file, nonce.encode("ascii"), start, timeout)
    if took is None:
        why = (
            why_not_recorded(Recording(recording.folder))
            or f"{recording.count('lag_bytes')} bytes are on their way before it"
        )
        trouble = f"The line did not reach the file within {timeout:g} s ({why})."
        return [*hops, Hop(name, f"file {file}", None, trouble)]
    if not asks:
        hops.append(Hop(name, f"file {file}", took - began))
    hostname = recording.fact("hostname") or alias
    began = time.monotonic()
    closed = answers(hostname, port)
    note = f"not reachable from here ({closed}): a firewall, or a network that your devices don't share"
    hops.append(
        Hop(name, f"{hostname}:{port} from here", time.monotonic() - began, remark=note if closed else "")
    )
    if recording.hears_datagrams:
        sent = probe_datagram(name, hostname, port, file, DATAGRAM_WITHIN)
        note = "not seen: a firewall, or a network that loses datagrams" if sent.trouble else ""
        hops.append(Hop(name, f"{sent.name} from here", sent.took or DATAGRAM_WITHIN, remark=note))
    return hops


#: How each kind of recording is proved.
PROBES = {"local": probe_local, "tremplin": probe_tremplin, "subscriber": probe_nothing}


def prove(relay: RemoteRelay, settings: TremplinSettings, fingerprint: str, token: str, say: Say) -> None:
    """Send a line there, where that is let in, and find it in the file here. Raises RelayError."""
    allow = [parse_network(word) for word in settings.allow]
    own = reachable(settings.bind, allow)
    why = "" if allows(allow, own) else f"--allow leaves {own} out"
    if settings.tls_clients:
        why = "--tls-clients asks for a certificate"
    if settings.token and not token:
        why = "its token is not known here"
    if why:
        say(f"note: {why}, so no line was sent there to prove the path")
        return
    nonce, start = secrets.token_hex(8), size_of(settings.file)
    began = time.monotonic()
    relay.send(own, settings.port_remote_in, words_of(token, f"reclog probe {nonce}"), fingerprint)
    seen = find_line(settings.file, nonce.encode("ascii"), start, PROBE_WITHIN)
    if seen is None:
        raise RelayError(
            f"A line sent on the tremplin did not reach {settings.file} within {PROBE_WITHIN:g} s: "
            f"`{inv('test-connection')}` names the hop."
        )
    say(f"proved: a line sent there is in {settings.file} after {(seen - began) * 1000:.0f} ms")


def answers(hostname: str, port: int, within: float = 1.5) -> str:
    """Return why `hostname:port` does not answer from here; empty if it does."""
    try:
        socket.create_connection((hostname, port), timeout=within).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
