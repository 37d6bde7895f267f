"""Which process is meant: host, boot, pid namespace, pid and start time together.

A pid alone is reused, after a reboot and while a machine runs; a pid in another container names another
process. Only the five together name one process for good.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from typing import Any, NamedTuple


class Identity(NamedTuple):
    """One process, for good."""

    host: str
    boot: str
    pid_namespace: str
    pid: int
    #: Start time as the system gives it: clock ticks since boot on Linux, a date elsewhere.
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of a process that runs here now. Raises ProcessLookupError."""
        started = start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(socket.gethostname(), boot_id(), pid_namespace(), pid, started)

    @classmethod
    def from_json(cls, value: Any) -> Identity:
        """Return the identity that `_asdict` was saved from. Raises ValueError."""
        try:
            identity = cls(*(value[name] for name in cls._fields))
        except (KeyError, TypeError) as error:
            raise ValueError("it names no process") from error
        words = (identity.host, identity.boot, identity.pid_namespace, identity.started)
        known = all(isinstance(word, str) for word in words)
        if not known or type(identity.pid) is not int or not 0 < identity.pid < 1 << 31:
            raise ValueError("it names no process")
        return identity

    def is_here(self) -> bool:
        """Tell whether this host, boot and pid namespace are the ones meant."""
        return (self.host, self.boot, self.pid_namespace) == (
            socket.gethostname(),
            boot_id(),
            pid_namespace(),
        )

    def is_alive(self) -> bool:
        """Tell whether that very process runs, seen from here."""
        return self.is_here() and start_time(self.pid) == self.started


def boot_id() -> str:
    """Return what changes with each boot of this machine; empty where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def pid_namespace() -> str:
    """Return the name of this process's pid namespace; empty where there are none."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def user_name(uid: int) -> str:
    """Return what to call the user with that number, who may have no name."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def start_time(pid: int) -> str | None:
    """Return when process `pid` started; None if it does not run (a zombie does not)."""
    if sys.platform.startswith("linux"):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The name, in brackets, may hold anything (proc(5)): count from the last bracket.
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], stdout=subprocess.PIPE, check=False
    ).stdout.decode("ascii", "replace")
    status, _, started = answer.strip().partition(" ")
    return None if not status or status.startswith("Z") else started.strip()
