"""What the tests of the engine share: a loop that is given back, and a way to wait in it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from reclog.engine.system.loop import Loop

WITHIN = 10.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
    handlers = [signal.getsignal(number) for number in numbers]
    loop = Loop()
    yield loop
    loop.close()
    for number, handler in zip(numbers, handlers):
        signal.signal(number, handler)


@pytest.fixture
def turn_until(loop: Loop) -> Callable[[Callable[[], bool]], None]:
    """Turn the loop until something is seen; fail if it isn't seen in time."""

    def turn(seen: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + WITHIN
        while not seen():
            assert time.monotonic() < give_up_at, "not seen in time"
            loop.turn(at_most=0.01)

    return turn
