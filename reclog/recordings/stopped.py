"""How a recording ended, of whichever kind."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Stopped:
    """How one recording ended."""

    name: str
    file: str
    #: None where nobody counted (raw, or it was dead before).
    lines: int | None
    #: Bytes that senders had sent and that could not be recorded.
    left_bytes: int
    left_senders: int
    reason: str
    #: Seconds.
    took: float
    was_dead: bool = False
    #: It did not end by itself and was killed.
    forced: bool = False
    #: What of it is still there, and why; empty if nothing is.
    left_over: str = ""

    @property
    def complete(self) -> bool:
        """Tell whether everything sent is in the file."""
        return not self.forced and not self.left_bytes and not self.left_senders
