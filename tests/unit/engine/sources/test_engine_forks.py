"""A fork of socat: whose bytes it passes on."""

from __future__ import annotations

import os
import socket

import pytest

from reclog.engine.sources.forks import Fork
from reclog.engine.system.kernel import peer_of


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
