"""`status`: what runs."""

from __future__ import annotations

import json as json_module

from invoke.context import Context
from invoke.tasks import task

from reclog.console import note, print_table, say, terminal_width
from reclog.look.status import describe, hints
from reclog.look.table import ALL, everything, fitted, remarks
from reclog.recordings.registry import Registry
from reclog.words import inv

from .edge import sentences


@task(auto_shortflags=False, help={"json": "Print an array of objects instead of a table."})
@sentences
def status(c: Context, json: bool = False) -> None:
    """Show the recordings: state, lines, size, when each was last heard.

    A wide terminal has more columns, and a pipe has all of them.

    A dead recording stays in the list until `kill` cleans it up or `local`
    starts it again.
    """
    registry = Registry()
    recordings = registry.recordings()
    for hint in hints(recordings):
        note(hint)
    described = describe([one for one in recordings if not one.is_elsewhere()], registry)
    if json:
        print(json_module.dumps(described, indent=2))
    elif described and (width := terminal_width()):
        print_table(*fitted(described, width))
        for remark in remarks(described):
            say(remark)
    elif described:
        print_table(ALL, everything(described))
    else:
        print(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
