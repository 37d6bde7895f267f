"""One more sender that writes as fast as it can, so that what seldom happens does so soon."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from stage import Stage


@contextlib.contextmanager
def pressing(stage: Stage) -> Iterator[None]:
    """Have it write meanwhile, what nobody is owed."""
    over = threading.Event()
    block = b"".join(b"beacon of pressure %04d %s\n" % (number, b"." * 70) for number in range(100))

    def press() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), stage.system.connect() as sock:
                sock.settimeout(0.2)
                left = block
                while not over.is_set():
                    with contextlib.suppress(TimeoutError):
                        left = left[sock.send(left) :] or block
                _finish(sock, left)
            over.wait(0.05)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
        assert not thread.is_alive()


def _finish(sock: Any, left: bytes) -> None:
    """End in a whole line, so that what is foreign can be told."""
    sock.settimeout(20)
    line, newline, _ = left.partition(b"\n")
    sock.sendall(line + newline)
