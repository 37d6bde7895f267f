"""What a consumer sends, and what its server says of that, are told apart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from reclog.stream.box import BYTES, NEXT, THERE, Anew, Box


class Consumer:
    """A connection to one that sends what a test says."""

    def __init__(self) -> None:
        self.sends: list[Msg] = []
        self.asked: list[bytes] = []

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, subject: str, **bounds: int) -> Consumer:
        assert subject == "_INBOX.x.*"
        return self

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        assert subject.endswith(".NEXT.reclog.c")
        self.asked.append(payload)

    async def next_msg(self, timeout: float) -> Msg:
        return self.sends.pop(0)

    def says(self, status: str, request: int = 1) -> None:
        self.sends.append(Msg(self, f"_INBOX.x.{request}", headers={"Status": status}))  # type: ignore[arg-type]

    def has(self, data: bytes, **headers: str) -> None:
        self.sends.append(Msg(self, "reclog.a.b", "$JS.ACK.x", data, headers))  # type: ignore[arg-type]


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


def taken(consumer: Consumer, *requests: tuple[Any, ...]) -> list[bytes]:
    async def ask() -> list[bytes]:
        box = await Box(consumer, "reclog.c").open()  # type: ignore[arg-type]
        return [one.data for request in requests for one in await box.ask(*request)]

    return asyncio.run(ask())


def test_a_status_in_a_message_is_text(consumer: Consumer) -> None:
    consumer.has(b"one", Status="404")
    consumer.has(b"two", Status="100")
    consumer.says("404")
    assert taken(consumer, (THERE, "404")) == [b"one", b"two"]
    assert str(BYTES).encode() in consumer.asked[0]


def test_what_is_said_of_a_request_before_ends_none(consumer: Consumer) -> None:
    consumer.has(b"one")
    consumer.says("409", request=1)  # the batch is complete: it was known
    consumer.has(b"two")
    consumer.says("409", request=2)
    assert taken(consumer, (NEXT, "408"), (THERE, "404", "409")) == [b"one", b"two"]


def test_whatever_else_it_says_it_is_made_anew(consumer: Consumer) -> None:
    consumer.says("503")
    with pytest.raises(Anew):
        taken(consumer, (THERE, "404", "409"))
