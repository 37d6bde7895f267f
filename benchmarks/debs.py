"""Unpack Debian packages side by side, without installing them.

syslog-ng-core and rsyslog conflict as packages, and a benchmark installs no system logger on a developer's
machine. Each package gets a tree of its own, with the libraries that it needs; only the C library is the
machine's, since the loader of a program belongs to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs

CACHE = Path(platformdirs.user_cache_dir("reclog-bench"))
"""Where they are unpacked for benchmarks and tests, once."""

FETCH_TIMEOUT = 300.0
"""Seconds that apt and dpkg may take, each time they are run."""

# With an empty list of what is installed, apt solves for a machine that has nothing: the same tree
# everywhere, and one that stays whole when a library is removed from this machine.
_FROM_NOTHING = ("-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=1")
# A machine without network is told so soon.
_SOON = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")


class Missing(Exception):
    """A program that a measurement needs isn't here and can't be fetched; the message says what to do."""


def unpacked(package: str, folder: Path) -> Path:
    """Return the root of `package`'s tree in `folder`; fetch and unpack it if it isn't there.

    Raises `Missing` without apt-get and dpkg-deb, without network, and when apt doesn't know the package.
    """
    folder = folder.resolve()  # a program of the tree may leave the working directory
    tree = folder / package
    if tree.is_dir():
        return tree
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise Missing(
                f"{package} can't be fetched: {program} isn't here (it is part of Debian and Ubuntu)"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{package}-", dir=folder) as temporary:
        archives, growing = Path(temporary, "archives"), Path(temporary, "tree")
        archives.mkdir()
        _run(package, download_command(needed(package, _run(package, simulate_command(package)))), archives)
        for archive in sorted(archives.glob("*.deb")):
            _run(package, ["dpkg-deb", "-x", str(archive), str(growing)], archives)
        try:
            # The tree appears whole or not at all, so that its presence says that it is complete.
            growing.rename(tree)
        except OSError as error:
            if not tree.is_dir():  # else another benchmark was faster
                raise Missing(f"{package} can't be unpacked in {folder}: {error}") from error
    return tree


def environment(tree: Path) -> dict[str, str]:
    """Return the environment in which programs of `tree` find its libraries."""
    folders = [*tree.glob("lib/*/"), *tree.glob("usr/lib/*/"), tree / "usr" / "lib"]
    libraries = sorted(str(one) for one in folders if any(one.glob("*.so*")))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def simulate_command(package: str) -> list[str]:
    """Return the command that lists `package` and all that it depends on, a line `Inst NAME …` each."""
    return ["apt-get", *_FROM_NOTHING, "--no-install-recommends", "--simulate", "install", package]


def download_command(packages: Sequence[str]) -> list[str]:
    """Return the command that fetches `packages` into its working directory."""
    return ["apt-get", *_FROM_NOTHING, *_SOON, "--quiet", "download", *packages]


def needed(package: str, simulation: str) -> list[str]:
    """Return `package` and the libraries among what apt's `simulation` would install.

    Tools such as dpkg, which maintainer scripts call, are left out: nothing is configured. So is zlib1g,
    which no machine with dpkg lacks.
    """
    names = [line.split()[1] for line in simulation.splitlines() if line.startswith("Inst ")]
    own_c_library = ("libc6", "libgcc-s1")
    return [one for one in names if one == package or (one.startswith("lib") and one not in own_c_library)]


def _run(package: str, command: list[str], folder: Path | None = None) -> str:
    """Run `command` in `folder` and return what it prints; raise `Missing` with its last words."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{package} can't be fetched: {error}") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if not line.startswith("W: ")]
        why = said[-1].removeprefix("E: ") if said else f"{command[0]} ended with code {done.returncode}"
        raise Missing(f"{package} can't be fetched: {why} (apt-get update may help, or a network)")
    return done.stdout


if __name__ == "__main__":
    try:
        for wanted in sys.argv[1:]:
            unpacked(wanted, CACHE)
    except Missing as missing:
        sys.exit(f"{missing}.")
