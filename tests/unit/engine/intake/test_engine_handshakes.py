"""Strangers that shake hands by TLS: bounded in time and number, and nobody's until they are through."""

from __future__ import annotations

import contextlib
import socket

import pytest
from intake_bench import Bench
from tls_ends import Sender, files, wait_for

from reclog.engine.intake.strangers import GRACE, LONGEST
from reclog.engine.streams.tls import PLAIN_TEXT, Secured


@pytest.fixture
def port(bench: Bench) -> int:
    bench.serve(strangers=3)
    return bench.listen(Secured(bench.loop, *files(), "").carry)[1]


def closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        try:
            while sock.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
    return False


def refused(bench: Bench) -> list[str]:
    return [event["why"] for event in bench.events("refused")]


def begin(bench: Bench, port: int) -> Sender:
    """Have a sender say hello, and be answered."""
    sender = Sender(port)
    sender.sock.sendall(sender.next_words())
    sender.sock.settimeout(0.01)
    came = b""

    def answered() -> bool:
        nonlocal came
        with contextlib.suppress(socket.timeout):
            came = sender.sock.recv(65536)
        return bool(came)

    bench.until(answered)
    sender._in.write(came)
    return sender


def test_a_handshake_that_is_not_done_ends_in_time(bench: Bench, port: int) -> None:
    silent = Sender(port)
    half = begin(bench, port)
    bench.later(LONGEST)
    assert closed(silent.sock)
    assert closed(half.sock)
    assert refused(bench) == ["made no handshake"] * 2
    assert (bench.intake.senders, bench.intake.roster.connects) == (0, 0)
    for one in (silent, half):
        one.close()


def test_the_oldest_handshake_makes_room(bench: Bench, port: int) -> None:
    halves = [begin(bench, port) for _ in range(3)]
    bench.later(GRACE)
    honest = begin(bench, port)
    assert closed(halves[0].sock)
    assert not closed(halves[1].sock)
    honest.sock.sendall(honest.next_words() + honest.record(b"line\n"))
    bench.until_stored(b"line\n")
    assert refused(bench) == ["made no handshake, and its place was needed"]
    for one in (*halves, honest):
        one.close()


def test_a_stop_takes_in_who_is_through_and_was_not_heard(bench: Bench, port: int) -> None:
    through, half = begin(bench, port), begin(bench, port)
    (stranger, _) = bench.intake.strangers._here
    through.sock.sendall(through.next_words() + through.record(b"accepted\n"))
    wait_for(lambda: stranger.stream.unread() > 60)
    assert bench.intake.drain_senders(bench.soon())
    assert bench.store.text == b"accepted\n"
    assert closed(half.sock)
    for one in (through, half):
        one.close()


def test_plain_text_is_named(bench: Bench, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"hello\n")
        bench.until(lambda: closed(sock))
        assert bench.intake.roster.no_text.endswith(f", 127.0.0.1:{sock.getsockname()[1]} {PLAIN_TEXT}")
    assert bench.store.text == b""
