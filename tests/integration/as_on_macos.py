"""Run the engine without what only Linux has: its names in Python's modules, its /proc, its calls by number.

What is left is what macOS has, as far as Python's documentation tells; the kernel is Linux all the same.
"""

from __future__ import annotations

import builtins
import fcntl
import os
import re
import resource
import runpy
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

#: By module, what is not there on macOS.
MISSING: dict[Any, tuple[str, ...]] = {
    os: (
        r"pidfd_open|sched_.*|SCHED_.*|O_PATH|O_TMPFILE|memfd_create|MFD_.*|eventfd.*|EFD_.*|posix_fa.*",
        r"fdatasync|copy_file_range|splice|SPLICE_.*|pipe2|waitid|.*xattr|.*resuid|.*resgid|getrandom",
    ),
    socket: (
        r"SO_(PEERCRED|DOMAIN|PROTOCOL|MARK|BINDTODEVICE|PASS.*|PRIORITY)|SOCK_(CLOEXEC|NONBLOCK)",
        r"MSG_(NOSIGNAL|CMSG_CLOEXEC|MORE|ERRQUEUE|CONFIRM)|AF_(NETLINK|PACKET|VSOCK|ALG|CAN|TIPC)",
        r"TCP_(QUICKACK|CORK|DEFER_ACCEPT|USER_TIMEOUT|LINGER2|SYNCNT|INFO|KEEPIDLE|WINDOW_CLAMP|CONGESTION)",
    ),
    select: (r"epoll|EPOLL.*",),
    resource: (r"prlimit|RLIMIT_(RT.*|SIG.*|MSGQUEUE|NICE)|RUSAGE_THREAD",),
    signal: (r"sigtimedwait|sigwaitinfo|pidfd_send_signal|SIG(PWR|STKFLT|POLL|RTM.*|CLD)",),
    fcntl: (r"F_(OFD_.*|.*_SEALS|SEAL_.*|.*PIPE_SZ|NOTIFY|SETSIG|GETSIG|SETLEASE|GETLEASE)|DN_.*",),
    time: (r"CLOCK_(BOOTTIME|TAI|.*_COARSE)",),
}
#: What fcntl(2) is asked for there, so that a drive writes what it holds.
F_FULLFSYNC = 51
#: What /proc could be looked at with.
LOOKS = ((builtins, "open"), (os, "open"), (os, "listdir"), (os, "readlink"), (os, "stat"))


def _hidden(what: Callable[..., Any]) -> Callable[..., Any]:
    def without_proc(*args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], (str, bytes)) and os.fsdecode(args[0]).startswith("/proc"):
            raise FileNotFoundError(2, "No such file or directory", args[0])
        return what(*args, **kwargs)

    return without_proc


def become() -> None:
    """Have this process take its system for macOS."""
    there: Any = selectors
    there.DefaultSelector = selectors.PollSelector
    for module, names in MISSING.items():
        for name in [name for name in dir(module) if re.fullmatch("|".join(names), name)]:
            delattr(module, name)
    for module, name in LOOKS:
        setattr(module, name, _hidden(getattr(module, name)))
    ask = fcntl.fcntl

    def sync(fd: int, what: int, *rest: Any) -> Any:
        return os.fsync(fd) if what == F_FULLFSYNC else ask(fd, what, *rest)

    there = fcntl
    there.fcntl, there.F_FULLFSYNC = sync, F_FULLFSYNC
    sys.platform = "darwin"


if __name__ == "__main__":
    become()
    sys.argv.pop(0)
    runpy.run_path(sys.argv[0], run_name="__main__")
