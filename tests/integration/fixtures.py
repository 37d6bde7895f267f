"""A home of its own for each test, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench import Home
from tremplin_bench import Tremplin, tremplin


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give a test its home; afterwards stop what runs there and see that nothing is left."""
    home = Home(tmp_path)
    yield home
    home.inv("kill")
    left = home.processes()
    for process in left:
        process.kill()
    assert not left, f"left behind: {[' '.join(p.cmdline()) for p in left]}"
    listening = {c.laddr.port for c in psutil.net_connections("tcp") if c.laddr and c.status == "LISTEN"}
    assert not listening & set(home.ports)


@pytest.fixture(params=["socat", "builtin"])
def listener(request: pytest.FixtureRequest) -> str:
    """Run a test with each listener."""
    return str(request.param)


@pytest.fixture
def trem(home: Home, tmp_path: Path) -> Iterator[Tremplin]:
    """Give a test a tremplin with a real sshd; afterwards see that nothing is left there."""
    with tremplin(home, tmp_path / "tremplin") as bench:
        yield bench
