"""What a stream holds, as a test reads it: by nats-py, and none of the publisher's code but `decode`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import nats
import nats.errors
from nats.js import api

from reclog.stream.message import Message, decode

T = TypeVar("T")


def run(doing: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: in this one a browser's loop may run."""
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(asyncio.run, doing).result()


def with_stream(servers: list[str], do: Callable[[Any], Awaitable[T]]) -> T:
    """Return what is done with a JetStream context."""

    async def doing() -> T:
        client = await nats.connect(servers)
        try:
            return await do(client.jetstream())
        finally:
            await client.close()

    return run(doing())


def held(servers: list[str], subject: str = "reclog.>", stream: str = "reclog") -> list[tuple[int, Any]]:
    """Return the sequence of each message of a subject, and what it says: a Message, or None if nothing."""

    async def pull(js: Any) -> list[tuple[int, Any]]:
        config = api.ConsumerConfig(ack_policy=api.AckPolicy.NONE)
        puller = await js.pull_subscribe(subject, stream=stream, config=config)
        found: list[tuple[int, Any]] = []
        left = (await puller.consumer_info()).num_pending
        while len(found) < left:
            for one in await puller.fetch(min(100, left - len(found)), timeout=5):
                try:
                    said = decode(one.headers, one.data)
                except ValueError:
                    said = None
                found.append((one.metadata.sequence.stream, said))
        return found

    return with_stream(servers, pull)


def whole(servers: list[str], subject: str = "reclog.>") -> tuple[bytes, list[Message]]:
    """Return what a stream holds of a recording, each byte once and in order, and its messages."""
    messages = [said for _, said in held(servers, subject) if said is not None]
    at = messages[0].begin if messages else 0
    for one in messages:
        assert one.identity == messages[0].identity
        assert one.begin == at, f"{one.begin} follows {at}"
        at = one.end
    return b"".join(one.payload for one in messages), messages
