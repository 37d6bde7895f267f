"""What carries the bytes of one sender, in order, until they are read.

Rules kept here:

- That a stream is ready says only that it may be read: what came may be no byte of the sender's (a TLS record
  of its own), or more than one read gives.
- Who gave its end has said all: 0 is the end, and an error is an end, too.
"""

from __future__ import annotations

from typing import Protocol


class Unspoken(str):
    """Why one is turned away that speaks what is not spoken here: what it does, and what helps."""

    __slots__ = ()


class Stream(Protocol):
    """The bytes of one sender."""

    __slots__ = ()

    #: Whether its handshake goes on: no byte of the sender's can have come. A read takes it further, also one
    #: without room, which is 0 once it is done.
    shaking: bool = False
    #: Whether it has bytes that a read gives and of which the kernel says nothing any more.
    holds: bool = False

    @property
    def half(self) -> int:
        """Bytes that were taken from the kernel, and that no read gives before more has come."""
        return 0

    def fileno(self) -> int:
        """Return the descriptor to watch: once it can be read, so may be the stream."""

    def receive_into(self, room: memoryview) -> int:
        """Put what has come into `room`, without waiting; return how many bytes, 0 at the end.

        Raises BlockingIOError when there is nothing, another OSError when the sender is lost.
        """

    def answer(self, words: bytes) -> None:
        """Say something back, as far as that goes without waiting: it is closed next."""

    def address(self) -> str:
        """Return its sender's address, where accepting it did not tell; empty if that is not known."""
        return ""

    def unread(self) -> int:
        """Return the bytes of the sender that are on this machine and were not read, as far as is known."""

    def refuse(self) -> bool:
        """Accept not a byte more, and reset the connection when it is closed.

        Then what a read finds until it raises BlockingIOError is all that the sender can believe delivered.
        What is `half` then has its rest accepted, and no more.
        Returns False where that can't be done: more may come.
        """
        return False

    def leave(self) -> bool:
        """Accept no more, and give the end once all that was accepted is read; False if no end will be given.

        Then all is read when a read raises BlockingIOError; where that more can't be refused, once it pauses.
        """
        return False

    def close(self) -> None:
        """Let go of it."""
