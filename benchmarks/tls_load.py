"""Senders that speak TLS, with the lines of load.c. As a program it prints what they did, one JSON object.

tls_load.py bulk PORT LINES              one sender; all is encrypted before the clock runs
tls_load.py shake PORT COUNT RATE        COUNT connections of a short line each, RATE a second (0: all)
tls_load.py pace PORT RATE SECONDS       one sender, RATE lines a second, each stamped when it is sent
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable

FILLING = 60
"""Bytes of a line that fill it up."""

THREADS = 4
"""Those that shake hands."""


def line(sender: int, number: int, when: int = 0) -> bytes:
    """Return a line as load.c makes it."""
    filling = bytes([ord("a") + (sender * 7 + number) % 26]) * FILLING
    return b"%07d %010d %019d %s\n" % (sender, number, when, filling)


def context() -> ssl.SSLContext:
    """Return what trusts anybody: what is measured is the other end."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def connected(port: int, by: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection through its handshake."""
    return by.wrap_socket(socket.create_connection(("127.0.0.1", port)))


def bulk(port: int, lines: int) -> tuple[float, int]:
    """Send so many lines of one sender; return when it began, and how many."""
    text = b"".join(line(0, number) for number in range(lines))
    came, wire = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context().wrap_bio(came, wire)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(wire.read())
                came.write(sock.recv(65536))
        sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while sock.recv(65536):
                pass  # session tickets: unread they make the end a reset, which loses what is under way
        sock.settimeout(None)
        for at in range(0, len(text), 16384):
            tls.write(memoryview(text)[at : at + 16384])
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        encrypted = wire.read()
        began = time.monotonic()
        sock.sendall(encrypted)
    return began, lines


def shake(port: int, count: int, rate: int) -> tuple[float, int]:
    """Make so many connections; return when it began, and how many."""
    by, began = context(), time.monotonic()

    def some(thread: int) -> None:
        for number in range(thread, count, THREADS):
            if rate:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            with connected(port, by) as sock:
                sock.sendall(b"shaken\n")
                sock.unwrap().close()

    threads = [threading.Thread(target=some, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return began, count


def pace(port: int, rate: int, seconds: int) -> tuple[float, int]:
    """Send at a rate; return when it began, and how many lines."""
    with connected(port, context()) as sock:
        began = time.monotonic()
        for number in range(rate * seconds):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            sock.sendall(line(0, number, time.monotonic_ns()))
    return began, rate * seconds


if __name__ == "__main__":
    work, *numbers = sys.argv[1:]
    works: dict[str, Callable[..., tuple[float, int]]] = {"bulk": bulk, "shake": shake, "pace": pace}
    first, sent = works[work](*map(int, numbers))
    print(json.dumps({"began": first, "ended": time.monotonic(), "sent": sent}))
