"""Prove a path: send a line that exists once in the world, and find it in the file."""

from __future__ import annotations

import dataclasses
import os
import secrets
import socket
import time
from collections.abc import Callable

from reclog.engine.address import reachable, with_port

from .registry import Recording


@dataclasses.dataclass
class Hop:
    """One step of a path and how it went."""

    path: str
    name: str
    #: Seconds; None where the step was not reached.
    took: float | None
    #: What is wrong and what to do about it; empty if it works.
    trouble: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the step works."""
        return not self.trouble and self.took is not None


def probe_recording(recording: Recording, timeout: float) -> list[Hop]:
    """Try each hop of a local recording, up to the first broken one; `timeout` seconds a hop."""
    name, port = recording.name, recording.port
    if not recording.is_alive():
        again = f"inv local --port {port} --file {recording.file}"
        return [Hop(name, "process", None, f"The recorder is dead: `{again}` starts it again.")]
    hops = [Hop(name, "process", 0.0)]
    paused = str(recording.counters.get("paused_for") or "")
    host = reachable(str(recording.facts.get("bind", "")))
    hops += probe_path(name, host, port, recording.file, timeout, paused)
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
            f"{target} does not accept a connection ({reason}): is the recorder started, the port right?"
        )
        return [Hop(name, f"port {target}", None, trouble)]
    hops = [Hop(name, f"port {target}", time.monotonic() - began)]
    nonce = secrets.token_hex(8)
    start = _size(file)
    sent_at = time.monotonic()
    with sock:
        try:
            sock.sendall(f"reclog probe {nonce}\n".encode("ascii"))
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            reason = error.strerror or str(error)
            trouble = f"{target} closed the connection ({reason}): is this address allowed (--allow)?"
            return [*hops, Hop(name, "line sent", None, trouble)]
        hops.append(Hop(name, "line sent", time.monotonic() - sent_at))
        took = _find(file, nonce.encode("ascii"), start, lambda: time.monotonic() - sent_at < timeout)
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


def _find(file: str, needle: bytes, start: int, time_left: Callable[[], bool]) -> float | None:
    """Return when `needle` was seen in `file` from byte `start` on (monotonic); None if it never was."""
    while True:
        try:
            with open(file, "rb") as recorded:
                # A file that is smaller than it was has been truncated or replaced: read all of it.
                recorded.seek(start if os.fstat(recorded.fileno()).st_size >= start else 0)
                if needle in recorded.read():
                    return time.monotonic()
        except FileNotFoundError:
            pass
        if not time_left():
            return None
        time.sleep(0.002)


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def _was_refused(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        sock.recv(1)
    except ConnectionError:
        return True
    except OSError:
        return False
    return False
