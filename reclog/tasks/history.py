"""`history`: what runs and what ran."""

from __future__ import annotations

import json as json_module
from typing import Any

from invoke.context import Context

from reclog.console import print_table, say, terminal_width
from reclog.errors import UsageError

from .edge import task
from .names import HELP


@task(
    iterable=["recording"],
    help={
        "recording": HELP,
        "events": "What the recording of this name states: its log.",
        "forget": "Remove what is known of an ended one; its file stays.",
        "json": "Print an array; with --events an object a line.",
    },
)
def history(
    c: Context, recording: Any = None, events: Any = None, forget: Any = None, json: bool = False
) -> None:
    """Show recordings past and present, and what is missing.

    The newest 100 that have ended are kept. What is known of a line's time and
    sender goes with its recording; recorded files are never touched.
    """
    from reclog.look import history as told
    from reclog.recordings.choice import meant, named
    from reclog.recordings.logs import all_events
    from reclog.recordings.past import forget as forget_one
    from reclog.recordings.registry import Registry
    from reclog.stream.publishers import Publishers

    if events is not None and forget is not None:
        raise UsageError("--events and --forget are both there: give one.")
    registry = Registry()
    known = meant(registry.known(), recording or ())
    if forget is not None:
        one = named(known, str(forget))
        forget_one(one, registry)
        say(f"{one.name} is forgotten; what was recorded stays: {one.files}")
    elif events is not None:
        one = named([*known, *Publishers().logged()], str(events))
        as_json = map(json_module.dumps, all_events(one.folder))
        for line in as_json if json else told.events(one, terminal_width()):
            print(line)
    elif json:
        print(json_module.dumps(told.describe(known), indent=2))
    elif not known:
        print("Nothing was recorded yet.")
    elif width := terminal_width():
        for described in told.describe(known):
            print("\n".join(told.fitted(described, width)))
    else:
        print_table(told.COLUMNS, map(told.row, told.describe(known)))
