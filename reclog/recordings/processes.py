"""Whose process is it: ours by the mark that only reclog sets, a port's holder by the system's tables."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from reclog.engine.records.names import MARK
from reclog.engine.system.identity import Identity

Family = list[psutil.Process]


def marked(root: Path) -> dict[Path, Family]:
    """Return this user's processes that carry the mark of a folder below `root`, by folder, eldest first.

    A daemon sets the mark in its own environment, so all that it starts inherits it (environ(7)).
    """
    found: dict[Path, Family] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # Whose it is is asked of the few that have a mark.
            mark = process.environ().get(MARK)
            if mark and Path(mark).parent == root and _is_mine(process):
                found.setdefault(Path(mark), []).append(process)
    for family in found.values():
        family.sort(key=_age)
    return found


def exact(identity: Identity) -> psutil.Process | None:
    """Return the process of `identity`; None if it does not run here."""
    if not identity.is_alive():
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(identity.pid)
        # psutil remembers the start time and checks it before each signal; ours is checked once more.
        return process if identity.is_alive() else None
    return None


def is_suspended(identity: Identity) -> bool:
    """Tell whether a process was told to do nothing (SIGSTOP) until it is told to go on."""
    with contextlib.suppress(psutil.Error):
        process = exact(identity)
        return process is not None and process.status() == psutil.STATUS_STOPPED
    return False


def end(processes: Iterable[psutil.Process], term_within: float) -> Family:
    """Send TERM, wait `term_within` seconds, KILL what is left; return what had to be killed."""
    family = [process for process in processes if runs(process)]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    alive = _wait(family, term_within)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(alive, 2.0)
    return alive


def runs(process: psutil.Process) -> bool:
    """Tell whether it runs; a zombie does not, though nobody may ever collect it (a container's pid 1)."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _wait(processes: Family, at_most: float) -> Family:
    """Wait `at_most` seconds until none of them runs; return those that still do."""
    until = time.monotonic() + at_most
    while True:
        alive = [process for process in processes if runs(process)]
        if not alive or time.monotonic() >= until:
            return alive
        time.sleep(0.01)


def holder_of(port: int) -> str:
    """Return who holds TCP `port`, for a person to read; empty if the system does not tell.

    That is who listens on it, else who has a connection that goes out from it.
    """
    with contextlib.suppress(psutil.Error, OSError):
        held = [
            one
            for one in psutil.net_connections("tcp")
            if one.laddr and one.laddr.port == port and one.status != psutil.CONN_TIME_WAIT  # nobody's
        ]
        for connection in sorted(held, key=lambda one: one.status != psutil.CONN_LISTEN):
            if connection.pid is None:
                return "a process of another user"
            with contextlib.suppress(psutil.Error):
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


def _is_mine(process: psutil.Process) -> bool:
    return process.pid != os.getpid() and process.uids().real == os.getuid()


def _age(process: psutil.Process) -> tuple[float, int]:
    with contextlib.suppress(psutil.Error):
        return process.create_time(), process.pid
    return float("inf"), process.pid
