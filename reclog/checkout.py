"""The programs of a clone of the repository, which stand beside the package and not in it: for developers."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import ReclogError

ROOT = Path(__file__).resolve().parents[1]


class NoCheckoutError(ReclogError):
    """This reclog was installed without what stands beside it in the repository."""


def run_beside(program: str, words: Sequence[str]) -> int:
    """Run the folder `program` of the repository; return its exit status. Raises NoCheckoutError."""
    folder = ROOT / program
    if not (folder / "__main__.py").exists():
        raise NoCheckoutError(f"{program} is not here: run this in a clone of the repository.")
    process = subprocess.Popen([sys.executable, str(folder), *words])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C goes to it too, and it ends in good order


def install_command(extra: str) -> str:
    """Return the command that installs an extra of reclog's, for a person to copy."""
    if (ROOT / "bootstrap.sh").exists():
        return f"sh {shlex.quote(str(ROOT / 'bootstrap.sh'))} {extra}"
    return shlex.join([sys.executable, "-m", "pip", "install", f"reclog[{extra}]"])
