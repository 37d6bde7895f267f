"""What this system allows at once: connections waiting, open files, processes."""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

from .tcp import BACKLOG

#: A burst that reclog promises to record whole (senders that connect at once).
BURST = 2000
#: Descriptors kept for everything that is not a sender.
SPARE_FILES = 64
#: Where a process serves each sender, more of them than this serve nobody better.
MOST_PROCESSES = 4000
_MOST_FILES = 65536


class Capacity(NamedTuple):
    """The numbers that bound a source."""

    #: Connections that may wait in a listener's queue (net.core.somaxconn).
    somaxconn: int
    #: Descriptors that this process may have (RLIMIT_NOFILE).
    open_files: int
    #: Processes that this user may still start, as far as the system tells.
    processes: int

    @classmethod
    def read(cls) -> Capacity:
        """Return this system's limits, after raising our own limit of open files as far as we may."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                soft = wanted
            except (ValueError, OSError):
                pass  # macOS caps it elsewhere too; then the soft limit stays
        files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
        return cls(_number("/proc/sys/net/core/somaxconn", BACKLOG), files, _processes())


def most_senders(capacity: Capacity, process_each: bool) -> int:
    """Return how many senders a source can serve at once; with `process_each` it takes a process for each."""
    places = _places(capacity)
    return max(1, min(places, capacity.processes // 2, MOST_PROCESSES) if process_each else places)


def shortages(capacity: Capacity, process_each: bool) -> list[str]:
    """Say which limits would keep a burst of `BURST` senders from being served, and the remedy."""
    said = []
    if capacity.somaxconn < BURST:
        said.append(
            f"This system lets {capacity.somaxconn} connections wait; more at once are put off or refused: "
            f"sudo sysctl -w net.core.somaxconn={BACKLOG}"
        )
    places = _places(capacity)
    if places < BURST:
        said.append(
            f"At most {places} senders are served at once, the limit of open files; "
            f"others wait: ulimit -n {2 * BURST}"
        )
    if process_each and capacity.processes // 2 < BURST:
        said.append(
            f"At most {capacity.processes // 2} senders are served at once, the limit of processes (this "
            f"listener takes one each); others wait: --listener builtin takes none"
        )
    return said


def _places(capacity: Capacity) -> int:
    """Return how many senders may have a descriptor: a part of few, too."""
    return max(1, capacity.open_files // 4, capacity.open_files - SPARE_FILES)


def _processes() -> int:
    bounds = [
        _number("/proc/sys/kernel/pid_max", 32768),
        _number("/proc/sys/kernel/threads-max", 32768),
        _cgroup_processes(),
    ]
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:  # root is not bound by it (setrlimit(2))
        bounds.append(soft)
    return min(bounds)


def _cgroup_processes() -> int:
    """Return what is left of pids.max of this process's control group (cgroups(7), version 2)."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            group = next(line[3:].strip() for line in file if line.startswith("0::"))
        left = 1 << 22
        while True:
            folder = "/sys/fs/cgroup" + group.rstrip("/")
            left = min(left, _number(f"{folder}/pids.max", 1 << 22) - _number(f"{folder}/pids.current", 0))
            if group in ("", "/"):
                return left
            group = os.path.dirname(group)
    except (OSError, StopIteration):
        return 1 << 22


def _number(path: str, otherwise: int) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return otherwise
