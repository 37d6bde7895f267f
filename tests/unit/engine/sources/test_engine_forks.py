"""A fork of socat: whose bytes it passes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest

from reclog.engine.sources.forks import Fork
from reclog.engine.sources.parent import SocatParent
from reclog.engine.sources.source import Asked
from reclog.engine.system.kernel import peer_of
from reclog.engine.system.loop import Loop


def test_a_fork_tells_its_sender_while_it_lives() -> None:
    ours, theirs = socket.socketpair()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    with listener, ours, theirs, socket.create_connection(listener.getsockname()):
        if not peer_of(os.getpid()):
            pytest.skip("the kernel gives no copies of sockets here")
        fork = Fork(ours, os.getpid(), set())
        theirs.send(b"a line that waits\n")
        assert fork.address() == "127.0.0.1"
        theirs.close()  # it is gone, and its pid may be another's
        assert fork.address() == ""


def test_who_may_not_be_ended_is_not_waited_for(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device's program may have become root's (exec:sh -c 'sudo ...'), and ends when it next writes."""
    parent = SocatParent(loop, Asked("127.0.0.1", 0), ["socat"], "/", print, print)
    kill = os.kill
    with subprocess.Popen(["sleep", "60"]) as roots:

        def refuse(pid: int, number: int) -> None:
            if pid == roots.pid:
                raise PermissionError(1, "Operation not permitted")
            kill(pid, number)

        monkeypatch.setattr(os, "kill", refuse)
        began = time.monotonic()
        try:
            parent.close()
            assert time.monotonic() - began < 20
        finally:
            kill(roots.pid, signal.SIGKILL)
