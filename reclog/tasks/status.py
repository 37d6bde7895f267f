"""`inv status`: what runs."""

from __future__ import annotations

import json as json_module

from invoke.context import Context
from invoke.tasks import task

from reclog.console import note, print_table
from reclog.look.status import COLUMNS, describe, rows
from reclog.recordings.registry import Registry

from .edge import sentences


@task(auto_shortflags=False, help={"json": "Print an array of objects instead of a table."})
@sentences
def status(c: Context, json: bool = False) -> None:
    """Show the recordings: state, senders, lines, the last line.

    A dead recording stays in the list until `inv kill` cleans it up or `inv local` starts it again.
    """
    registry = Registry()
    recordings = registry.recordings()
    here = [recording for recording in recordings if not recording.is_elsewhere()]
    for recording in recordings:
        if recording not in here:
            note(f"{recording.name} runs on {recording.facts['identity']['host']}, not seen from here.")
        elif recording.corrupt:
            note(f"{recording.name} is not readable, {recording.corrupt}: `inv kill` cleans it up.")
    described = describe(here, registry)
    if json:
        print(json_module.dumps(described, indent=2))
    elif described:
        print_table(COLUMNS, rows(described))
    else:
        print("Nothing is being recorded: `inv local` starts a recording.")
