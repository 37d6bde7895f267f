"""What a person asks for, in the words that all commands share that look at lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .query import Question
from .search import compiled
from .times import time_given


def question(since: Any = None, until: Any = None, senders: Iterable[Any] = (), grep: Any = None) -> Question:
    """Return what is asked for by options as they were typed. Raises UsageError."""
    asked = Question(
        since=None if since is None else time_given("--since", since),
        until=None if until is None else time_given("--until", until),
        senders=frozenset(map(str, senders)),
        grep="" if grep is None else str(grep),
    )
    compiled(asked.grep)
    return asked
