from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from reclog.engine.errors import AddressUnusable, EngineError, PortTaken
from reclog.engine.sources import tcp as module
from reclog.engine.sources.source import Asked
from reclog.engine.sources.tcp import Queue, bound_socket, listening, someone_listens
from reclog.engine.streams.stream import Stream
from reclog.engine.system.kernel import LINUX

linux = pytest.mark.skipif(not LINUX, reason="/proc/net/tcp is Linux's")


@contextlib.contextmanager
def queue_at(bind: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[Queue, int]]:
    try:
        queue = listening(Asked(bind, port))
    except AddressUnusable:
        if ":" in bind:
            pytest.skip("no IPv6 here")
        raise
    try:
        yield queue, queue.sock.getsockname()[1]
    finally:
        queue.close()


def accepted(queue: Queue) -> tuple[Stream, str, str]:
    assert select.select([queue], [], [], 5)[0]
    return queue.accept()


def heard(stream: Stream) -> bytes:
    assert select.select([stream], [], [], 5)[0]
    room = bytearray(100)
    return bytes(room[: stream.receive_into(memoryview(room))])


@pytest.mark.parametrize(
    ("bind", "to", "host", "bracketed"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1", "[::1]"),
        ("::", "::1", "::1", "[::1]"),
        ("::", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_sender_is_told_by_its_address(bind: str, to: str, host: str, bracketed: str) -> None:
    with queue_at(bind) as (queue, port), socket.create_connection((to, port), timeout=5) as sender:
        stream, found, name = accepted(queue)
        with contextlib.closing(stream):
            assert found == host
            assert name == f"{bracketed}:{sender.getsockname()[1]}"
            sender.sendall(b"line\n")
            assert heard(stream) == b"line\n"
            with pytest.raises(BlockingIOError):
                stream.receive_into(memoryview(bytearray(1)))


def test_an_empty_queue_does_not_block() -> None:
    with queue_at() as (listener, _), pytest.raises(BlockingIOError):
        listener.accept()


def test_a_dead_sender_is_found_in_the_end() -> None:
    with queue_at() as (listener, port), socket.create_connection(("127.0.0.1", port), timeout=5):
        sock, _ = listener.sock.accept()
        with sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if LINUX:
                names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                assert tuple(sock.getsockopt(socket.IPPROTO_TCP, name) for name in names) == module.KEEPALIVE


def test_an_ipv6_address_other_than_any_takes_no_ipv4() -> None:
    with queue_at("::1") as (listener, _):
        assert listener.sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


@linux
def test_a_closed_queue_keeps_who_waits_and_adds_nobody() -> None:
    with queue_at() as (listener, port), socket.create_connection(("127.0.0.1", port), timeout=5) as early:
        early.sendall(b"early\n")
        listener.refuse_newcomers()
        with socket.socket() as late:
            late.setblocking(False)
            late.connect_ex(("127.0.0.1", port))
            assert select.select([], [late], [], 0.2)[1] == []  # neither connected nor refused
            stream, _, _ = accepted(listener)
            with contextlib.closing(stream):
                assert heard(stream) == b"early\n"
            with pytest.raises(BlockingIOError):
                listener.accept()


@linux
def test_who_listens_is_known() -> None:
    with queue_at() as (_, port):
        assert someone_listens(port)
    assert not someone_listens(port)


@linux
def test_a_bound_port_is_no_listening_one() -> None:
    with bound_socket("127.0.0.1", 0) as sock:
        assert not someone_listens(sock.getsockname()[1])


@linux
def test_a_port_that_someone_listens_on_is_refused_at_once() -> None:
    with queue_at() as (_, port):
        began = time.monotonic()
        with pytest.raises(PortTaken, match=f"Port {port} is in use"):
            listening(Asked("127.0.0.1", port))
        with pytest.raises(PortTaken, match=f"Port {port} is in use"):
            listening(Asked("0.0.0.0", port))
        assert time.monotonic() - began < module.PATIENCE


def test_of_two_that_are_bound_one_may_listen() -> None:
    with bound_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bound_socket("127.0.0.1", port) as second:
            first.listen(1)
            with pytest.raises(OSError, match="in use"):
                second.listen(1)


@contextlib.contextmanager
def outgoing() -> Iterator[tuple[socket.socket, int]]:
    """Hold a port with a connection that goes out, as any program of this machine may."""
    with queue_at() as (_, port), socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # a port that no earlier connection left in TIME_WAIT
        sock.connect(("127.0.0.1", port))
        # Reset when closed: its port is free at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield sock, sock.getsockname()[1]


@linux
def test_a_port_that_an_outgoing_connection_holds_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with outgoing() as (sock, port):
        asked: list[int] = []

        def ends(port: int) -> bool:
            asked.append(port)
            sock.close()
            return False

        monkeypatch.setattr(module, "someone_listens", ends)
        with queue_at("127.0.0.1", port) as (_, got):
            assert got == port
        assert asked == [port]


@linux
def test_it_is_not_waited_for_without_end() -> None:
    with outgoing() as (_, port):
        began = time.monotonic()
        with pytest.raises(PortTaken, match=f"Port {port} is held by an outgoing"):
            listening(Asked("127.0.0.1", port), patience=0.2)
        assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    "bind",
    [
        *("localhost", "", "host.invalid", "300.1.1.1", "10.0.0.0/8", "[::1]", "fe80::1%nosuch"),
        "192.168..1",
        "1" * 70,
    ],
)
def test_what_is_no_address_is_said(bind: str) -> None:
    with pytest.raises(AddressUnusable, match="is no address: give --bind"):
        bound_socket(bind, 0)


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(AddressUnusable, match=r"192\.0\.2\.1 is not an address of this machine"):
        listening(Asked("192.0.2.1", 0))


@pytest.mark.parametrize("port", [65536, 70000, -1])
def test_a_number_that_is_no_port_never_becomes_another(port: int) -> None:
    with pytest.raises(EngineError, match=r".+"):
        bound_socket("127.0.0.1", port).close()


def test_a_port_for_root_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(AddressUnusable, match=r"Port 514 needs more rights .* above 1023"):
        bound_socket("127.0.0.1", 514)


def test_any_other_failure_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(AddressUnusable, match=r"\[::1\]:514 can't be used \(Input/output error\)"):
        bound_socket("::1", 514)


def test_a_byte_sent_as_urgent_stays_where_it_was_sent() -> None:
    with queue_at() as (queue, port), socket.create_connection(("127.0.0.1", port), timeout=5) as sender:
        sender.send(b"ab")
        sender.send(b"!", socket.MSG_OOB)
        sender.send(b"cd\n")
        stream, _, _ = accepted(queue)
        with contextlib.closing(stream):
            text = b""
            while not text.endswith(b"\n"):
                text += heard(stream)
    assert text == b"ab!cd\n"
