"""What a page asks for, out of an address: typed, bounded, each word distrusted."""

from __future__ import annotations

import math
from collections.abc import Iterable

from starlette.datastructures import QueryParams

from ..query import Question
from ..search import compiled

#: Lines in one answer.
MOST_LINES = 1000
#: Columns of a timeline.
MOST_BUCKETS = 2000
#: Senders that a question names.
MOST_SENDERS = 100
#: Bytes of an expression.
LONGEST_EXPRESSION = 1000
#: Recordings in one view.
MOST_PANES = 6


class WrongQuestionError(Exception):
    """The words of a request are wrong; the message is a sentence for the page."""


def whole(query: QueryParams, name: str, default: int, most: int = 1 << 62) -> int:
    """Return a number of an address that is not negative, at most `most`. Raises WrongQuestionError."""
    word = query.get(name)
    if word is None or word == "":
        return default
    if not (word.isascii() and word.isdigit() and len(word) < 20):
        raise WrongQuestionError(f"{name} is no number.")
    return min(int(word), most)


def moment(query: QueryParams, name: str) -> float | None:
    """Return a time (seconds of the epoch); None where none is said. Raises WrongQuestionError."""
    word = query.get(name)
    if not word:
        return None
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e11:  # not of NaN
        raise WrongQuestionError(f"{name} is no time.")
    return value


def question(query: QueryParams) -> Question:
    """Return what lines are wanted. Raises WrongQuestionError, and UsageError for no expression."""
    grep = query.get("grep", "")
    if len(grep.encode("utf-8", "replace")) > LONGEST_EXPRESSION:
        raise WrongQuestionError(f"The expression is longer than {LONGEST_EXPRESSION} bytes.")
    if grep:
        compiled(grep)
    senders = query.getlist("sender")
    if len(senders) > MOST_SENDERS:
        raise WrongQuestionError(f"More than {MOST_SENDERS} senders are asked for.")
    return Question(moment(query, "since"), moment(query, "until"), frozenset(senders), grep)


def places(words: Iterable[str]) -> list[tuple[str, int]]:
    """Return recordings and where each is read from, of words like `local-55514@1024`.

    Raises WrongQuestionError.
    """
    found = []
    for word in words:
        name, at, offset = word.rpartition("@")
        if not at or not (offset.isascii() and offset.isdigit() and len(offset) < 20):
            raise WrongQuestionError("A recording is followed from an offset: NAME@OFFSET.")
        found.append((name, int(offset)))
    if not 0 < len(found) <= MOST_PANES:
        raise WrongQuestionError(f"One to {MOST_PANES} recordings are followed at once.")
    return found
