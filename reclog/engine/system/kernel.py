"""The few things that reclog asks of Linux for which Python has no call.

Each of them is refused somewhere (macOS, an old kernel, a container's seccomp filter). A caller learns
that from the return value and does without.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
import termios
from typing import Any, Iterator

try:
    import ctypes
except ImportError:  # a python3 built without libffi
    ctypes = None  # type: ignore[assignment]

LINUX = sys.platform.startswith("linux")

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_SO_RCVBUFFORCE, _SO_MEMINFO = 33, 55  # likewise; the latter since Linux 4.12
_MEMINFO, _DROPS = struct.Struct("9I"), 8  # linux/sock_diag.h
_SYS_PIDFD_OPEN = 434  # the same on every architecture (Linux 5.3)
_SYS_PIDFD_GETFD = 438  # likewise (Linux 5.6)
#: A classic BPF program of one instruction: BPF_RET | BPF_K, 0, "keep 0 bytes of the packet".
_DROP_ALL = [(0x06, 0, 0, 0)]
#: By machine: its name for the kernel's audit, the numbers of seccomp(2) and shutdown(2).
_SECCOMP = {"x86_64": (0xC000003E, 317, 48), "aarch64": (0xC00000B7, 277, 210)}
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1, 4  # linux/seccomp.h
_SECCOMP_RET_ALLOW, _SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True) if LINUX and ctypes is not None else None


_LIBC = _libc()


def die_with_parent(parent: int, how: int = signal.SIGKILL) -> None:
    """Ask that this process gets signal `how` when the thread that spawned it ends (prctl(2))."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), how)


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends, so that waitpid(2) sees it."""
    return _LIBC is not None and _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def wait_for_more() -> None:
    """Have this process, and those it forks, interrupt no other when it is woken (sched(7), SCHED_BATCH).

    It runs as soon as a processor is free; on a busy one it finds more to do at a time.
    """
    if hasattr(os, "SCHED_BATCH"):
        try:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError:
            pass  # forbidden here: it works all the same, at a higher price


def forbid_shutdown() -> bool:
    """Have shutdown(2) of both directions do nothing in this process and all that it starts (seccomp(2)).

    A process that ends closes its sockets anyway; what it shares with another one stays as it is.
    Returns False where that can't be done.
    """
    known = _SECCOMP.get(os.uname().machine)
    if _LIBC is None or known is None or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return False
    machine, seccomp, shutdown = known
    load, equal, answer = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    program = [  # code, jump if true, jump if false, number; the offsets are those of struct seccomp_data
        (load, 0, 0, 4),
        (equal, 0, 5, machine),
        (load, 0, 0, 0),
        (equal, 0, 3, shutdown),
        (load, 0, 0, 24),
        (equal, 0, 1, socket.SHUT_RDWR),
        (answer, 0, 0, _SECCOMP_RET_ERRNO),  # errno 0: it says that it did it
        (answer, 0, 0, _SECCOMP_RET_ALLOW),
    ]
    raw = b"".join(struct.pack("HBBI", *step) for step in program)
    steps = ctypes.create_string_buffer(raw, len(raw))
    filter_ = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(steps)))
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    flags = _SECCOMP_FILTER_FLAG_SPEC_ALLOW  # it guards no secrets: nothing is to be slower for it
    return int(_LIBC.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, flags, filter_)) == 0


def drop_incoming(sock: socket.socket) -> bool:
    """Drop each TCP packet that comes for `sock` from now on, before the kernel acknowledges it.

    On a listening socket no connection is added to its queue any more; on a connected one no byte is
    accepted any more, so what a read finds up to EAGAIN is all that the sender can believe delivered.
    Returns False where that can't be done.
    """
    return attach_filter(sock, _DROP_ALL)


def attach_filter(sock: socket.socket, steps: list[tuple[int, int, int, int]]) -> bool:
    """Have a classic BPF program decide which packets come to `sock`; False where that can't be done."""
    if _LIBC is None:
        return False
    raw = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = ctypes.create_string_buffer(raw, len(raw))
    packed = struct.pack("HP", len(steps), ctypes.addressof(program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packed)
    except OSError:
        return False
    return True


def reset_on_close(sock: socket.socket) -> None:
    """Make close() send a reset, so that the peer's very next send fails instead of vanishing."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass  # it is gone already


def peer_uid(sock: socket.socket) -> int | None:
    """Return the user at the other end of a UNIX socket (unix(7)); None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])


def unread(what: socket.socket | int) -> int:
    """Return the bytes that the kernel holds for a read of a socket, or of a pipe's descriptor."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(what, termios.FIONREAD, b"\0\0\0\0"))[0])
    except OSError:
        return 0


def widen(sock: socket.socket, size: int) -> int:
    """Have the kernel hold `size` bytes for reads of `sock`, or as many as it allows; return how many."""
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF) if LINUX else (socket.SO_RCVBUF,):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
            break
        except OSError:
            continue  # not for us, or not so many
    held = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return held // 2 if LINUX else held  # socket(7): it is doubled, for what the kernel needs itself


def dropped(sock: socket.socket) -> int | None:
    """Return how many datagrams the kernel had no room for, modulo 2³²; None where it does not tell."""
    if not LINUX:
        return None
    try:
        told = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        return int(_MEMINFO.unpack(told)[_DROPS])
    except (OSError, struct.error):
        return None


def sockets_of(pid: int) -> Iterator[socket.socket]:
    """Yield copies of the TCP sockets that process `pid` has open.

    Yields nothing where the kernel refuses (pidfd_getfd(2): Linux 5.6, the right to trace `pid`).
    """
    if _LIBC is None:
        return
    pidfd = _LIBC.syscall(_SYS_PIDFD_OPEN, pid, 0)
    if pidfd < 0:
        return
    try:
        for number in _sockets(pid):
            fd = _LIBC.syscall(_SYS_PIDFD_GETFD, pidfd, number, 0)
            if fd < 0:
                continue
            sock = socket.socket(fileno=fd)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                yield sock
            else:
                sock.close()
    finally:
        os.close(pidfd)


def peer_of(pid: int) -> str:
    """Return the address of who is connected to a TCP socket of process `pid`; empty if that is unknown."""
    for sock in sockets_of(pid):
        with sock:
            try:
                return str(sock.getpeername()[0])
            except OSError:
                continue  # the one it listens on, or it has ended
    return ""


def _sockets(pid: int) -> dict[int, str]:
    """Return the descriptors of process `pid` that are sockets, and the inode of each."""
    inodes = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                kind, _, inode = os.readlink(f"/proc/{pid}/fd/{name}").partition(":")
            except OSError:
                continue  # closed meanwhile
            if kind == "socket":
                inodes[int(name)] = inode.strip("[]")
    except OSError:
        pass  # the process ended, or is not ours
    return inodes


def listeners(table: str = "/proc/net/tcp") -> Iterator[tuple[str, str]]:
    """Yield the local address and the inode of each listening socket, as proc(5) has them. Raises OSError.

    They come first: behind them are all connections, 50,000 where many have just ended.
    """
    with open(table, encoding="ascii") as file:
        next(file, "")
        for row in map(str.split, file):
            if row[3] != "0A":
                return
            yield row[1], row[9]


def listens(pid: int, host: str, port: int) -> bool:
    """Tell whether process `pid` listens on IPv4 address `host` and TCP `port`."""
    raw = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    wanted = f"{raw:08X}:{port:04X}"
    try:
        inodes = {inode for address, inode in listeners() if address == wanted}
    except OSError:
        return False
    return not inodes.isdisjoint(_sockets(pid).values())


def children_of(pid: int) -> list[int]:
    """Return the pids of the children of process `pid`; empty if it has none or is gone."""
    try:
        found: list[int] = []
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found.extend(map(int, file.read().split()))
        return found
    except OSError:
        return _children_by_scan(pid)


def _children_by_scan(pid: int) -> list[int]:
    # /proc/…/children needs CONFIG_PROC_CHILDREN (proc(5)); without it, ask every process for its parent.
    found = []
    for name in os.listdir("/proc") if LINUX else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(name))
    return found
