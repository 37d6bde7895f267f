"""What a program writes into a pipe, its bytes as they come."""

from __future__ import annotations

import os
from typing import Callable

from ..system.kernel import unread
from .stream import Stream


class Piped(Stream):
    """The bytes of a program of ours, which nobody can keep from saying more."""

    def __init__(self, fd: int, closed: Callable[[], None]) -> None:
        """`fd` is the end to read, ours from now on; `closed` is called when we let go of it."""
        os.set_blocking(fd, False)  # of our end alone: the other one is another file (pipe(7))
        self._fd = fd
        self._closed = closed

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._fd

    def receive_into(self, room: memoryview) -> int:
        """Read what is there; 0 at the end. Raises OSError."""
        return os.readv(self._fd, [room])

    def answer(self, words: bytes) -> None:
        """Say nothing: a pipe has one direction."""

    def unread(self) -> int:
        """Return the bytes that the pipe holds."""
        return unread(self._fd)

    def close(self) -> None:
        """Let go of it: who writes on gets SIGPIPE."""
        os.close(self._fd)
        self._closed()
