"""`dev.faults`: the bench of faults, for developers."""

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
        "minutes": "How long (default 3).",
        "seed": "Seed of all that is random; it is printed when it is not given.",
        "system": "Systems to run side by side, with commas between (default: all of reclog's own).",
        "fault": "Only faults with this in their name.",
        "round": "Only this round, to see a failure again.",
        "rotate": "Rotate the file in every round (else: in half of them).",
        "kills": "In place of rounds: so many kills at random, of all on the way into a stream.",
        "megabytes": "With --kills: how much is sent meanwhile (default 2000).",
        "json": "File for the results.",
        "markdown": "Print the tables as Markdown.",
    },
)
@sentences
def faults(
    c: Context,
    minutes: Any = None,
    seed: Any = None,
    system: Any = None,
    fault: Any = None,
    round: Any = None,  # noqa: A002 the flag's name
    rotate: bool = False,
    kills: Any = None,
    megabytes: Any = None,
    json: Any = None,
    markdown: bool = False,
) -> None:
    """Kill, fill, freeze, cut, and count the lost (in a clone).

    As root, for networks and file systems of its own.

    Needs what the tests need (`sh bootstrap.sh tests`). The exit status is 1 if
    a promise was broken.
    """
    given = {
        "minutes": minutes,
        "seed": seed,
        "system": system,
        "fault": fault,
        "round": round,
        "kills": kills,
        "megabytes": megabytes,
        "json": json,
    }
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    words += [f"--{name}" for name, said in {"rotate": rotate, "markdown": markdown}.items() if said]
    status = run_beside("tests/faults", words)
    if status:
        raise Exit(code=status)
