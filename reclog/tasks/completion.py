"""`completion`: what a shell needs to offer names at the Tab key."""

from __future__ import annotations

from typing import Any

from invoke.context import Context

from reclog.completion.scripts import SHELLS, script
from reclog.errors import UsageError

from .edge import task


@task(
    help={"shell": "bash, zsh or fish; the name alone says the same."},
)
def completion(c: Context, shell: Any = None) -> None:
    """Print what bash, zsh or fish needs to complete words.

    It then knows the tasks of reclog, inv and fab, their options, what is
    recorded, and your ssh hosts. docs/install.md says where to put it.
    """
    if shell not in SHELLS:
        raise UsageError(f"Say for which shell: {', '.join(SHELLS)}.")
    print(script(shell), end="")
