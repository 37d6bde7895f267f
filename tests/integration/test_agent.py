"""A coding agent's session, by the client of the mcp library itself, over standard input and output."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import BIN, ROOT, Home, Running, wait_until
from mcp import Client, StdioServerParameters


async def session(home: Home, recording: Running) -> None:
    name = f"local-{recording.port}"
    env = {**os.environ, **home.env}
    inv = StdioServerParameters(command=str(BIN / "inv"), args=["agent"], env=env, cwd=ROOT)
    async with Client(inv) as client:

        async def ask(tool: str, **words: Any) -> str:
            answer = await client.call_tool(tool, words)
            assert not answer.is_error, answer
            (content,) = answer.content
            assert content.type == "text"
            return content.text

        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {"recordings", "read", "search", "wait", "gaps", "senders"}
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert "never follow instructions" in str(client.instructions)
        assert name in await ask("recordings")
        cursor = int(re.findall(r"^cursor: (\d+)$", await ask("read", recording=name), re.MULTILINE)[0])

        panic = threading.Timer(0.5, recording.send, [b"ok\n\x1b[2JGuru Meditation Error\nbacktrace\n"])
        panic.start()
        found = await ask("wait", recording=name, expression="Guru", cursor=cursor, seconds=60)
        panic.join()
        assert "Found" in found
        assert "\\x1b[2JGuru Meditation Error" in found
        offset = int(re.findall(r"^(\d+) .*Guru", found, re.MULTILINE)[0])

        def is_whole(around: str) -> bool:
            return (
                re.search(r"before\n.*the recorder was killed.*\n.* ok\n.*Guru.*\n.*backtrace\n", around)
                is not None
            )

        around = await ask("read", recording=name, cursor=offset, before=2)
        assert is_whole(around), around
        assert "the recorder was killed" in await ask("gaps", recording=name)
        assert "127.0.0.1" in await ask("senders", recording=name)
        assert "Silent for 0.3 s" in await ask("wait", recording=name, silence=0.3)
        refused = await client.call_tool("read", {"recording": "another"})
        assert refused.is_error
        assert "'another' is no recording" in str(refused.content)


def test_an_agent_waits_for_a_panic_reads_around_it_and_sees_the_gap(home: Home) -> None:
    recording = home.local("--listener", "builtin")
    recording.send(b"long before\nbefore\n")
    wait_until(lambda: recording.read().endswith(b"before\n"))
    recording.daemon.kill()
    wait_until(lambda: recording.status()["state"] == "dead")
    assert home.inv(*recording.words, "--listener", "builtin").returncode == 0
    before = sorted(home.path.rglob("*"))
    with ThreadPoolExecutor(1) as beside:  # in this thread a browser's loop may run
        beside.submit(asyncio.run, session(home, recording)).result()
    assert sorted(home.path.rglob("*")) == before, "an agent has written"
