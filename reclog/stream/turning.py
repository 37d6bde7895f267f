"""The engine's loop within asyncio's: a daemon of the engine whose work is done by a library of asyncio's.

Rules kept here:

- Signals, the control socket, the event log and the counters are the engine's, and have their turns whatever
  the library waits for.
- What blocks is done beside both (`asyncio.to_thread`): who asks has an answer in time.
"""

from __future__ import annotations

import asyncio

from reclog.engine.system.loop import Loop

#: Seconds between turns.
EVERY = 0.05


async def turning(loop: Loop) -> None:
    """Turn the loop until this is cancelled."""
    while True:
        loop.turn(at_most=0.0)
        await asyncio.sleep(EVERY)
