"""`view`: a page with every recording."""

from __future__ import annotations

import importlib.util
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.checkout import install_command
from reclog.console import say
from reclog.errors import ReclogError
from reclog.recordings.checks import port_number
from reclog.recordings.registry import Registry

from .edge import sentences


@task(
    auto_shortflags=False,
    help={
        "port": "Port on 127.0.0.1 (default: 8055, or the next free one).",
        "open": "Open the page in a browser (default); --no-open only prints its address.",
    },
)
@sentences
def view(c: Context, port: Any = None, open: bool = True) -> None:  # noqa: A002 the flag's name
    """Show every recording of this machine in a browser, until Ctrl-C.

    Follows what comes, goes back to the first line, searches. Only this machine
    can have the page, by the address that is printed: it has a token in it. For
    another machine: ssh -L (docs/look-back.md).
    """
    number = None if port is None else port_number(port)
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise ReclogError(
            f"The page needs what is not installed here: `{install_command('view')}` brings it."
        )
    from reclog.look.view.serve import listen, serve

    serve(listen(number), Registry(), _say_where, open)


def _say_where(address: str) -> None:
    say(address)
    say("This machine alone can open it, until Ctrl-C.")
