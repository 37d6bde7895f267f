"""`dev.nats`: a NATS server to try things with, for developers."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from reclog.checkout import run_beside
from reclog.errors import UsageError

from .edge import sentences


@task(auto_shortflags=False, help={"nodes": "Servers: 1 (default), or 3 that are a cluster."})
@sentences
def nats(c: Context, nodes: Any = None) -> None:
    """Start a NATS server to try, until Ctrl-C (in a clone).

    With JetStream, on loopback; it prints where, and forgets all at its end.
    Needs what the tests need (`sh bootstrap.sh tests`).
    """
    if str(nodes or 1) not in ("1", "3"):
        raise UsageError(f"--nodes {nodes} is neither: give 1 or 3.")
    status = run_beside("tests/integration/nats_servers.py", [str(nodes or 1)])
    if status:
        raise Exit(code=status)
