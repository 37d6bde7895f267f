"""An agent's tools, by the Model Context Protocol on standard input and output; needs the extra `agent`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from reclog.engine import __version__

from ..console import visible
from ..errors import ReclogError
from ..recordings.registry import Registry
from .agent import INSTRUCTIONS, LOOK_EVERY, MOST_SECONDS, Agent

T = TypeVar("T")


def serve(registry: Registry) -> None:
    """Answer an agent until it closes our standard input."""
    server = MCPServer("reclog", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR")
    tools = _Tools(Agent(registry))
    looks = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True)
    for tool in (tools.recordings, tools.read, tools.search, tools.wait, tools.gaps, tools.senders):
        server.add_tool(tool, annotations=looks, structured_output=False)
    server.run()


class _Tools:
    """What an agent calls, by its names; their docstrings are what it is told of them."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def recordings(self) -> str:
        """List what is and was recorded: one JSON object a line. Times are UTC, sizes are bytes."""
        return await _beside(self._agent.recordings)

    async def read(
        self,
        recording: str,
        cursor: int | None = None,
        before: int = 0,
        lines: int = 100,
        bytes: int = 20_000,  # noqa: A002 the tool's word
        seconds: float = 0,
    ) -> str:
        """Read lines of a recording: the last ones, or those from a cursor on.

        cursor: an offset, or what an answer told. before: so many lines before it, too. lines, bytes: how
        much at most (1000, 100000). seconds: if nothing came since the cursor, wait so long for it (120).
        """
        read = functools.partial(self._agent.read, recording, cursor, before, lines, bytes)
        until = anyio.current_time() + min(seconds, MOST_SECONDS)
        while True:
            answer = await _beside(read)
            if answer.number or cursor is None or anyio.current_time() >= until:
                return str(answer)
            await anyio.sleep(LOOK_EVERY)

    async def search(
        self,
        recording: str,
        expression: str = "",
        senders: list[str] | None = None,
        since: str = "",
        until: str = "",
        cursor: int = 0,
        lines: int = 50,
        last: bool = False,
    ) -> str:
        """Search a recording from a cursor on, for 10 seconds at most.

        expression: a regular expression of Python's; `(?i)` before it ignores case. senders: names or
        addresses. since, until: `10m` ago, `14:30`, `2026-05-31T14:30:00Z`. lines: how many at most (1000),
        the first that are found, or the last.
        """
        words = (recording, expression, senders or (), since, until, cursor, lines, last)
        return str(await _beside(functools.partial(self._agent.search, *words)))

    async def wait(
        self,
        recording: str,
        expression: str = "",
        silence: float = 0,
        seconds: float = 30,
        cursor: int | None = None,
    ) -> str:
        """Wait for a line that a regular expression is in, or for so many seconds of silence, or for either.

        seconds: how long at most (120). cursor: where to begin; without it, at the end. Read first, then act
        on the device, then wait from the cursor of what was read: so nothing that it says is missed.
        """
        begin = functools.partial(self._agent.wait, recording, expression, silence, seconds, cursor)
        waiting = await _beside(begin)
        try:
            while (answer := await _beside(waiting.look)) is None:
                await anyio.sleep(LOOK_EVERY)
        finally:
            waiting.close()
        return str(answer)

    async def gaps(self, recording: str) -> str:
        """List where something of a recording is missing or had to wait, with how long, and why."""
        return str(await _beside(functools.partial(self._agent.gaps, recording)))

    async def senders(self, recording: str) -> str:
        """List who has said how much, as far as that is known."""
        return str(await _beside(functools.partial(self._agent.senders, recording)))


async def _beside(look: Callable[[], T]) -> T:
    """Look in a thread. Raises ToolError: a sentence for the agent."""
    try:
        return await anyio.to_thread.run_sync(look)
    except ReclogError as error:
        raise ToolError(visible(str(error))) from error
    except OSError as error:
        raise ToolError(f"That can't be read ({error.strerror}).") from error
