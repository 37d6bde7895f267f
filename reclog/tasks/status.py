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

from reclog.boot.here import coming_back
from reclog.console import note, print_table, terminal_width
from reclog.errors import UsageError
from reclog.look.status import describe, hints
from reclog.look.table import ALL, everything, fitted, sentence
from reclog.look.watch import LOOK_EVERY
from reclog.look.watch import watch as keep_looking
from reclog.recordings.choice import meant
from reclog.recordings.registry import Recording, Registry
from reclog.stream.publishers import Publishers, taken_out
from reclog.stream.publishers import describe as told_of
from reclog.stream.publishers import sentences as as_sentences
from reclog.words import inv

from .edge import sentences
from .names import HELP


@task(
    auto_shortflags=False,
    iterable=["recording"],
    help={
        "recording": HELP,
        "json": "Print an array of objects instead of a table.",
        "watch": "Look each second, until Ctrl-C.",
    },
)
@sentences
def status(c: Context, recording: Any = None, json: bool = False, watch: bool = False) -> None:
    """Show what runs: state, when last heard, lines, gaps.

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
    recordings, described, publishers = _look(names)
    for hint in [*hints(recordings), *_stopped(names)]:
        note(hint)
    if described and width:
        print("\n".join(fitted(described, width)))
    elif described:
        print_table(ALL, everything(described))
    elif not publishers:
        print(_nothing())
    for one in as_sentences(publishers):
        note(one)


def _print_json(names: Sequence[str], again: bool) -> None:
    try:
        _, described, publishers = _look(names)
        print(json_module.dumps([*described, *publishers], indent=None if again else 2), flush=True)
        while again:
            time.sleep(LOOK_EVERY)
            _, described, publishers = _look(names)
            print(json_module.dumps([*described, *publishers]), flush=True)
    except KeyboardInterrupt:
        sys.stdout.flush()  # the way to end it


def _screen(names: Sequence[str], width: int) -> list[str]:
    recordings, described, publishers = _look(names)
    lines = fitted(described, width) if described else [sentence(_nothing(), width)]
    said = [*hints(recordings), *_stopped(names), *as_sentences(publishers)]
    return [*lines, *(sentence(one, width) for one in said)]


def _look(names: Sequence[str]) -> tuple[list[Recording], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return those of that name, or all, what is told of those that are here, and of publishers."""
    registry, those = Registry(), Publishers()
    publishers, others = taken_out(names, those)
    recordings = meant(registry.recordings(), others) if others or not names else []
    here = [one for one in recordings if not one.is_elsewhere()]
    return recordings, describe(here, registry), told_of(publishers if names else list(those.here()))


def _stopped(names: Sequence[str]) -> list[str]:
    """Return what to say of those that don't run now, and will."""
    there = [*coming_back(Registry()), *coming_back(Publishers())]
    ended = [one.name for one in there if not one.is_alive() and (not names or one.name in names)]
    return [f"{name} starts again at boot." for name in ended]


def _nothing() -> str:
    return f"Nothing is being recorded: `{inv('local')}` starts a recording."
