"""What is pulled comes in its order, and what a server does instead is found out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from reclog.engine.system.loop import Loop
from reclog.stream import pull as module
from reclog.stream.account import Account
from reclog.stream.box import THERE, Anew
from reclog.stream.connecting import NotConnected, Refused
from reclog.stream.position import Position, Stream
from reclog.stream.pull import IN_VAIN, Pull, Wanted

STREAM = Stream("reclog", "then", 9)
HAD = Position("reclog", "then", 5, 100.0)


class Told:
    """Who hears."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *what: self.said.append((name, *what))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def pull(loop: Loop, told: Told, monkeypatch: pytest.MonkeyPatch) -> Pull:
    one = Pull(loop, Wanted(Account(["nats://h"]), "x", "reclog.>", "first"), HAD, told)
    monkeypatch.setattr(one, "_tell", lambda done: done())
    return one


def message(sequence: int, time: float) -> Any:
    when = datetime.fromtimestamp(time, timezone.utc)
    facts = SimpleNamespace(sequence=SimpleNamespace(stream=sequence), timestamp=when, num_pending=0)
    return SimpleNamespace(metadata=facts, subject="reclog.a.b", headers=None, data=b"x")


def test_what_goes_back_is_looked_into_and_what_is_another_is_a_reset(pull: Pull, told: Told) -> None:
    taken: list[Any] = []
    for number, time in ((5, 100.0), (6, 101.0), (8, 102.0)):  # the one that was had, and two more
        pull._look(message(number, time), STREAM, taken, 0.0)
    assert [one.position.sequence for one in taken] == [6, 8]
    with pytest.raises(Anew, match="sends message 7 behind 8"):
        pull._look(message(7, 103.0), STREAM, taken, 0.0)
    assert not told.said
    with pytest.raises(Anew):
        pull._look(message(5, 101.0), STREAM, [], 0.0)
    assert [what for what, *_ in told.said] == ["reset"]
    assert pull._position == Position("reclog", "then", 0, 0.0)


@pytest.mark.parametrize(
    ("lost", "forbidden", "raised"),
    [(True, "", NotConnected), (False, "not allowed", Refused), (False, "", Anew)],
)
def test_a_consumer_that_does_not_answer_is_none_with_nothing_to_say(
    pull: Pull, lost: bool, forbidden: str, raised: type[Exception]
) -> None:
    async def silent(*_: object) -> None:
        raise asyncio.TimeoutError

    connection: Any = SimpleNamespace(is_lost=lost, forbidden=forbidden)
    box: Any = SimpleNamespace(ask=silent)
    with pytest.raises(raised):
        asyncio.run(pull._asked(connection, box, THERE, "404"))


def test_what_is_made_anew_in_vain_is_waited_for_and_said(
    pull: Pull, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def anew() -> None:
        raise Anew("it does not answer")

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 8:
            raise asyncio.CancelledError

    monkeypatch.setattr(pull, "_pull", anew)
    monkeypatch.setattr("reclog.stream.pull.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(pull._go_on())
    assert waited == [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    assert len(told.said) == 8 - IN_VAIN
    assert "again and again (it does not answer)" in told.said[0][1]


@pytest.mark.parametrize(
    ("names", "info", "said"),
    [
        (None, {}, "no stream has the subject"),
        (["a b"], {}, "makes no sense"),
        ([7], {}, "makes no sense"),
        (["a"], {"config": {}, "state": {"last_seq": "9"}, "created": "then"}, "makes no sense"),
        (["a"], {"config": [], "state": {"last_seq": 9}, "created": "then"}, "makes no sense"),
        (
            ["a"],
            {"config": {"retention": "x\x1b[2J"}, "state": {"last_seq": 9}, "created": ""},
            "once (x [2J)",
        ),
    ],
)
def test_a_stream_that_makes_no_sense_is_a_sentence(names: Any, info: dict[str, Any], said: str) -> None:
    async def ask(subject: str, /, **_: object) -> dict[str, Any]:
        return {"streams": names} if subject == "STREAM.NAMES" else info

    connection: Any = SimpleNamespace(ask=ask)
    with pytest.raises(Refused, match=re.escape(said)):
        asyncio.run(module._stream(connection, "reclog.>"))
