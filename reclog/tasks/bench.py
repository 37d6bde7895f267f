"""`dev.bench`: the benchmark, for developers."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from reclog.checkout import run_beside

from .edge import sentences


@task(
    auto_shortflags=False,
    help={
        "quick": "Tiny sizes, once, only with what is installed; nothing is judged.",
        "work": "Works to do, with commas between: 1 to 9, start, generator (default: all).",
        "system": "Only systems with one of these in their names, with commas between.",
        "repeat": "Repetitions of what a bar names (default 5); the rest is done at most as often.",
        "minutes": "How long all of it may take (default 10); with more time, more is repeated.",
        "folder": "Folder for recordings meanwhile, on a real disk (default: the system's temporary one).",
        "out": "Folder for results.json and the plots (default benchmarks/results).",
        "markdown": "Print the tables as Markdown.",
    },
)
@sentences
def bench(
    c: Context,
    quick: bool = False,
    work: Any = None,
    system: Any = None,
    repeat: Any = None,
    minutes: Any = None,
    folder: Any = None,
    out: Any = None,
    markdown: bool = False,
) -> None:
    """Measure what recording costs, beside others (in a clone).

    Needs what `sh bootstrap.sh bench` brings. Without root the tremplin is left
    out. The exit status is 1 if reclog lost a line.
    """
    given = {
        "work": work,
        "system": system,
        "repeat": repeat,
        "minutes": minutes,
        "folder": folder,
        "out": out,
    }
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    words += [f"--{name}" for name, wanted in (("quick", quick), ("markdown", markdown)) if wanted]
    status = run_beside("benchmarks", words)
    if status:
        raise Exit(code=status)
