"""`reclog`: the same tasks as one installed program, for use outside a checkout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from . import words
from .console import for_whoever_reads
from .engine import __version__
from .tasks import (
    agent,
    boot,
    completion,
    config_file,
    edge,
    export,
    history,
    kill,
    local,
    names,
    probe,
    publish,
    status,
    subscribe,
    tail,
    tremplin,
    view,
)

#: The tasks on this machine, and those for a host.
HERE = (
    *(local.local, tremplin.tremplin, status.status, tail.tail, view.view, export.export, agent.agent),
    *(history.history, probe.prove, publish.publish, subscribe.subscribe, kill.kill, boot.boot),
    completion.completion,
)
THERE = (tremplin.tremplin, tremplin.kill_there)
#: Options before a task that are Fabric's; they stand in the help of the program without Fabric, too.
_FABRICS = (
    Argument(names=("hosts", "H"), help="Hosts to record through: reclog -H user@host tremplin."),
    Argument(names=("ssh-config", "S"), help="ssh config to read in place of ~/.ssh/config."),
    Argument(names=("identity", "i"), kind=list, help="Key file for the login. May be repeated."),
)


class _WrongWords(Program):
    """A program with exit status 2 for wrong words, where Invoke's own has 1."""

    def parse_core(self, argv: list[str] | None) -> None:
        with _status_2():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        if self.core.unparsed and self.core.unparsed[0].startswith("dev."):
            task = self.core.unparsed[0]
            raise Exit(f"{task} is for developers: `inv {task}` runs it in a clone of the repository.", 2)
        tasks = edge.contexts_of(self.collection)
        self.core.unparsed[:] = names.flagged(self.core.unparsed, tasks, self.initial_context)
        with _status_2():
            super().parse_tasks()


class _OnThisMachine(_WrongWords):
    """The program where no host is given."""

    def core_args(self) -> list[Argument]:
        return [*super().core_args(), *_FABRICS]


@contextlib.contextmanager
def _status_2() -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise Exit(f"{error} {words.beside_wrong_words('inv')}", 2) from error


def main() -> None:
    """Run the program: Fabric's where a host is given with -H, Invoke's otherwise."""
    words.speak_as("reclog")
    called: dict[str, Any] = {"name": "reclog", "binary": "reclog", "version": __version__}
    with for_whoever_reads():
        if any(word.startswith(("-H", "--hosts")) for word in sys.argv[1:]):
            _through_fabric(called)
        else:
            _OnThisMachine(namespace=_configured(*HERE), **called).run()


def _through_fabric(called: dict[str, Any]) -> None:
    import fabric
    from fabric.main import Fab

    class _Fab(_WrongWords, Fab):  # type: ignore[misc]
        """Fabric's program, with our exit status for wrong words."""

        def parse_core(self, argv: list[str] | None) -> None:
            super().parse_core(argv)
            edge.check_hosts(sys.argv)

    classes: dict[str, Any] = {"executor_class": fabric.Executor, "config_class": fabric.Config}
    _Fab(namespace=_configured(*THERE), **called, **classes).run()


def _configured(*bodies: Any) -> Collection:
    collection = Collection(*bodies)
    collection.configure(config_file.KNOWN)
    return collection
