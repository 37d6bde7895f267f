"""`status`: what runs."""

from __future__ import annotations

import functools
import json as json_module
import sys
import time
from collections.abc import Sequence
from typing import Any

from invoke.context import Context

from reclog.console import note, print_table, terminal_width
from reclog.errors import UsageError
from reclog.words import inv

from .edge import task
from .names import HELP


@task(
    iterable=["recording"],
    help={
        "recording": HELP,
        "json": "Print an array of objects instead of a table.",
        "watch": "Look each second, until Ctrl-C.",
    },
)
def status(c: Context, recording: Any = None, json: bool = False, watch: bool = False) -> None:
    """Show what runs: state, when last heard, lines, gaps.

    A wide terminal has more columns, and a pipe has all of them.

    A dead recording stays in the list until `kill` cleans it up or `local`
    starts it again.
    """
    from reclog.look.watch import watch as keep_looking

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
    from reclog.look.table import ALL, everything, fitted

    described, publishers, beside, of_publishers = _look(names)
    for hint in beside:
        note(hint)
    if described and width:
        print("\n".join(fitted(described, width)))
    elif described:
        print_table(ALL, everything(described))
    elif not publishers:
        print(_nothing())
    for one in of_publishers:
        note(one)


def _print_json(names: Sequence[str], again: bool) -> None:
    from reclog.look.watch import LOOK_EVERY

    try:
        described, publishers, _, _ = _look(names)
        print(json_module.dumps([*described, *publishers], indent=None if again else 2), flush=True)
        while again:
            time.sleep(LOOK_EVERY)
            described, publishers, _, _ = _look(names)
            print(json_module.dumps([*described, *publishers]), flush=True)
    except KeyboardInterrupt:
        sys.stdout.flush()  # the way to end it


def _screen(names: Sequence[str], width: int) -> list[str]:
    from reclog.look.table import fitted, sentence

    described, _, beside, of_publishers = _look(names)
    lines = fitted(described, width) if described else [sentence(_nothing(), width)]
    return [*lines, *(sentence(one, width) for one in (*beside, *of_publishers))]


def _look(
    names: Sequence[str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str], list[str]]:
    """Return what is told of those of that name, or all, and of publishers; then sentences about each."""
    from reclog.boot.here import coming_back
    from reclog.look.status import describe, hints
    from reclog.recordings.choice import meant
    from reclog.recordings.registry import Registry
    from reclog.stream import publishers

    registry, those = Registry(), publishers.Publishers()
    named, others = publishers.taken_out(names, those)
    recordings = meant(registry.recordings(), others) if others or not names else []
    here = [one for one in recordings if not one.is_elsewhere()]
    ended = [one for all_of in (registry, those) for one in coming_back(all_of) if not one.is_alive()]
    at_boot = [f"{one.name} starts again at boot." for one in ended if not names or one.name in names]
    told = publishers.describe(named if names else list(those.here()))
    return describe(here, registry), told, [*hints(recordings), *at_boot], publishers.sentences(told)


def _nothing() -> str:
    return f"Nothing is being recorded: `{inv('local')}` starts a recording."
