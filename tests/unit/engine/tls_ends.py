"""The two ends of a TLS connection, for the tests of what stands between: a port, and senders in memory."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional, Union

from reclog.engine.sources.source import Asked
from reclog.engine.sources.tcp import Queue, listening
from reclog.engine.streams.stream import Stream
from reclog.engine.streams.tls import Secured
from reclog.engine.system.segments import save_syn

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
WITHIN = 10.0


@functools.lru_cache(maxsize=None)
def files(name: str = "server", days: int = 30) -> tuple[str, str]:
    """Return a certificate of 127.0.0.1, which is its own CA, and its key, both for as long as we run."""
    folder = Path(_folder().name)
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    words = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days {days} -subj /CN={name}"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *words.split(), *more], check=True, capture_output=True, timeout=30)
    return certificate, key


@functools.lru_cache(maxsize=None)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="reclog-tls-")


@contextlib.contextmanager
def port_of(secured: Secured) -> Iterator[Queue]:
    """Yield a queue of the loopback whose connections speak TLS."""
    queue = listening(Asked("127.0.0.1", 0, carry=secured.carry))
    save_syn(queue.sock)
    try:
        yield queue
    finally:
        queue.close()


class Sender:
    """Speaks TLS in memory: what it sends, and when, is the test's."""

    def __init__(
        self, port: int, version: Optional[ssl.TLSVersion] = None, show: tuple[str, ...] = ()
    ) -> None:
        context = ssl.create_default_context(cafile=files()[0])
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if show:
            context.load_cert_chain(*show)
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=WITHIN)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")

    def next_words(self) -> bytes:
        """Return what the handshake says next; empty once it is done. Raises ssl.SSLError."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._out.read()

    def hear(self) -> None:
        """Take what the other end answers."""
        self._in.write(self.sock.recv(65536))

    def shake(self, stream: Stream, size: int = 65536) -> None:
        """Do the whole handshake with a stream that nobody else reads, so many bytes at a time."""
        give_up_at = time.monotonic() + WITHIN
        words = self.next_words()
        while stream.shaking or words:
            assert time.monotonic() < give_up_at
            self.sock.sendall(words[:size])
            words = words[size:]
            with contextlib.suppress(BlockingIOError):
                stream.receive_into(memoryview(b""))
            if not words and select.select([self.sock], [], [], 0.01)[0]:
                self.hear()
            words = words or self.next_words()

    def record(self, text: bytes) -> bytes:
        """Return `text` as it goes over the wire, unsent."""
        self.tls.write(text)
        return self._out.read()

    def say(self, text: bytes) -> None:
        self.sock.sendall(self.record(text))

    def farewell(self) -> bytes:
        """Return its close_notify, unsent."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._out.read()

    def close(self) -> None:
        self.sock.close()


def wait_for(seen: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WITHIN
    while not seen():
        assert time.monotonic() < give_up_at, "not seen in time"
        time.sleep(0.001)


def accepted(queue: Queue) -> Stream:
    assert select.select([queue], [], [], WITHIN)[0]
    return queue.accept()[0]


def read(stream: Stream, until: Callable[[bytes], bool]) -> Union[bytes, Any]:
    """Read until what came is enough, or to the end."""
    came, room = b"", memoryview(bytearray(256 * 1024))
    give_up_at = time.monotonic() + WITHIN
    while not until(came):
        assert time.monotonic() < give_up_at, came[-100:]
        try:
            count = stream.receive_into(room)
        except BlockingIOError:
            select.select([stream], [], [], 0.01)
            continue
        if not count:
            break
        came += room[:count]
    return came
