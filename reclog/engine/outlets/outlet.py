"""What takes a spool's bytes by offset: the seam between the feed and where it ends."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Protocol

from ..stores.rotation import Rotating


class Settling(NamedTuple):
    """What an outlet has by now, on its way to be there for good: `sync`, then `end`."""

    #: Have it there for good; may be called beside the loop while more is taken. Raises OSError.
    sync: Callable[[], None]
    #: Take note of that; False if it is worth nothing any more, and is to be begun anew. Raises OSError.
    end: Callable[[], bool]


class Outlet(Protocol):
    """One that is given the bytes of a spool, in order, from an offset on."""

    #: What it fills, for a person.
    path: str
    #: The id of the spool; empty until one is known.
    spool: str
    #: The offset of the next byte that is to be taken.
    offset: int
    #: All before this offset is there for good: it may be acked.
    settled: int
    #: Whether it could tell, killed now, what it has of this spool: before that, nothing may be taken.
    anchored: bool

    @property
    def queued(self) -> int:
        """Bytes taken that are not where they are to be."""

    @property
    def paused(self) -> str:
        """Why it can't take more now; empty while it can."""

    def open(self) -> None:
        """Be ready, and know where to go on. Raises EngineError."""

    def rotate_as(self, rotating: Rotating) -> None:
        """Have what it fills cut so from now on, as far as that can be."""

    def close(self) -> None:
        """Let go of what it fills."""

    def begin(self, spool: str, offset: int) -> bool:
        """Take note from where a relay sends; True if it is not what was asked for. Raises FeedError."""

    def hear(self, offset: int, packet: bytes) -> None:
        """Take what the relay says of who said the bytes from `offset` on, and when. Raises FeedError."""

    def take(self, offset: int, data: bytes) -> None:
        """Take the spool's bytes at `offset`. Raises FeedError if others were due."""

    def jump(self, offset: int) -> None:
        """Take note that the spool has nothing before `offset`. Raises FeedError if that was taken."""

    def flush(self) -> bool:
        """Pass on all that was taken; False if that isn't possible now (`paused` says why)."""

    def settle(self) -> Settling | None:
        """Begin to settle what was taken; None if nothing can be settled now. Raises OSError."""

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it: lines, bytes, paused_for, last_line, last_line_at."""
