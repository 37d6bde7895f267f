"""Show what recordings say, as it comes or as it was."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from ..console import size
from .following import INDEXED_WITHIN, Following
from .forms import Form
from .query import Gap, History, Line, Question

#: Seconds between two looks at a file that does not grow.
LOOK_EVERY = 0.1
#: Lines that are printed at a time.
_TOGETHER = 1000


def show(
    histories: Sequence[History],
    question: Question,
    count: int | None,
    form: Form,
    out: IO[str],
    goes_on: Callable[[], bool],
) -> None:
    """Print the last `count` lines of each recording, or all that are meant, then new ones while it goes on.

    Lines of several recordings come in the order of their times. Raises OSError if a file can't be read, and
    what `History.forward` does.
    """
    followed = [Following(history, question, 0) for history in histories]
    try:
        more = goes_on()
        if not more:
            _await_index(histories)
        news = [_news(one, more) if count is None else one.last(count, more) for one in followed]
        while True:
            _print(_in_order(histories, news), form, out)
            if not more:
                break
            time.sleep(LOOK_EVERY)
            more = goes_on()
            news = [_news(one, more) for one in followed]
    finally:
        for one in followed:
            one.close()


def _news(following: Following, more: bool) -> Iterator[Line | Gap]:
    return following.new() if more else following.rest()


def not_known(histories: Sequence[History], question: Question) -> Iterator[str]:
    """Yield what a question asks for and nobody can know, a sentence for each recording."""
    if question == dataclasses.replace(question, since=None, until=None, senders=frozenset()):
        return
    for history in histories:
        name, there, senders = history.recording.name, history.length, history.senders()
        left = there - sum(senders.values())
        if there and not history.is_dated():
            nothing = "nothing tells when its lines came or who said them"
            yield f"{name}: {nothing}: --since and --sender find none."
        elif question.senders and left > 0 and not history.may_be_stamped():
            yield f"{name}: of {size(left)} it is not known who said them; --sender leaves those out."
        for asked in sorted(history.known.called(question.senders) - {*senders} if senders else ()):
            yield f"{name}: nobody called {asked} has said anything yet."


def _await_index(histories: Sequence[History]) -> None:
    """Give the indexes of what runs the moment that they are behind."""
    until = time.monotonic() + INDEXED_WITHIN
    for history in histories:
        there = history.end
        while 0 < history.indexed() < there and history.recording.is_alive():
            if time.monotonic() >= until:
                return
            time.sleep(INDEXED_WITHIN / 10)


def _print(found: Iterator[tuple[History, Line | Gap]], form: Form, out: IO[str]) -> None:
    texts = (form.of(history, one) for history, one in found)
    lines = (f"{text}\n" for text in texts if text is not None)
    while together := "".join(itertools.islice(lines, _TOGETHER)):
        out.write(together)
        out.flush()


def _in_order(
    histories: Sequence[History], news: Sequence[Iterator[Line | Gap]]
) -> Iterator[tuple[History, Line | Gap]]:
    """Yield what each has, by time; what has none comes behind what it follows."""

    def owned(history: History, found: Iterator[Line | Gap]) -> Iterator[tuple[History, Line | Gap]]:
        return ((history, one) for one in found)

    yield from heapq.merge(*map(owned, histories, news), key=lambda item: item[1].time or 0.0)
