"""The senders: their lines follow from numbers, arrive as they are, and count when they are accepted."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from bench import wait_until
from hypothesis import given
from hypothesis import strategies as st
from swarm import Crowd, reset_at_close, unacknowledged
from workload import Stream, Workload, _is_reset, _pieces, line_of


class Receiver:
    """Accepts connections; reads them when it is told to."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.accepted: list[socket.socket] = []
        self.read: dict[socket.socket, bytes] = {}
        self.reads = threading.Event()
        self._over = threading.Event()
        self._crowd = Crowd([self._accept])

    def connect(self) -> socket.socket:
        return socket.create_connection(self.listening.getsockname(), timeout=5)

    def close(self) -> None:
        self._over.set()
        self.reads.set()
        self._crowd.join()
        self.listening.close()
        for sock in self.accepted:
            sock.close()

    def _accept(self) -> None:
        self.listening.settimeout(0.01)
        crowds = []
        while not self._over.is_set():
            try:
                sock, _ = self.listening.accept()
            except TimeoutError:
                continue
            self.accepted.append(sock)
            self.read[sock] = b""
            crowds.append(Crowd([lambda sock=sock: self._read(sock)]))  # type: ignore[misc]

    def _read(self, sock: socket.socket) -> None:
        self.reads.wait(30)
        try:
            while data := sock.recv(65536):
                self.read[sock] += data
        except OSError:
            return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@given(st.integers(0, 5000), st.integers(0, 300), st.integers(0, 100_000))
def test_a_line_follows_from_its_numbers(sender: int, connection: int, number: int) -> None:
    key = b"%d.%d" % (sender, connection)
    line = line_of(key, number)
    assert line == line_of(key, number)
    assert line.startswith(b"%s %d " % (key, number))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line != line_of(key, number + 1)


def test_lines_are_of_many_kinds() -> None:
    lines = [line_of(b"0.0", number) for number in range(5000)]
    assert len(set(lines)) == 5000
    assert any(len(line) > 20_000 for line in lines)
    assert any(line.endswith(b"\r\n") for line in lines)
    assert {bytes([byte]) for byte in range(256)} == {bytes([byte]) for byte in b"".join(lines)}


@given(st.binary(min_size=1, max_size=300), st.integers())
def test_pieces_are_the_whole(data: bytes, seed: int) -> None:
    pieces = _pieces(data, random.Random(seed))
    assert b"".join(pieces) == data
    assert all(pieces)


def finished(workload: Workload) -> list[Stream]:
    workload.end()
    return workload.streams


def test_what_is_read_is_what_was_sent_and_all_of_it_accepted(receiver: Receiver) -> None:
    receiver.reads.set()
    workload = Workload(receiver.connect, senders=3, seed=1)
    wait_until(lambda: workload.lines > 300, 20)
    streams = finished(workload)
    wait_until(lambda: sum(map(len, receiver.read.values())) == sum(one.sent for one in streams))
    sent = {b"".join(line_of(one.key, number) for number in range(len(one.ends))) for one in streams}
    assert {*receiver.read.values()} == sent
    for one in streams:
        assert one.lines_accepted() == one.lines_sent == len(one.ends)
        assert not one.broken
        assert one.ended is not None
        times = [one.began, *(one.accepted_at(number) for number in range(len(one.ends))), one.ended]
        assert times == sorted(times)
        assert one.lines_accepted(one.began) == 0


def test_what_a_full_receiver_does_not_take_is_not_accepted(receiver: Receiver) -> None:
    # No room for much: what `send` takes stays on the sender's side.
    receiver.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    workload = Workload(receiver.connect, senders=1, seed=4, pause=0.0)
    wait_until(lambda: held_back(workload), 20, "it is held back")
    one = workload.streams[-1]
    accepted, at = one.lines_accepted(), time.monotonic()
    assert 0 < one._accepted[-1] < one.sent
    assert accepted < one.lines_sent
    receiver.reads.set()
    wait_until(lambda: one.lines_accepted() > accepted)
    assert one.lines_accepted(at) == accepted
    finished(workload)


def held_back(workload: Workload) -> bool:
    """Tell whether nothing more has been accepted for a while, and not for want of anything to send."""
    before = [one.sent for one in workload.streams]
    return (
        not threading.Event().wait(0.7) and bool(before) and before == [one.sent for one in workload.streams]
    )


@pytest.mark.parametrize("full", [False, True])
def test_a_reset_ends_a_connection_and_what_was_not_taken_never_counts(
    receiver: Receiver, full: bool
) -> None:
    if full:
        receiver.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    workload = Workload(receiver.connect, senders=1, seed=4, pause=0.0)
    wait_until(lambda: held_back(workload) if full else workload.lines > 20, 20)
    one = workload.streams[-1]
    before = one.lines_accepted()
    for sock in list(receiver.accepted):
        reset_at_close(sock)
        sock.shutdown(socket.SHUT_RD)  # its reader lets go of it
        sock.close()
    receiver.reads.set()
    wait_until(lambda: one.ended is not None, 5, "the sender has noticed")
    assert one.broken
    assert one.lines_accepted() < one.lines_sent if full else one.lines_accepted() >= before
    wait_until(lambda: len(workload.streams) > 1)  # it goes on, on another connection
    assert workload.streams[-1].key != one.key
    finished(workload)


def test_a_reset_is_seen_though_bytes_are_outstanding(receiver: Receiver) -> None:
    """Linux goes on counting them (SIOCOUTQ) when the connection is no more."""
    with receiver.connect() as sock:
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.sendall(b"x" * 20_000_000)
        assert not _is_reset(sock)
        outstanding = unacknowledged(sock)
        assert outstanding
        wait_until(lambda: receiver.accepted)
        reset_at_close(receiver.accepted[0])
        receiver.accepted[0].shutdown(socket.SHUT_RD)
        receiver.reads.set()
        receiver.accepted[0].close()
        wait_until(lambda: _is_reset(sock))
        assert unacknowledged(sock)


def test_a_burst_is_a_line_from_each(receiver: Receiver) -> None:
    receiver.reads.set()
    workload = Workload(receiver.connect, senders=0)
    workload.burst(200, threads=20)
    workload.burst(100, threads=20)
    streams = finished(workload)
    assert len({one.key for one in streams}) == len(streams) == 300
    assert all(one.lines_accepted() == 1 for one in streams)
    wait_until(lambda: len([text for text in receiver.read.values() if text]) == 300)
    assert sorted(receiver.read.values()) == sorted(line_of(one.key, 0) for one in streams)


def test_a_burst_that_is_not_heard_uses_no_key_twice(receiver: Receiver) -> None:
    receiver.reads.set()
    refused = iter([True] * 50)

    def connect() -> socket.socket:
        if next(refused, False):
            raise ConnectionRefusedError
        return receiver.connect()

    workload = Workload(connect, senders=0)
    workload.burst(60, threads=5)
    workload.burst(60, threads=5)
    streams = finished(workload)
    assert len({one.key for one in streams}) == len(streams) == 70


def test_datagrams_that_are_refused_are_known_to_be() -> None:
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind(("127.0.0.1", 0))
    address = ear.getsockname()

    def post() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(address)
        return sock

    workload = Workload(lambda: socket.create_connection(address), senders=0, post=post)
    try:
        wait_until(lambda: workload.streams and workload.streams[0].lines_accepted() >= 2)
        heard = [ear.recv(65536) for _ in range(2)]
        assert heard == [line_of(b"0.0", 0)[:-1], line_of(b"0.0", 1)]
        ear.close()
        wait_until(lambda: len(workload.streams) > 2)
    finally:
        workload.end()
        ear.close()
    first, second, *_ = workload.streams
    assert first.broken
    assert first.lines_accepted() == first.lines_sent - 1
    assert (second.key, second.broken, second.lines_accepted()) == (b"0.1", True, 0)
