"""Where what a consumer sends comes in, and what its server says of that.

Rules kept here:

- A message of the stream has a reply, what the server says of a request has none: that tells them apart. A
  header `Status` is anybody's to put into a message: nats-py's `fetch` would pass it over, for ever.
- What was not asked for is not kept beyond what may be late of an answer.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import nats.errors
from nats.aio.msg import Msg

from .connecting import LONGEST, Connection, quoted
from .message import LARGEST, LONGEST_RUNS

#: Messages of a batch at most, and their bytes (with what the server counts besides).
BATCH = 16
BYTES = BATCH * (LARGEST + LONGEST_RUNS + 4096)
#: Seconds without a message after which the consumer is asked.
IDLE = 2.0
#: What is asked for: what is there, and if that is nothing, or the first is too large, the next one.
THERE: Mapping[str, Any] = {"batch": BATCH, "max_bytes": BYTES, "no_wait": True}
NEXT: Mapping[str, Any] = {"batch": 1, "expires": int(IDLE * 1e9)}


class Anew(Exception):
    """The consumer is to be made anew; the message says why, as part of a sentence."""


class Box:
    """Where what a consumer sends comes in."""

    def __init__(self, connection: Connection, consumer: str) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer}"
        self._inbox = connection.new_inbox()
        self._count = 0

    async def open(self) -> Box:
        """Have it come in. Raises what nats-py does."""
        self._came = await self._connection.subscribe(
            f"{self._inbox}.*", pending_msgs_limit=4 * BATCH, pending_bytes_limit=BYTES + LONGEST
        )
        return self

    async def close(self) -> None:
        """Have no more come in."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._came.unsubscribe()

    async def ask(self, wanted: Mapping[str, Any], *nothing: str) -> list[Msg]:
        """Return what comes of a request until the server says one of `nothing`.

        Raises Anew if it says something else, and what nats-py does.
        """
        self._count += 1
        reply = f"{self._inbox}.{self._count}"
        await self._connection.publish(self._subject, json.dumps(wanted).encode("ascii"), reply)
        found: list[Msg] = []
        while len(found) < wanted["batch"]:
            message = await self._came.next_msg(timeout=2 * IDLE)
            if message.reply:
                found.append(message)
            elif message.subject == reply:  # else it is about a request before
                said = message.headers or {}
                if said.get("Status") not in nothing:
                    raise Anew(quoted(said.get("Description") or said.get("Status") or "it says nothing"))
                break
        return found
