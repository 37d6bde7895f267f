"""`dev.docs`: the pages of docs/ as a site, for developers."""

from __future__ import annotations

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from reclog.checkout import ROOT, run_site
from reclog.console import say

from .edge import sentences


@task(auto_shortflags=False, help={"serve": "Serve it on 127.0.0.1, built anew as pages change."})
@sentences
def docs(c: Context, serve: bool = False) -> None:
    """Build docs/ as a site, and see its links (in a clone).

    Needs what `sh bootstrap.sh docs` brings; a clone with the tests has it. The
    exit status is 1 if a link leads nowhere.
    """
    if serve:
        status = run_site("serve")
    else:
        status = run_site("build", "--clean", "--strict")
        if not status:
            say(f"Built: {ROOT / 'build' / 'site' / 'index.html'}")
    if status:
        raise Exit(code=status)
