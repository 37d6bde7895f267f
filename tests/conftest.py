"""What tests share: a loop that is given back, a home for real processes, and nothing left behind.

The unit tests of the engine run under Pythons that have pytest and hypothesis alone, so what real processes
need is imported where it is used.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import properties  # noqa: F401 it sets how properties are tried
import pytest

from reclog.engine.system.loop import Loop

if TYPE_CHECKING:
    from bench import Home
    from browsing import View
    from playwright.sync_api import Browser, Page
    from tremplin_bench import Tremplin

WITHIN = 20.0


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


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give a test its home; afterwards stop what runs there and see that nothing is left."""
    from bench import Home, listening

    home = Home(tmp_path)
    yield home
    home.kill_all()
    left = home.processes()
    for process in left:
        process.kill()
    assert not left, f"left behind: {[' '.join(p.cmdline()) for p in left]}"
    assert not listening(*home.ports)


@pytest.fixture
def tree(home: Home) -> Path:
    """Give a test a copy of the checkout, for a config file of its own."""
    from bench import ROOT

    tree = home.path / "tree"
    tree.mkdir()
    for name in ("tasks.py", "fabfile.py"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "reclog", tree / "reclog", ignore=shutil.ignore_patterns("__pycache__"))
    return tree


@pytest.fixture(params=["socat", "builtin"])
def listener(request: pytest.FixtureRequest) -> str:
    """Run a test with each listener."""
    return str(request.param)


@pytest.fixture
def trem(home: Home, tmp_path: Path) -> Iterator[Tremplin]:
    """Give a test a tremplin with a real sshd; afterwards see that nothing is left there."""
    from tremplin_bench import tremplin

    with tremplin(home, tmp_path / "tremplin") as bench:
        yield bench


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run one browser for all tests of a process."""
    from browsing import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a test a page in a profile of its own; afterwards see that no script failed, none was refused."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.wrong = wrong  # type: ignore[attr-defined] # a test that provokes some empties it
    yield page
    context.close()
    assert not wrong


@pytest.fixture
def view(home: Home) -> Iterator[View]:
    """Serve the page from a test's home."""
    from browsing import viewing

    with viewing(home) as view:
        yield view


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let a test run a loop of its own in a worker in which a browser's runs, too."""
    other = None if "browser" in getattr(item, "fixturenames", ()) else asyncio._get_running_loop()
    if other is not None:
        asyncio._set_running_loop(None)
    yield
    if other is not None:
        asyncio._set_running_loop(other)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs root where the tests have no such rights; CI must have them."""
    if item.get_closest_marker("root") and os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("needs root, for file systems and network namespaces of its own")
