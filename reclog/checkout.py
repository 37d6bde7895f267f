"""The programs of a clone of the repository, which stand beside the package and not in it: for developers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import ReclogError
from .extras import need

ROOT = Path(__file__).resolve().parents[1]


class NoCheckoutError(ReclogError):
    """This reclog was installed without what stands beside it in the repository."""


def run_beside(program: str, words: Sequence[str]) -> int:
    """Run a program of the repository, a folder or a file; return its exit status. Raises NoCheckoutError."""
    path = ROOT / program
    if not (path / "__main__.py").exists() and not path.is_file():
        raise NoCheckoutError(f"{program} is not here: run this in a clone of the repository.")
    return _run([sys.executable, str(path), *words])


def run_site(*words: str) -> int:
    """Run the program that makes a site of docs/; return its exit status. Raises ReclogError."""
    if not (ROOT / "zensical.toml").exists():
        raise NoCheckoutError("docs is not here: run this in a clone of the repository.")
    need("The site", "docs", "zensical")
    config = ["--config-file", str(ROOT / "zensical.toml")]
    return _run([sys.executable, "-m", "zensical", *words, *config])


def _run(command: list[str]) -> int:
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C goes to it too, and it ends in good order
