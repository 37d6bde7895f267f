"""What is measured: something that listens on a port and records lines into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import psutil


class Running(Protocol):
    """A system that listens; `process` and its descendants are all of it."""

    file: Path
    process: psutil.Process

    def stop(self) -> None:
        """End it, and return when nothing of it is left."""


class System(Protocol):
    """A system that can be started, each time afresh."""

    name: str

    def missing(self) -> str:
        """Return why it can't run here, a sentence; "" if it can."""

    def start(self, folder: Path, port: int) -> Running:
        """Start it in `folder` and return when it listens on 127.0.0.1:`port`."""
