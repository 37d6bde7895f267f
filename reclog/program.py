"""`reclog`: the same tasks as one installed program, for use outside a checkout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from .engine import __version__
from .recordings.settings import DEFAULTS
from .tasks import config_file

#: Invoke casts INVOKE_RECLOG_… to the type of the value that it finds here, with a traceback when it can't (a
#: number, a list): it finds none, and settings.merged supplies the built-in value.
_KNOWN = {"reclog": {name: value if isinstance(value, bool) else None for name, value in DEFAULTS.items()}}


def fab_namespace(beside: str = "") -> Collection:
    """Return the collection of all Fabric tasks, with the names of their settings.

    `beside` is the path of the fabfile. Raises Exit for what Fabric would stumble over with a traceback.
    """
    from .tasks import edge, fabric_words, tremplin

    edge.sentences(fabric_words.check_words)(sys.argv)
    if beside:
        edge.sentences(config_file.check)(Path(beside).parent, config_file.FabricsFile, _KNOWN)
    return _configured(Collection(tremplin.tremplin, tremplin.kill_there))


def namespace(beside: str) -> Collection:
    """Return the collection of all Invoke tasks, with the names of their settings.

    `beside` is the path of tasks.py. Raises Exit for what Invoke would stumble over with a traceback.
    """
    from .tasks import bench, edge, faults, kill, local, probe, status, tail

    edge.sentences(config_file.check)(Path(beside).parent, config_file.InvokesFile, _KNOWN)
    bodies = (local.local, kill.kill, probe.prove, status.status, tail.tail, faults.faults, bench.bench)
    return _configured(Collection(*bodies))


def _configured(collection: Collection) -> Collection:
    collection.configure(_KNOWN)
    return collection


class _WrongWords(Program):
    """A program with exit status 2 for wrong words, where Invoke's own has 1."""

    def parse_core(self, argv: list[str] | None) -> None:
        try:
            super().parse_core(argv)
        except ParseError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            print(error, file=sys.stderr)
            sys.exit(2)


def main() -> None:
    """Run the program: Fabric's where a host is given with -H, Invoke's otherwise."""
    from .tasks import kill, local, probe, status, tail, tremplin

    names: dict[str, Any] = {"name": "reclog", "binary": "reclog", "version": __version__}
    if any(word.startswith(("-H", "--hosts")) for word in sys.argv[1:]):
        import fabric
        from fabric.main import Fab

        class _Fab(_WrongWords, Fab):  # type: ignore[misc]
            """Fabric's program, with our exit status for wrong words."""

        try:
            tasks = fab_namespace()
        except Exit as error:
            print(error.message, file=sys.stderr)
            sys.exit(error.code)
        classes: dict[str, Any] = {"executor_class": fabric.Executor, "config_class": fabric.Config}
        _Fab(namespace=tasks, **names, **classes).run()
        return
    bodies = (local.local, kill.kill, probe.prove, status.status, tail.tail, tremplin.tremplin)
    _WrongWords(namespace=_configured(Collection(*bodies)), **names).run()
