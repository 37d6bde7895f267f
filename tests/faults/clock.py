"""A clock of the day that a test can set, for the processes that are started with it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc") or ""


class Clock:
    """How far the clock is off, and what a process needs in its environment to go by it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._file = folder / "clock"
        self.set(0)
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        self.env = {"LD_PRELOAD": str(library), "FAULTS_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Be so many seconds ahead, or behind."""
        new = self._file.with_name("clock.new")
        new.write_text(f"{seconds}\n")
        new.replace(self._file)
