"""Prove a path: send a line that exists once in the world, and find it in the file."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shlex
import socket
import time

from reclog.engine.records.names import SSH_CONFIG
from reclog.engine.system.address import reachable, with_port

from ..errors import HostError
from ..recordings.registry import Recording
from ..tremplin.again import again_command
from ..tremplin.remote import answers, look, send_words, why_not_sent
from ..tremplin.ssh import login

#: Bytes of the file that are looked through at a time.
_BLOCK = 1024 * 1024


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


def probe_recording(recording: Recording, timeout: float) -> list[Hop]:
    """Try each hop of a recording, of whichever kind."""
    return (probe_tremplin if recording.kind == "tremplin" else probe_local)(recording, timeout)


def probe_local(recording: Recording, timeout: float) -> list[Hop]:
    """Try each hop of a local recording, up to the first broken one; `timeout` seconds a hop."""
    name, port = recording.name, recording.port
    if not recording.is_alive():
        again = shlex.join(["inv", "local", "--port", str(port), "--file", recording.file])
        if recording.is_locked():  # it runs, and can't be found by its state file
            stop = f"inv kill --port {port}" if port else "inv kill"
            return [Hop(name, "process", None, f"The recorder's state is lost: `{stop}`, then `{again}`.")]
        return [Hop(name, "process", None, f"The recorder is dead: `{again}` starts it again.")]
    hops = [Hop(name, "process", 0.0)]
    paused = recording.word("paused_for")
    host = reachable(recording.bind or "0.0.0.0")
    hops += probe_path(name, host, port, recording.file, timeout, paused)
    return hops


def probe_tremplin(recording: Recording, timeout: float) -> list[Hop]:
    """Try each hop of a recording through a tremplin, up to the first broken one."""
    name, alias, file = recording.name, recording.host, recording.file
    config, port = recording.folder / SSH_CONFIG, recording.port
    again = again_command(recording)
    hops: list[Hop] = []
    began = time.monotonic()
    try:
        seen = look(config, alias)
    except HostError as error:
        return [Hop(name, f"ssh {alias}", None, str(error))]
    hops.append(Hop(name, f"ssh {alias}", time.monotonic() - began))
    relay = seen["relays"].get(recording.fact("relay_folder").rpartition("/")[2])
    if not relay or not relay["alive"]:
        trouble = f"The relay on {alias} does not run: `{again}` starts it, its spool is kept."
        return [*hops, Hop(name, "relay process", None, trouble)]
    hops.append(Hop(name, "relay process", 0.0))
    start, nonce = _size(file), secrets.token_hex(8)
    began = time.monotonic()
    said = why_not_sent(login(config, alias, shlex.join(send_words(port, f"reclog probe {nonce}"))))
    if said:
        trouble = f"Port {port} does not answer on {alias} itself ({said}): see its host's firewall."
        return [*hops, Hop(name, f"port {port} there", None, trouble)]
    hops.append(Hop(name, f"port {port} there", time.monotonic() - began))
    if not recording.is_alive():
        return [*hops, Hop(name, "collector", None, f"The collector is dead: `{again}` starts it again.")]
    hops.append(Hop(name, "collector", 0.0))
    if recording.state == "reconnecting":
        why = recording.word("paused_for") or "not connected"
        trouble = f"The tunnel is down ({why}): it is tried again by itself; see `inv status`."
        return [*hops, Hop(name, "tunnel and feed", None, trouble)]
    hops.append(Hop(name, "tunnel and feed", 0.0))
    took = find_line(file, nonce.encode("ascii"), start, timeout)
    if took is None:
        why = (
            recording.word("paused_for") or f"{recording.count('lag_bytes')} bytes are on their way before it"
        )
        trouble = f"The line did not reach the file within {timeout:g} s ({why})."
        return [*hops, Hop(name, f"file {file}", None, trouble)]
    hops.append(Hop(name, f"file {file}", took - began))
    hostname = recording.fact("hostname") or alias
    began = time.monotonic()
    closed = answers(hostname, port)
    note = f"not reachable from here ({closed}): a firewall, or a network that your devices don't share"
    hops.append(
        Hop(name, f"{hostname}:{port} from here", time.monotonic() - began, remark=note if closed else "")
    )
    return hops


def probe_path(name: str, host: str, port: int, file: str, timeout: float, paused: str = "") -> list[Hop]:
    """Try a path of the caller's own: does `host:port` accept, and does a line end up in `file`?"""
    began = time.monotonic()
    target = with_port(host, port)
    try:
        sock = socket.create_connection((host, port), timeout=timeout)
    except OSError as error:
        reason = error.strerror or str(error)
        trouble = (
            f"{target} closed the connection ({reason}): is this address allowed (--allow)?"
            if isinstance(error, ConnectionResetError)  # accepted, and closed before we could look
            else f"{target} does not accept a connection ({reason}): is the recorder started, the port right?"
        )
        return [Hop(name, f"port {target}", None, trouble)]
    hops = [Hop(name, f"port {target}", time.monotonic() - began)]
    nonce = secrets.token_hex(8)
    start = _size(file)
    sent_at = time.monotonic()
    with sock:
        try:
            sock.sendall(f"reclog probe {nonce}\n".encode("ascii"))
        except OSError as error:
            reason = error.strerror or str(error)
            trouble = f"{target} closed the connection ({reason}): is this address allowed (--allow)?"
            return [*hops, Hop(name, "line sent", None, trouble)]
        hops.append(Hop(name, "line sent", time.monotonic() - sent_at))
        took = find_line(file, nonce.encode("ascii"), start, timeout)
        if took is None and _was_refused(sock):
            trouble = f"{target} closed the connection: is this address allowed (--allow)?"
            return [*hops, Hop(name, f"file {file}", None, trouble)]
    if took is None:
        why = (
            f"recording is paused ({paused}): make room" if paused else f"see `inv status`, and {file} itself"
        )
        trouble = f"The line did not reach the file within {timeout:g} s: {why}."
        return [*hops, Hop(name, f"file {file}", None, trouble)]
    return [*hops, Hop(name, f"file {file}", took - sent_at)]


def find_line(file: str, needle: bytes, start: int, within: float) -> float | None:
    """Return when `needle` was seen in `file` from byte `start` on (monotonic).

    None if it was not within `within` seconds.
    """
    until = time.monotonic() + within
    at, inode = start, 0
    while True:
        try:
            with open(file, "rb") as recorded:
                now = os.fstat(recorded.fileno())
                # A file that is smaller than it was has been truncated, another one replaced: read all of it.
                if now.st_size < at or inode not in (0, now.st_ino):
                    at = 0
                inode = now.st_ino
                recorded.seek(at)
                begin = b""  # of the needle, perhaps
                while data := recorded.read(_BLOCK):
                    if needle in begin + data:
                        return time.monotonic()
                    begin = (begin + data)[-len(needle) + 1 :]
                    if time.monotonic() >= until:
                        break
                at = max(recorded.tell() - len(needle), min(at, start))
        except OSError:
            pass  # not there yet, or not for us to read: the caller says that nothing was found
        if time.monotonic() >= until:
            return None
        time.sleep(0.002)


def _size(file: str) -> int:
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
    except BlockingIOError:
        return False
    except OSError:
        return True
