"""The edge between reclog and its command line: errors become sentences and exit statuses here."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext
from invoke.program import Program
from invoke.tasks import task as invokes

from reclog.console import folded, for_whoever_reads, visible
from reclog.errors import ReclogError, UsageError
from reclog.words import beside_wrong_words

from . import config_file, fabric_words, names

Body = TypeVar("Body", bound=Callable[..., Any])


def sentences(body: Body) -> Body:
    """Turn a ReclogError of a task's body into its sentence on stderr and its exit status."""

    @functools.wraps(body)
    def task_body(*args: Any, **kwargs: Any) -> Any:
        try:
            with for_whoever_reads():
                return body(*args, **kwargs)
        except ReclogError as error:
            # Whatever is quoted in it, by a host or a file: nothing of it acts on a terminal.
            said = "\n".join(map(visible, str(error).split("\n")))
            raise Exit(folded(said), error.code) from error

    return task_body  # type: ignore[return-value]


def task(**words: Any) -> Callable[[Body], Any]:
    """Have a function be a task whose errors are sentences; none of its flags is short: -h is for help."""
    return lambda body: invokes(auto_shortflags=False, **words)(sentences(body))


def configured(c: Context) -> Mapping[str, Any]:
    """Return the `reclog:` part of the config; empty where a task is called without a namespace.

    Raises UsageError.
    """
    config_file.refuse_open_token(c.config)
    part = c.config.get("reclog", {})
    if part and not hasattr(part, "keys"):  # Invoke's own mapping is no Mapping
        raise UsageError("`reclog:` in the config holds no settings: give them as `reclog: {port: 55514}`.")
    return dict(part) if part else {}


def check_inv(collection: Collection, beside: str) -> None:
    """Raise Exit for what Invoke, which is loading `collection`, would stumble over.

    `beside` is the path of tasks.py.
    """
    from invoke.main import program

    sentences(config_file.check)(Path(beside).parent, config_file.InvokesFile, config_file.KNOWN)
    _check_words(collection, program, "inv")


def check_fab(collection: Collection, beside: str) -> None:
    """Raise Exit for what Fabric, which is loading `collection`, would stumble over.

    `beside` is the path of the fabfile.
    """
    from fabric.main import program

    check_hosts(sys.argv)
    sentences(config_file.check)(Path(beside).parent, config_file.FabricsFile, config_file.KNOWN)
    _check_words(collection, program, "fab")


#: Raises Exit for hosts and files of a command line over which Fabric would stumble.
check_hosts = sentences(fabric_words.check_words)


def contexts_of(collection: Collection) -> list[ParserContext]:
    """Return what a parser knows of the tasks of a collection."""
    tasks = [collection[name] for name in collection.task_names]
    helps = [dict(one.help) for one in tasks]
    contexts: list[ParserContext] = collection.to_contexts()
    for one, words in zip(tasks, helps):
        one.help = words  # it has taken them away
    return contexts


def _check_words(collection: Collection, program: Program, name: str) -> None:
    """Refuse words that no task knows, as `program` is about to do: its exit status would be 1.

    And have it read a recording's NAME.
    """
    core = getattr(program, "core", None)
    if core is None:
        return  # something else loads the collection
    said = set(core.unparsed)
    # Of those that are said alone: a parser copies all that it knows, which takes longer than all else here.
    contexts = [one for one in contexts_of(collection) if said & {one.name, *one.aliases}]
    core.unparsed[:] = names.flagged(core.unparsed, contexts, program.initial_context)
    try:
        Parser(contexts, initial=program.initial_context).parse_argv(core.unparsed)
    except ParseError as error:
        raise Exit(f"{error} {beside_wrong_words(name)}", 2) from error
