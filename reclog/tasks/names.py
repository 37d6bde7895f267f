"""A recording's NAME among the words of a call, where it stands alone: `inv kill kitchen`.

Invoke knows words that must be there, and flags, and no word that may be there: so a bare word behind a task
that takes a recording, which is no task itself, gets the flag before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from invoke.parser.context import ParserContext

#: What such a word is: the first of these that its task has.
FLAGS = ("--recording", "--shell")
HELP = "The one of this name; NAME alone says the same."


def flagged(words: Sequence[str], tasks: Iterable[ParserContext], core: ParserContext) -> list[str]:
    """Return the words of a call behind the program's own, with the flag before each bare NAME."""
    known = {name: one for one in tasks for name in (one.name, *one.aliases)}
    task, value_is_next = core, False
    said = []
    for word in words:
        if value_is_next:
            value_is_next = False
        elif word.startswith("-"):
            flags = task.flags if word in task.flags else core.flags
            value_is_next = word in flags and flags[word].takes_value and not flags[word].optional
        elif word in known:
            task = known[word]
        else:
            word = next((f"{flag}={word}" for flag in FLAGS if flag in task.flags), word)
        said.append(word)
    return said
