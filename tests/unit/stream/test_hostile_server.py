"""A server that is none of ours to trust takes no more than there is to say, and ends with a sentence."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reclog.errors import ReclogError
from reclog.stream import connecting
from reclog.stream.account import Account
from reclog.stream.connecting import Connection, connected

INFO = {"server_id": "x", "version": "2.15.0", "max_payload": 1 << 20, "headers": True, "proto": 1}
Says = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def met(says: Says, then: Callable[[Connection], Awaitable[Any]]) -> Any:
    """Return what comes of a connection to a server that says hello, and goes on so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO %s\r\n" % json.dumps(INFO).encode())
        while (await reader.readline()) != b"PING\r\n":
            pass
        writer.write(b"PONG\r\n")
        try:
            await says(reader, writer)
            await reader.read()
        except ConnectionError:
            pass
        writer.close()

    async def meet() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = await connected(Account([f"nats://127.0.0.1:{port}"]), "test", [])
        try:
            return await asyncio.wait_for(then(connection), 5)
        finally:
            await connection.leave()
            server.close()

    return asyncio.run(meet())


async def until_lost(connection: Connection) -> bool:
    while not connection.is_lost:
        await asyncio.sleep(0.01)
    return True


@pytest.mark.parametrize(
    "line",
    [b"INFO [[\r\n", b"INFO 7\r\n", b"MSG a 1 %s\r\n" % (b"9" * 5000), b"MSG a x 1\r\n", b"\xff\xfe\r\n"],
)
def test_what_makes_no_sense_ends_it_at_once(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)

    assert met(says, until_lost)
    assert logging.getLogger("nats").handlers  # else a traceback of each is in the daemon's log


def test_a_message_without_an_end_takes_no_more_than_one_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "LONGEST", 1 << 20)

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"MSG a 1 999999999999\r\n")
        for _ in range(1 << 10):
            writer.write(bytes(1 << 14))
            await writer.drain()

    assert met(says, until_lost)


def test_servers_that_it_tells_of_are_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(100):
            urls = [f"10.0.{number}.{last}:4222" for last in range(50)]
            writer.write(b"INFO %s\r\n" % json.dumps({**INFO, "connect_urls": urls}).encode())
        writer.write(b"INFO [\r\n")

    async def known(connection: Connection) -> int:
        await until_lost(connection)
        return len(connection.known) + len(connection._server_pool)

    assert met(says, known) <= 2 * connecting._MOST_KNOWN


@pytest.mark.parametrize("headers", [b"NATS/1.0", b"NATS/1.0 \xff\xfe\xfd\r\n\r\n", b"x", b""])
def test_a_message_that_can_not_be_decoded_comes_and_has_no_headers(headers: bytes) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not (line := await reader.readline()).startswith(b"SUB "):
            pass
        size = len(headers)
        of = b"a.\xff", line.split()[-1], size, size + 1, headers
        writer.write(b"HMSG %s %s %d %d\r\n%sx\r\n" % of)

    async def heard(connection: Connection) -> tuple[str, bytes, dict[str, str] | None]:
        message = await (await connection.subscribe("a.>")).next_msg(2)
        return message.subject, message.data, message.headers

    assert met(says, heard) == ("a.\\xff", b"x", None)


@pytest.mark.parametrize(
    "answer", [b"[" * 100_000, b"7", b"{" + b" " * (1 << 20) + b"}", b'{"a": ' + b"1" * 5000]
)
def test_an_answer_that_makes_no_sense_is_a_sentence(answer: bytes) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not (line := await reader.readline()).startswith(b"PUB "):
            if line.startswith(b"SUB "):
                sid = line.split()[-1]
        writer.write(b"MSG %s %s %d\r\n%s\r\n" % (line.split()[2], sid, len(answer), answer))

    with pytest.raises(ReclogError, match="the server's answer makes no sense"):
        met(says, lambda connection: connection.ask("STREAM.NAMES"))
