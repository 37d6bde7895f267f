"""`reclog`: the same tasks as one installed program, for use outside a checkout."""

from __future__ import annotations

import sys

from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.program import Program

from .engine import __version__
from .settings import DEFAULTS


def namespace() -> Collection:
    """Return the collection of all Invoke tasks, with the built-in settings."""
    from .tasks import kill, local, probe, status, tail

    collection = Collection(local.local, kill.kill, probe.prove, status.status, tail.tail)
    collection.configure({"reclog": DEFAULTS})
    return collection


class _Program(Program):
    """Invoke's program, with exit status 2 for wrong words."""

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
    """Run the program."""
    _Program(name="reclog", binary="reclog", namespace=namespace(), version=__version__).run()
