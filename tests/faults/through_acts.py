"""What faults of a recording through a tremplin are made of: freeze, arm, press, and see what was stated."""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from bench import wait_until
from stage import Stage
from swarm import frozen
from through import Through

from reclog.engine.daemons.asking import ask

#: The numbers of epoll_wait(2) and epoll_pwait(2).
_WAITING = {"x86_64": {"232", "281"}, "aarch64": {"22"}}.get(platform.machine(), set())


def system_of(stage: Stage) -> Through:
    """Return the stage's system."""
    assert isinstance(stage.system, Through)
    return stage.system


def at_once(stage: Stage, processes: list[psutil.Process], number: int) -> None:
    """Send all of them a signal that ends them, then wait until they have ended."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    for process in processes:
        stage.hit(process, number)


def end_collector(stage: Stage, number: int = signal.SIGKILL) -> None:
    """End it, and see that its ssh has ended too."""
    family = [stage.the("collector"), *system_of(stage).processes("ssh")]
    stage.hit(family[0], number)
    psutil.wait_procs(family, timeout=10)


@contextlib.contextmanager
def frozen_idle(process: psutil.Process) -> Iterator[None]:
    """Have it stopped meanwhile where it waits for events: not between a look at its file and a write."""
    until = time.monotonic() + 20
    while True:
        with frozen(process):
            # What it was in when it was stopped: a number, and -1 in its own code (proc(5)).
            number = Path(f"/proc/{process.pid}/syscall").read_text().split()[0]
            if number in _WAITING or not _WAITING:
                yield
                return
        assert time.monotonic() < until, "it never waits for events"
        time.sleep(0.001)


# -- what was stated ----------------------------------------------------------------------------------


def events(stage: Stage, event: str, there: bool = False) -> list[dict[str, Any]]:
    """Return the collector's events of a name; the relay's `there`."""
    system = system_of(stage)
    folder = system.relay_folder if there else system.recording.folder
    found = []
    for name in ("events.log.1", "events.log"):
        with contextlib.suppress(FileNotFoundError):
            found += (folder / name).read_bytes().splitlines()
    quoted = json.dumps(event).encode()
    return [json.loads(line) for line in found if quoted in line and json.loads(line)["event"] == event]


@contextlib.contextmanager
def stating(stage: Stage, *names: str, there: bool = False) -> Iterator[None]:
    """See that what is done inside is stated, by an event of each name at least, soon after."""
    if "disconnected" in names:  # who is just about to connect has no connection to lose
        folder = system_of(stage).recording.folder
        wait_until(lambda: state_of(folder) in ("recording", "paused"), 40, "it is connected")
    before = [len(events(stage, name, there)) for name in names]
    yield
    for name, count in zip(names, before):
        wait_until(
            lambda name=name, count=count: len(events(stage, name, there)) > count,  # type: ignore[misc]
            40,
            f"{name!r} is stated",
        )


def state_of(folder: Path) -> object:
    """Return what a daemon says of itself, asked: right after a loss its file still tells of before."""
    return ask(folder)[1].get("counters", {}).get("state")


def counters(folder: Path) -> dict[str, Any]:
    """Return what a daemon shows of itself; nothing while it shows nothing."""
    try:
        found: dict[str, Any] = json.loads((folder / "counters.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found
