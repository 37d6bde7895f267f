"""Senders in numbers: many at once, what the kernel has taken of theirs, what a crowd does to memory."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
import pytest
from bench import Running, wait_until

from reclog.engine.system.kernel import listens


def in_threads(works: Sequence[Callable[[], Any]], within: float = 60.0) -> None:
    """Run `works` at the same time and wait for all; raise the first error of any."""
    crowd = Crowd(works)
    crowd.join(within)


class Crowd:
    """Threads that run while the test does something else."""

    def __init__(self, works: Sequence[Callable[[], Any]]) -> None:
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(work,), daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self, within: float = 60.0) -> None:
        """Wait for all; raise the first error of any."""
        until = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        assert not self.busy, f"a sender is not done after {within} s"

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:  # told to whoever joins
            self._errors.append(error)


def flood(port: int, words: Sequence[bytes], over: threading.Event, per_second: int = 1000) -> int:
    """Connect to a port of the loopback so often, until it is over; return how many that were.

    One of three says nothing, and stays while 900 others come; one goes at once; one has said a word first.
    """
    silent: deque[socket.socket] = deque()
    began, came = time.monotonic(), 0
    while not over.wait(0.002):
        while came < (time.monotonic() - began) * per_second and not over.is_set():
            sock = socket.socket()
            sock.setblocking(False)
            with contextlib.suppress(OSError):  # whoever listens may have no room
                sock.connect_ex(("127.0.0.1", port))
                if came % 3 == 2:
                    sock.send(words[came % len(words)])
            silent.append(sock) if came % 3 == 0 else sock.close()
            if len(silent) > 300:
                silent.popleft().close()
            came += 1
    for sock in silent:
        sock.close()
    return came


def unacknowledged(sock: socket.socket) -> int:
    """Return the bytes written to `sock` that the other kernel has not taken yet (SIOCOUTQ, tcp(7))."""
    return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0])


def reset_at_close(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_closed(sock: socket.socket) -> bool:
    """Tell whether the other side has closed or reset the connection."""
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.setblocking(True)


def is_turned_away(connect: Callable[[], socket.socket]) -> bool:
    """Tell whether a sender that connects and writes a line is closed within two seconds."""
    try:
        with connect() as sock:
            sock.sendall(b"intruder\n")
            until = time.monotonic() + 2
            while time.monotonic() < until:
                if is_closed(sock):
                    return True
                time.sleep(0.01)
            return False
    except ConnectionError:  # the reset can come before connect() is through
        return True


def stays(condition: Callable[[], Any], seconds: float, what: str = "") -> None:
    """See that `condition` is true now and for `seconds` more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not condition():
            pytest.fail(f"did not stay for {seconds} s: {what or condition}")
        time.sleep(0.01)


def memory(processes: Sequence[psutil.Process]) -> int:
    """Return the resident bytes of all `processes` together; one that has ended has none."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def listening_socat(recording: Running) -> psutil.Process | None:
    """Return the socat that accepts the senders of `recording`; None while none does."""
    children = recording.daemon.children()
    return next((child for child in children if listens(child.pid, "0.0.0.0", recording.port)), None)


def runs(process: psutil.Process) -> bool:
    """Tell whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """Have a process stopped meanwhile."""
    process.suspend()
    try:
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED, what="it stands still")
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
