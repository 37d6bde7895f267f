"""A sender: one connection, and the beginning of a line that it has not finished."""

from __future__ import annotations

import socket
import time
from typing import Callable


class Sender:
    """One connection and its unfinished line."""

    __slots__ = ("bytes", "held", "host", "id", "lines", "name", "on_ready", "since", "sock")

    def __init__(self, number: int, sock: socket.socket, host: str, name: str) -> None:
        self.id = number
        self.sock = sock
        #: Its address; empty where nobody tells (a fork of socat).
        self.host = host
        self.name = name
        self.since = time.monotonic()
        self.bytes = 0
        self.lines = 0
        #: The beginning of a line whose newline has not come.
        self.held: bytes | bytearray = b""
        self.on_ready: Callable[[], None] | None = None
