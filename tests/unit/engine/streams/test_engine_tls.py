from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from scripted import Clock
from tls_ends import VERSIONS, Sender, accepted, files, port_of, read, wait_for

from reclog.engine.sources.tcp import Queue
from reclog.engine.streams.stream import Stream
from reclog.engine.streams.tls import PIECE, SHARE, Secured, TlsUnusable
from reclog.engine.system.kernel import LINUX
from reclog.engine.system.loop import Loop

linux = pytest.mark.skipif(not LINUX, reason="packet filters are Linux's")
each_version = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
LINE = b"%07d " + b"x" * 90 + b"\n"


class Ends:
    """A port that speaks TLS, and its senders."""

    def __init__(self, clients: str = "") -> None:
        self.clock = Clock()
        self.loop = Loop(self.clock)
        self.secured = Secured(self.loop, *files(), clients)
        self.stack = contextlib.ExitStack()
        self.queue: Queue = self.stack.enter_context(port_of(self.secured))
        self.port = self.queue.sock.getsockname()[1]

    def meet(
        self, version: ssl.TLSVersion | None = None, show: tuple[str, ...] = ()
    ) -> tuple[Sender, Stream]:
        sender = Sender(self.port, version, show)
        self.stack.callback(sender.close)
        stream = accepted(self.queue)
        self.stack.callback(stream.close)
        return sender, stream

    def shaken(
        self, version: ssl.TLSVersion | None = None, show: tuple[str, ...] = ()
    ) -> tuple[Sender, Stream]:
        sender, stream = self.meet(version, show)
        sender.shake(stream)
        return sender, stream


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    with ends.stack:
        yield ends
    ends.loop.close()


def end_of(stream: Stream) -> str:
    """Return why a stream ends, which is not by a word of its sender's."""
    try:
        came = read(stream, lambda came: False)
    except OSError as error:
        return str(error.strerror)
    raise AssertionError(came)


def once(stream: Stream) -> None:
    """Go on with a handshake when something has come."""
    wait_for(lambda: stream.unread() > 0)
    stream.receive_into(memoryview(b""))


@each_version
def test_what_one_says_who_never_reads_is_all_there(ends: Ends, version: ssl.TLSVersion) -> None:
    text = b"".join(LINE % number for number in range(60_000))
    context = ssl.create_default_context(cafile=files()[0])
    context.minimum_version = context.maximum_version = version

    def send() -> None:
        sock = socket.create_connection(("127.0.0.1", ends.port))
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as secured:
            secured.sendall(text)

    thread = threading.Thread(target=send)
    thread.start()
    stream = accepted(ends.queue)
    with contextlib.closing(stream):
        while stream.shaking:
            with contextlib.suppress(BlockingIOError):
                stream.receive_into(memoryview(b""))
        wait_for(lambda: stream.unread() > 30_000)  # it is to stand before a full queue
        assert read(stream, lambda came: len(came) == len(text)) == text
        assert end_of(stream) == "cut: not closed as TLS asks"
    thread.join()


@each_version
def test_an_end_that_was_said_is_one_and_answered(ends: Ends, version: ssl.TLSVersion) -> None:
    sender, stream = ends.shaken(version)
    sender.sock.sendall(sender.record(b"last\n") + sender.farewell())
    assert read(stream, lambda came: bool(came)) == b"last\n"
    assert stream.holds  # nothing wakes whoever waits for the kernel
    assert read(stream, lambda came: False) == b""
    sender.hear()
    sender.tls.unwrap()  # raises where the other side did not say so, too


@linux
def test_a_handshake_is_acknowledged_at_once(ends: Ends) -> None:
    """Or Nagle's algorithm keeps a first line that is sent right after it for 40 ms."""
    _, stream = ends.shaken()
    with socket.socket(fileno=os.dup(stream.fileno())) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


@each_version
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_however_it_is_cut_up_the_text_is_the_same(ends: Ends, version: ssl.TLSVersion, size: int) -> None:
    sender, stream = ends.meet(version)
    sender.shake(stream, size)
    text = b"".join(LINE % number for number in range(20))
    wire, came = sender.record(text[:1000]) + sender.record(text[1000:]), b""
    room = memoryview(bytearray(100))  # smaller than a record
    for at in range(0, len(wire), size):
        sender.sock.sendall(wire[at : at + size])
        with contextlib.suppress(BlockingIOError):
            while True:
                came += room[: stream.receive_into(room)]
    came += read(stream, lambda rest: len(came) + len(rest) == len(text))
    assert came == text
    assert not stream.half


def test_one_that_gives_more_than_there_is_room_for_says_so(ends: Ends) -> None:
    sender, stream = ends.shaken()
    sender.say(b"first\nsecond\n")
    room = memoryview(bytearray(6))
    assert read(stream, lambda came: len(came) > 0)[:6] == b"first\n"
    sender.say(b"first\nsecond\n")
    while True:
        with contextlib.suppress(BlockingIOError):
            assert stream.receive_into(room) == 6
            break
    assert stream.holds
    assert stream.unread() == 0
    assert read(stream, lambda came: len(came) >= 7) == b"second\n"
    assert not stream.holds


def test_a_buffer_of_one_piece_is_all_that_a_connection_keeps(ends: Ends) -> None:
    sender, stream = ends.shaken()
    text = b"x" * (4 * PIECE)
    thread = threading.Thread(target=lambda: sender.say(text))
    thread.start()
    assert read(stream, lambda came: len(came) == len(text)) == text
    thread.join()
    assert not stream.holds


@linux
@pytest.mark.parametrize("here", [1, 5, 3000])
def test_of_half_a_record_the_rest_is_accepted_and_not_a_byte_more(ends: Ends, here: int) -> None:
    sender, stream = ends.shaken()
    sender.say(b"whole\n")
    record, behind = sender.record(b"y" * 5000 + b"\n"), sender.record(b"behind\n")
    sender.sock.sendall(record[:here])
    assert read(stream, lambda came: bool(came)) == b"whole\n"
    room = memoryview(bytearray(8192))
    while stream.half < here:
        with pytest.raises(BlockingIOError):
            stream.receive_into(room)
    assert stream.half == here
    assert stream.refuse()
    sender.sock.sendall(record[here:] + behind)
    assert read(stream, lambda came: len(came) > 5000) == b"y" * 5000 + b"\n"
    give_up_at = time.monotonic() + 0.3  # it is sent again after 0.2
    while time.monotonic() < give_up_at:
        with pytest.raises(BlockingIOError):
            stream.receive_into(room)
        time.sleep(0.01)
    assert (stream.half, stream.unread()) == (0, 0)


@linux
def test_what_comes_with_the_end_is_accepted_whole(ends: Ends) -> None:
    sender, stream = ends.shaken()
    record = sender.record(b"half\n")
    sender.sock.sendall(record[:10])
    while stream.half < 10:
        with pytest.raises(BlockingIOError):
            stream.receive_into(memoryview(bytearray(100)))
    stream.refuse()
    sender.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    sender.sock.sendall(record[10:] + sender.record(b"last\n") + sender.farewell())
    sender.sock.shutdown(socket.SHUT_WR)
    assert read(stream, lambda came: False) == b"half\nlast\n"


def test_who_has_not_begun_is_not_waited_for(ends: Ends) -> None:
    sender, stream = ends.meet()
    sender.sock.sendall(sender.next_words())
    stream.refuse()
    with pytest.raises(BlockingIOError):
        stream.receive_into(memoryview(bytearray(100)))
    assert stream.half == 0
    assert stream.unread() > 100  # of no text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"hello\n", "speaks plain text: have it speak TLS, or start without --tls"),
        (b"GET / HTTP/1.1\r\n", "speaks plain text: have it speak TLS, or start without --tls"),
        (b"\x00\x01\x02", "speaks neither TLS nor text"),
        (b"\x16\x07\x03\x00\x05", "its TLS handshake does not begin as one"),
        (b"\x16\x03\x01\xff\xff", "its TLS handshake does not begin as one"),
        (b"\x16\x03\x01\x00\x05xxxxx", "its TLS fails: unexpected message"),
        (b"", "closed before its TLS handshake was done"),
        (b"\x16\x03\x01\x00", "closed before its TLS handshake was done"),
    ],
)
def test_what_does_not_begin_as_tls_is_named(ends: Ends, said: bytes, why: str) -> None:
    sender, stream = ends.meet()
    sender.sock.sendall(said)
    sender.sock.shutdown(socket.SHUT_WR)
    assert end_of(stream) == why


def test_an_old_tls_is_turned_away(ends: Ends) -> None:
    sender, stream = ends.meet()
    # A ClientHello of TLS 1.1, with two ciphers of its time.
    body = b"\x03\x02" + bytes(32) + b"\0" + b"\0\x04\xc0\x09\xc0\x13" + b"\x01\0" + b"\0\0"
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    sender.sock.sendall(b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello)
    assert end_of(stream) == "its TLS fails: unsupported protocol"
    assert sender.sock.recv(100)[:1] == b"\x15"  # it is told by an alert


def test_what_was_said_before_garbage_stays(ends: Ends) -> None:
    sender, stream = ends.shaken()
    sender.sock.sendall(sender.record(b"good\n") + b"\x17\x03\x03\0\x20" + b"z" * 32)
    assert read(stream, lambda came: bool(came)) == b"good\n"
    assert end_of(stream).startswith("its TLS fails: ")


def test_clients_show_a_certificate_where_one_is_asked_for() -> None:
    ends = Ends(clients=files("client")[0])
    with ends.stack:
        sender, stream = ends.shaken(show=files("client"))
        sender.say(b"let in\n")
        assert read(stream, lambda came: bool(came)) == b"let in\n"
        for show, why in (
            ((), "peer did not return a certificate"),
            (files("other"), "certificate verify failed"),
        ):
            sender, stream = ends.meet(show=show)
            sender.sock.sendall(sender.next_words())
            with pytest.raises(BlockingIOError):
                once(stream)
            sender.hear()
            sender.sock.sendall(sender.next_words() + sender.record(b"not let in\n"))
            assert end_of(stream) == f"its TLS fails: {why}"
    ends.loop.close()


def test_handshakes_have_their_share_of_a_turn(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    shake = ssl.SSLObject.do_handshake

    def slow(tls: ssl.SSLObject) -> None:
        ends.clock.time += SHARE * 0.6
        shake(tls)

    monkeypatch.setattr(ssl.SSLObject, "do_handshake", slow)
    met = [ends.meet() for _ in range(5)]
    for sender, stream in met:
        monkeypatch.setattr(ssl.SSLObject, "do_handshake", shake)
        sender.sock.sendall(sender.next_words())
        monkeypatch.setattr(ssl.SSLObject, "do_handshake", slow)
        wait_for(lambda stream=stream: stream.unread() > 0)  # type: ignore[misc]

    def answered() -> int:
        for _, stream in met:
            with contextlib.suppress(BlockingIOError):
                stream.receive_into(memoryview(b""))
        return sum(not stream.unread() for _, stream in met)

    assert answered() == 2
    assert answered() == 2
    ends.loop.turn(at_most=0)
    assert answered() == 4
    ends.loop.turn(at_most=0)
    assert answered() == 5


def test_nothing_is_made_for_a_hello_that_is_not_whole(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, stream = ends.meet()
    hello = sender.next_words()
    made: list[ssl.MemoryBIO] = []
    bio = ssl.MemoryBIO

    def make() -> ssl.MemoryBIO:
        made.append(bio())
        return made[-1]

    monkeypatch.setattr(ssl, "MemoryBIO", make)
    for at in range(len(hello)):
        assert not made
        sender.sock.sendall(hello[at : at + 1])
        with contextlib.suppress(BlockingIOError):
            once(stream)
    assert made


def test_newcomers_see_another_certificate_once_it_is_there(ends: Ends) -> None:
    with pytest.raises(TlsUnusable, match="key values mismatch"):
        ends.secured.load(files("other")[0], files()[1])
    sender, _ = ends.shaken()  # it sees the one that it trusts
    ends.secured.load(*files("other"))
    sender, stream = ends.meet()
    with pytest.raises(ssl.SSLCertVerificationError):
        sender.shake(stream)


@pytest.mark.parametrize(
    ("certificate", "key", "clients", "why"),
    [
        ("server.pem", "other.key", "", "key values mismatch"),
        ("none.pem", "server.key", "", "No such file"),
        ("server.key", "server.key", "", "--tls-cert"),
        ("server.pem", "server.key", "server.key", "holds no CA"),
        ("server.pem", "server.key", "none.pem", "holds no CA .No such file"),
    ],
)
def test_files_that_can_not_be_used_are_named(certificate: str, key: str, clients: str, why: str) -> None:
    folder = os.path.dirname(files()[0])
    files("other")
    loop = Loop()
    with pytest.raises(TlsUnusable, match=why):
        Secured(loop, f"{folder}/{certificate}", f"{folder}/{key}", f"{folder}/{clients}" if clients else "")
    loop.close()


@each_version
def test_who_is_answered_hears_it(ends: Ends, version: ssl.TLSVersion) -> None:
    sender, stream = ends.meet(version)
    stream.answer(b"too early")
    sender.shake(stream)
    stream.answer(b"HTTP/1.1 400 Bad Request")
    sender.hear()
    assert sender.tls.read() == b"HTTP/1.1 400 Bad Request"
