"""`view`: a page with every recording."""

from __future__ import annotations

from typing import Any

from invoke.context import Context

from reclog.console import say
from reclog.extras import need

from .edge import task


@task(
    iterable=["recording"],
    help={
        "recording": "The page begins with the one of this name; NAME alone does.",
        "port": "Port on 127.0.0.1 (default 8055, or a free one).",
        "open": "Open the page in a browser (default), too.",
    },
)
def view(
    c: Context,
    recording: Any = None,
    port: Any = None,
    open: bool = True,  # noqa: A002 the flag's name
) -> None:
    """Show every recording in a browser, until Ctrl-C.

    Follows what comes, goes back to the first line, searches. Only this machine
    can have the page, by the address that is printed: it has a token in it. For
    another machine: ssh -L (docs/look-back.md).
    """
    from reclog.recordings.checks import port_number
    from reclog.recordings.choice import meant
    from reclog.recordings.registry import Registry

    number = None if port is None else port_number(port)
    need("The page", "view", "starlette", "uvicorn")
    from reclog.look.view.serve import listen, serve

    registry = Registry()
    shown = [one.name for one in meant(registry.known(), recording)] if recording else []
    serve(listen(number), registry, shown, _say_where, open)


def _say_where(address: str) -> None:
    say(address)
    say("This machine alone can open it, until Ctrl-C.")
