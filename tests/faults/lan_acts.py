"""What faults of a recording on a LAN are made of: kill, stop, look, take away what a process needs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from bench import wait_until
from checker import SETTLES_WITHIN
from lan import Lan
from small_disk import SmallDisk
from stage import Stage
from swarm import Crowd, runs

from reclog.engine.records.events import timestamp

#: A control group hierarchy with the pids controller: version 1, or 2 if the root hands it down.
PIDS_CGROUPS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))


def lan_of(stage: Stage) -> Lan:
    """Return the stage's system."""
    assert isinstance(stage.system, Lan)
    return stage.system


class Concurrent:
    """A command that runs while the test does something else."""

    def __init__(self, lan: Lan, *words: str) -> None:
        self._found: list[subprocess.CompletedProcess[str]] = []
        self._crowd = Crowd([lambda: self._found.append(lan.home.inv(*words))])

    def done(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; see that it did not fall over."""
        self._crowd.join()
        done = self._found[0]
        assert "Traceback" not in done.stderr, done.stderr
        return done


def at_once(lan: Lan, *commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
    running = [Concurrent(lan, *words) for words in commands]
    return [one.done() for one in running]


def listening_socat(stage: Stage) -> psutil.Process:
    """Return the socat that listens; where its recorder listens itself by now, start all anew."""
    found = stage.victim("socat")
    if found is None:
        stop(stage)
        lan_of(stage).again()
        found = stage.the("socat")
    return found


def see_nobody_listen(lan: Lan) -> None:
    # socat gets its signal when its recorder has ended, and may accept for a moment longer.
    wait_until(lambda: not lan.listens(), 10, "nobody listens")


def kill_recorder(stage: Stage, number: int = signal.SIGKILL, settles: float = SETTLES_WITHIN) -> None:
    recorder = stage.the("recorder")
    with stage.losing(settles=settles):
        stage.hit(recorder, number)
        see_nobody_listen(lan_of(stage))


def stop(stage: Stage) -> None:
    lan = lan_of(stage)
    with stage.losing(settles=0):
        done = lan.home.inv("kill")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    lan.see_nothing_left()


def see_end_of_socat(lan: Lan, socat: psutil.Process, since: str) -> None:
    """See that socat ends, as somebody connects, and that its queue is served without it."""

    def ends() -> bool:
        with contextlib.suppress(OSError), lan.connect() as sock:
            sock.sendall(b"beacon for a socat that ends\n")
        return not runs(socat)

    wait_until(ends, 10, "socat ends")
    lan.wait_for("listener died", since)
    lan.wait_for("listener taken over", since)
    assert lan.listens(), "nobody listens any more"
    assert not lan.events("listener full", since), lan.events("listener full", since)[0]


def disk_of(stage: Stage) -> SmallDisk:
    disk = lan_of(stage).disk
    assert disk is not None
    return disk


def fill(stage: Stage) -> None:
    """Leave so little room that recording pauses, and see that it is said."""
    lan, since = lan_of(stage), timestamp()
    disk_of(stage).fill(stage.dice.randrange(64 * 1024))
    reason = "No space left on device"
    assert lan.wait_for("paused", since)["reason"] == reason

    def is_said() -> bool:
        status = lan.running.status()
        return bool(status["state"] == "paused" and status["paused_for"] == reason)

    wait_until(is_said, 10, "the status says paused")


def connections(lan: Lan) -> int:
    """Return how many senders the recorder has, as it says itself."""
    try:
        return int(json.loads((lan.folder / "counters.json").read_bytes())["senders"])
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def without_files(process: psutil.Process) -> Iterator[None]:
    """Let a process open nothing more: its limit is the lowest number that it has free."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    # Looked at for as long as others may have its core: what it has accepted and not yet let go would leave
    # it a place later.
    free, until = _lowest_free(process), time.monotonic() + 0.5
    while time.monotonic() < until:
        free = min(free, _lowest_free(process))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


def _lowest_free(process: psutil.Process) -> int:
    used = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
    return next(number for number in itertools.count() if number not in used)


def pids_cgroup() -> Path | None:
    """Return where control groups that bound processes can be made; None if they can't."""
    for root in PIDS_CGROUPS:
        control = root / "cgroup.subtree_control"
        controllers = control.read_text().split() if control.exists() else [root.name]
        if "pids" in controllers and os.access(root, os.W_OK) and (root / "cgroup.procs").exists():
            return root
    return None


@contextlib.contextmanager
def without_processes(process: psutil.Process) -> Iterator[None]:
    """Let a process fork no more: it is alone in a control group that has room for one."""
    root = pids_cgroup()
    assert root is not None
    group = root / f"reclog-faults-{process.pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        (group / "pids.max").write_text("1")
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (root / "cgroup.procs").write_text(pid)
        wait_until(lambda: _removed(group), 10, "the control group is empty")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:  # one that ended is still being let go
        return False
    return True
