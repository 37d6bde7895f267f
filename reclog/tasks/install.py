"""`dev.install`: reclog installed on fresh systems, for developers."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from reclog.checkout import run_beside

from .edge import sentences


@task(
    auto_shortflags=False,
    help={
        "suite": "Releases of Debian, with commas between (default bookworm,trixie).",
        "way": "Ways, with commas between: uv, uvx, pipx, readme, tests (default: all).",
        "folder": "Where fresh systems are kept (default /var/tmp/reclog-install).",
    },
)
@sentences
def install(c: Context, suite: Any = None, way: Any = None, folder: Any = None) -> None:
    """Install, record, uninstall on a fresh Debian (in a clone).

    As root, with debootstrap, and with what `sh bootstrap.sh tests` brings. The
    exit status is 1 if one of the ways leads nowhere.
    """
    given = {"suite": suite, "way": way, "folder": folder}
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    status = run_beside("tests/install", words)
    if status:
        raise Exit(code=status)
