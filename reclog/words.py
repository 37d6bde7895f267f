"""Commands in what a person reads: by the program's name that was typed."""

from __future__ import annotations

import shlex

#: By the program that has a task in a clone: what is said instead of its name.
_names = {"inv": "inv", "fab": "fab"}


def speak_as(name: str) -> None:
    """Call both programs so from now on: one installed program has all the tasks."""
    _names.update(dict.fromkeys(_names, name))


def beside_wrong_words(program: str) -> str:
    """Return where a person who said wrong words to `program` (`inv` or `fab`) finds the right ones."""
    name = _names[program]
    return f"See `{name} --list` and `{name} TASK --help`."


def inv(*words: str) -> str:
    """Return the call of a task on this machine, for a person to copy."""
    return shlex.join([_names["inv"], *words])


def fab(*words: str) -> str:
    """Return the call of a task for a host, for a person to copy."""
    return shlex.join([_names["fab"], *words])
