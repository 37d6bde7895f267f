"""What a publisher says to a stream, by hand: so that a test decides which messages there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import nats
from nats.js.client import JetStreamContext

from reclog.engine.stores.index.format import Run
from reclog.stream.message import EVERYTHING, Identity, encode, subject

ONE = Identity("0123456789abcdef", 1)
#: When the first byte of a recording came, as it is said here; each later one came a millisecond later.
BEGAN = int(time.time() * 1000) - 60_000


def say(url: str, what: Callable[[JetStreamContext], Awaitable[None]]) -> None:
    """Do something with a stream's server."""

    async def doing() -> None:
        connection = await nats.connect(url)
        try:
            await what(connection.jetstream())
        finally:
            await connection.close()

    asyncio.run(doing())


def publish(url: str, recording: str, texts: Sequence[bytes], at: int = 0, stream: bool = True) -> int:
    """Publish texts of a recording, a message each, from offset `at` on; return its end.

    `stream`: make the stream, too.
    """
    ends = [at]

    async def doing(context: JetStreamContext) -> None:
        if stream:
            await context.add_stream(name="reclog", subjects=[EVERYTHING])
        for text in texts:
            begin, end = ends[-1], ends[-1] + len(text)
            headers = encode(ONE, begin, text, [Run(begin, end, BEGAN + begin, "10.0.0.7")])
            await context.publish(subject("laptop", recording), text, headers=headers)
            ends.append(end)

    say(url, doing)
    return ends[-1]
