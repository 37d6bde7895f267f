"""What a system costs: CPU and memory of a process and all its descendants, by /proc.

- CPU is user and system time of the whole tree, with those that have ended and that one of it waited for.
- Memory is, for one process, the most it ever had resident (VmHWM); for several, the largest sum seen of
  their proportional shares (PSS), where a page that ten processes share counts a tenth for each.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TICK = os.sysconf("SC_CLK_TCK")
SAMPLE_EVERY = 0.1
"""Seconds between two looks at the memory of a tree: each costs CPU."""


class Process(NamedTuple):
    """One process: its parent, and CPU seconds of its own and of children that it waited for."""

    parent: int
    own: float
    children: float


def processes() -> dict[int, Process]:
    """Return all processes of the machine, by id."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
            own, children = int(words[11]) + int(words[12]), int(words[13]) + int(words[14])
            found[int(name)] = Process(int(words[1]), own / TICK, children / TICK)
    return found


def tree(roots: Sequence[int], known: dict[int, Process] | None = None) -> list[int]:
    """Return `roots` and all their descendants."""
    known = processes() if known is None else known
    below: dict[int, list[int]] = {}
    for pid, process in known.items():
        below.setdefault(process.parent, []).append(pid)
    found: list[int] = []
    todo = [pid for pid in roots if pid in known]
    while todo:
        pid = todo.pop()
        if pid not in found[-1:]:
            found.append(pid)
            todo += below.get(pid, [])
    return list(dict.fromkeys(found))


def cpu(roots: Sequence[int]) -> float:
    """Return the CPU seconds that a tree has used up to now."""
    known = processes()
    # A tick is 10 ms; the scheduler counts nanoseconds, but only for threads that have not ended.
    return sum(max(known[pid].own, thread_ns(pid) / 1e9) + known[pid].children for pid in tree(roots, known))


def thread_ns(pid: int) -> int:
    """Return the CPU nanoseconds of a process's threads (the kernel's sched-stats.rst)."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_bytes().split()[0])
    return total


def memory(pids: Sequence[int]) -> int:
    """Return the bytes that processes have now, shared pages counted once."""
    return sum(_kib(pid, "smaps_rollup", b"Pss:") for pid in pids) * 1024


def peak(pid: int) -> int:
    """Return the most bytes that a process ever had resident."""
    return _kib(pid, "status", b"VmHWM:") * 1024


def waiting(port: int) -> int:
    """Return how many connections wait in the queue of who listens on an IPv4 `port` (proc_net_tcp.rst)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    listening = [row for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    return sum(int(row[4].rpartition(":")[2], 16) for row in listening)


def dropped(port: int) -> int:
    """Return how many datagrams the kernel had no room for, of those to an IPv4 `port` (proc_net_udp)."""
    rows = [row.split() for row in Path("/proc/net/udp").read_text("ascii").splitlines()[1:]]
    return sum(int(row[12]) for row in rows if row[1].endswith(f":{port:04X}"))


def _kib(pid: int, name: str, field: bytes) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{name}").read_bytes().splitlines():
            if line.startswith(field):
                return int(line.split()[1])
    return 0  # it has ended


class Peak:
    """The most memory that a tree had, and the most processes."""

    def __init__(self, roots: Sequence[int]) -> None:
        self.roots = list(roots)
        self.bytes = 0
        self.processes = 0

    def look(self) -> None:
        """Look once."""
        found = tree(self.roots)
        self.processes = max(self.processes, len(found))
        self.bytes = max(self.bytes, memory(found) if len(found) > 1 else 0)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again, in a thread."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(SAMPLE_EVERY):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.look()
            if self.processes == 1:
                self.bytes = peak(self.roots[0])
