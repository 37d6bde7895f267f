"""`agent`: tools for a coding agent."""

from __future__ import annotations

from invoke.context import Context

from reclog.extras import need

from .edge import task


@task()
def agent(c: Context) -> None:
    """Let a coding agent read, search and wait for lines.

    It starts this itself and speaks to it on standard input and output (MCP);
    docs/look-back.md has the line for its configuration. It can only look.
    """
    need("An agent", "agent", "mcp")
    from reclog.look.tools import serve
    from reclog.recordings.registry import Registry

    serve(Registry())
