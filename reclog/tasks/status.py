"""`status`: what runs."""

from __future__ import annotations

import functools
import json as json_module
import sys
import time
from collections.abc import Sequence
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.console import note, print_table, terminal_width
from reclog.errors import UsageError
from reclog.look.status import describe, hints
from reclog.look.table import ALL, everything, fitted, sentence
from reclog.look.watch import LOOK_EVERY
from reclog.look.watch import watch as keep_looking
from reclog.recordings.choice import meant
from reclog.recordings.registry import Recording, Registry
from reclog.words import inv

from .edge import sentences
from .names import HELP


@task(
    auto_shortflags=False,
    iterable=["recording"],
    help={
        "recording": HELP,
        "json": "Print an array of objects instead of a table.",
        "watch": "Look each second, until Ctrl-C; with --json an array a line.",
    },
)
@sentences
def status(c: Context, recording: Any = None, json: bool = False, watch: bool = False) -> None:
    """Show the recordings: state, when each was last heard, lines, gaps.

    A wide terminal has more columns, and a pipe has all of them.

    A dead recording stays in the list until `kill` cleans it up or `local`
    starts it again.
    """
    width = terminal_width()
    if json:
        _print_json(recording or (), watch)
    elif watch:
        if not width:
            raise UsageError("--watch draws on a terminal: leave it out, or add --json for an array a line.")
        keep_looking(functools.partial(_screen, recording or ()))
    else:
        _print(recording or (), width)


def _print(names: Sequence[str], width: int) -> None:
    recordings, described = _look(names)
    for hint in hints(recordings):
        note(hint)
    if described and width:
        print("\n".join(fitted(described, width)))
    elif described:
        print_table(ALL, everything(described))
    else:
        print(_nothing())


def _print_json(names: Sequence[str], again: bool) -> None:
    try:
        print(json_module.dumps(_look(names)[1], indent=None if again else 2), flush=True)
        while again:
            time.sleep(LOOK_EVERY)
            print(json_module.dumps(_look(names)[1]), flush=True)
    except KeyboardInterrupt:
        sys.stdout.flush()  # the way to end it


def _screen(names: Sequence[str], width: int) -> list[str]:
    recordings, described = _look(names)
    lines = fitted(described, width) if described else [sentence(_nothing(), width)]
    return [*lines, *(sentence(hint, width) for hint in hints(recordings))]


def _look(names: Sequence[str]) -> tuple[list[Recording], list[dict[str, Any]]]:
    """Return those of that name, or all, and what is told of those that are here."""
    registry = Registry()
    recordings = meant(registry.recordings(), names)
    return recordings, describe([one for one in recordings if not one.is_elsewhere()], registry)


def _nothing() -> str:
    return f"Nothing is being recorded: `{inv('local')}` starts a recording."
