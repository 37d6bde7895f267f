"""The programs of a clone of the repository, which stand beside the package and not in it: for developers."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import ReclogError

#: What the installers of programs leave in the environment that they made for one, and their commands.
_INSTALLERS = {
    "uv-receipt.toml": ["uv", "tool", "install"],
    "pipx_metadata.json": ["pipx", "install", "--force"],
}
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
    """Run the program that makes a site of docs/; return its exit status. Raises NoCheckoutError."""
    if not (ROOT / "zensical.toml").exists():
        raise NoCheckoutError("docs is not here: run this in a clone of the repository.")
    if importlib.util.find_spec("zensical") is None:
        raise NoCheckoutError(f"The site is made by zensical: `{install_command('docs')}` brings it.")
    config = ["--config-file", str(ROOT / "zensical.toml")]
    return _run([sys.executable, "-m", "zensical", *words, *config])


def _run(command: list[str]) -> int:
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C goes to it too, and it ends in good order


def install_command(extra: str) -> str:
    """Return the command that installs an extra of reclog's, for a person to copy."""
    what = f"reclog[{extra}]{_origin()}"
    for receipt, command in _INSTALLERS.items():
        if (Path(sys.prefix) / receipt).exists():
            return shlex.join([*command, what])
    if (ROOT / "bootstrap.sh").exists():
        return f"sh {shlex.quote(str(ROOT / 'bootstrap.sh'))} {extra}"
    return shlex.join([sys.executable, "-m", "pip", "install", what])


def _origin() -> str:
    """Return where the installed reclog came from, as a requirement says it; empty for the package index."""
    try:
        told = json.loads(importlib.metadata.distribution("reclog").read_text("direct_url.json") or "{}")
        by = told.get("vcs_info", {}).get("vcs")
        return f" @ {by}+{told['url']}" if by else f" @ {told['url']}"
    except (importlib.metadata.PackageNotFoundError, LookupError, TypeError, ValueError):
        return ""
