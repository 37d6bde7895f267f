"""`dev.bench` and the like: what there is in a clone, for developers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from reclog.checkout import ROOT, run_beside, run_site
from reclog.console import say
from reclog.errors import UsageError

from .edge import task


@task(
    help={
        "quick": "Tiny sizes, once, only with what is installed; nothing is judged.",
        "work": "Works to do, with commas between: 1 to 10, start, generator (default: all).",
        "system": "Only systems with one of these in their names, with commas between.",
        "repeat": "Repetitions of what a bar names (default 5); the rest is done at most as often.",
        "minutes": "How long all of it may take (default 10); with more time, more is repeated.",
        "folder": "Folder for recordings meanwhile, on a real disk (default: the system's temporary one).",
        "out": "Folder for results.json and the plots (default benchmarks/results).",
        "markdown": "Print the tables as Markdown.",
    },
)
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
    _run("benchmarks", locals())


@task(help={"serve": "Serve it on 127.0.0.1, built anew as pages change."})
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
    _end(status)


@task(
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
    _run("tests/faults", locals())


@task(
    help={
        "suite": "Releases of Debian, with commas between (default bookworm,trixie).",
        "way": "Ways, with commas between: uv, uvx, pipx, readme, tests (default: all).",
        "folder": "Where fresh systems are kept (default /var/tmp/reclog-install).",
    },
)
def install(c: Context, suite: Any = None, way: Any = None, folder: Any = None) -> None:
    """Install, record, uninstall on a fresh Debian (in a clone).

    As root, with debootstrap, and with what `sh bootstrap.sh tests` brings. The
    exit status is 1 if one of the ways leads nowhere.
    """
    _run("tests/install", locals())


@task(help={"nodes": "Servers: 1 (default), or 3 that are a cluster."})
def nats(c: Context, nodes: Any = None) -> None:
    """Start a NATS server to try, until Ctrl-C (in a clone).

    With JetStream, on loopback; it prints where, and forgets all at its end.
    Needs what the tests need (`sh bootstrap.sh tests`).
    """
    if str(nodes or 1) not in ("1", "3"):
        raise UsageError(f"--nodes {nodes} is neither: give 1 or 3.")
    _end(run_beside("tests/integration/nats_servers.py", [str(nodes or 1)]))


@task(
    help={
        "run": "Make the small real run first, as root: four minutes.",
        "rate": "Its lines a second, in all (default 30000).",
        "seconds": "How long they come (default 180).",
        "senders": "Devices that say them (default 600).",
        "folder": "Folder for all of it meanwhile, on a real disk (default: the system's temporary one).",
        "out": "File for what was measured (the plan's own: docs/plots/plan.json).",
    },
)
def plan(
    c: Context,
    run: bool = False,
    rate: Any = None,
    seconds: Any = None,
    senders: Any = None,
    folder: Any = None,
    out: Any = None,
) -> None:
    """Print what so many devices take (in a clone).

    With --run a small fleet, in namespaces, is measured beside it: three
    tremplins, three NATS servers, two who subscribe. Needs what the tests need
    (`sh bootstrap.sh tests`). The exit status is 1 if a line was lost.
    """
    _run("benchmarks/planning", locals())


def _run(program: str, given: Mapping[str, Any]) -> None:
    """Run a program of the repository with the options that were given to a task."""
    said = {name: value for name, value in given.items() if name != "c" and value not in (None, False)}
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in said.items()]
    _end(run_beside(program, words))


def _end(status: int) -> None:
    if status:
        raise Exit(code=status)
