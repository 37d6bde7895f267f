"""Datagrams: what each becomes, who may send, and what all of them can cost."""

from __future__ import annotations

import gzip
import resource
import socket
import time
from collections import deque
from typing import Any, Deque, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_bench import Bench

from reclog.engine.intake.batch import Batch
from reclog.engine.intake.datagrams import LARGEST, TURN, whole
from reclog.engine.intake.roster import Limits
from reclog.engine.intake.valve import RETRY_AFTER
from reclog.engine.system.address import parse_network

HERE = [parse_network("192.0.2.0/24")]


class Mailbox:
    """A port of datagrams that were put into it, from whatever address."""

    def __init__(self) -> None:
        self._sock, self._bell = socket.socketpair()
        self.fileno = self._sock.fileno
        self.waiting: Deque[Tuple[bytes, Tuple[Any, ...]]] = deque()
        self.reads = 0
        self.as_sent = False

    def comes(self, *datagrams: bytes, peer: Tuple[Any, ...] = ("192.0.2.7", 4000)) -> None:
        if not self.waiting:
            self._bell.send(b".")
        self.waiting.extend((one, peer) for one in datagrams)

    def receive_into(self, room: memoryview) -> Tuple[int, Any]:
        assert len(room) >= LARGEST - 1
        if not self.waiting:
            self._sock.setblocking(False)
            self._sock.recv(1)  # so that it is not ready any more
            raise BlockingIOError
        text, peer = self.waiting.popleft()
        room[: len(text)] = text
        return len(text), peer

    def dropped(self) -> int:
        self.reads += 1
        return 0

    def close(self) -> None:
        self._sock.close()
        self._bell.close()


class PostBench(Bench):
    """A bench with a mailbox, and a batch like a file's: stamps are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.mail = Mailbox()
        self.closing.append(self.mail.close)
        self.written_text: List[bytes] = []
        self.store.batch = Batch()

        def write() -> None:
            if not self.store.full:
                self.written_text.append(bytes(self.store.batch.next(1 << 30)))

        self.store.on_flush = write

    def serve(self, **limits: Any) -> Any:
        intake = super().serve(**limits)
        intake.datagrams.serve(self.mail)
        return intake

    @property
    def text(self) -> bytes:
        return b"".join(self.written_text)


@pytest.fixture
def post() -> Any:
    bench = PostBench()
    yield bench
    bench.close()


@pytest.mark.parametrize(
    ("datagram", "lines"),
    [
        (b"a line\n", b"a line\n"),
        (b"no newline", b"no newline\n"),
        (b"several\nlines\r\nof one", b"several\nlines\r\nof one\n"),
        (b"<13>syslog\0", b"<13>syslog\n"),
        (b"<13>syslog\n\0", b"<13>syslog\n"),
        (b'{"a": 1}\0', b'{"a": 1}\n'),
        (b"C's own\0", b"C's own\0\n"),
        (b"<1234>no priority\0", b"<1234>no priority\0\n"),
        (b"<13>two\0\0", b"<13>two\0\n"),
        (b"\n\n\n", b"\n\n\n"),
        (b"\0\0\0", b"\0\0\0\n"),
        (b"\n", b"\n"),
        (b"\xff\xfe", b"\xff\xfe\n"),
        (b"12 <13>no count", b"12 <13>no count\n"),
        (b"x" * 65507, b"x" * 65507 + b"\n"),
        (b"\n" * 65507, b"\n" * 65507),
        (b"\0" * 65507, b"\0" * 65507 + b"\n"),
        (gzip.compress(b'{"a": 1}', mtime=0), b'{"a": 1}\n'),
    ],
    ids=lambda text: repr(text[:16]),
)
def test_a_datagram_is_a_message(post: PostBench, datagram: bytes, lines: bytes) -> None:
    intake = post.serve()
    post.mail.comes(b"before", datagram, b"", b"behind")
    post.until(lambda: post.text.endswith(b"behind\n"))
    assert post.text == b"before\n" + lines + b"behind\n"
    assert intake.datagrams.count == 3
    assert post.store.batch.lines == post.text.count(b"\n")


@pytest.mark.parametrize("stamp", [False, True])
def test_with_lines_all_is_as_it_was_sent(post: PostBench, stamp: bool) -> None:
    post.serve(stamp=stamp)
    post.mail.as_sent = True
    datagrams = [b"<13>syslog\0", gzip.compress(b"{}", mtime=0), b"\x1e\x0f12345678\x00\x02{", b"{}\n"]
    post.mail.comes(*datagrams)
    wanted = [one if one.endswith(b"\n") else one + b"\n" for one in datagrams]
    post.until(
        lambda: post.text.endswith(b"{}\n") and post.text.count(b"\n") == b"".join(wanted).count(b"\n")
    )
    assert all(one in post.text for one in wanted)
    assert stamp or post.text == b"".join(wanted)


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"<13>a\0", b"x\n", b"\0", b"\n\0"]), max_size=30))
def test_all_are_there_in_order(datagrams: List[bytes]) -> None:
    post = PostBench()
    post.serve()
    post.mail.comes(*datagrams, b"end")
    post.until(lambda: post.text.endswith(b"end\n"))
    assert post.text == b"".join(whole(one) for one in [*datagrams, b"end"] if one)
    batch = post.store.batch
    assert (batch.bytes, batch.lines, batch.last_line) == (len(post.text), post.text.count(b"\n"), b"end")
    post.close()


def test_a_datagram_tears_no_line_of_a_stream(post: PostBench) -> None:
    intake = post.serve()
    sender = post.queue.comes("192.0.2.1")
    sender.send(b"whole\nhalf ")
    post.until(lambda: intake.datagrams.count == 0 and post.text == b"whole\n")
    post.mail.comes(b"datagram", b"another\n")
    post.until(lambda: b"another" in post.text)
    post.later(2.1)  # it is written, and stays open
    post.mail.comes(b"a third", b"\n\n")
    post.until(lambda: intake.datagrams.count == 4)
    sender.send(b"and the rest\n")
    post.until(lambda: b"rest" in post.text)
    assert post.text == b"whole\ndatagram\nanother\nhalf \na third\n\n\nand the rest\n"
    assert post.store.batch.last_line == b"and the rest"


def test_each_line_has_its_stamp(post: PostBench) -> None:
    post.serve(stamp=True)
    post.mail.comes(b"one\ntwo", peer=("::ffff:192.0.2.7", 4000, 0, 0))
    post.mail.comes(b"{}\0", peer=("2001:db8::1", 4001, 0, 0))
    post.until(lambda: post.text.count(b"\n") == 3)
    said = [line.split(b" ", 1) for line in post.text.splitlines()]
    assert [line for _, line in said] == [
        b"192.0.2.7:4000 one",
        b"192.0.2.7:4000 two",
        b"[2001:db8::1]:4001 {}",
    ]
    assert len({time for time, _ in said}) == 1


def test_stamps_on_bare_newlines_need_little_memory(post: PostBench) -> None:
    """Each newline becomes 50 bytes, so each datagram 3 MB: no second one is taken before it is written."""
    post.serve(stamp=True)
    most: List[int] = []
    write = post.store.on_flush

    def look() -> None:
        most.append(post.store.batch.queued)
        write()

    post.store.on_flush = look
    post.mail.comes(*[b"\n" * 65507] * 8)
    post.until(lambda: post.store.batch.lines == 8 * 65507)
    assert len(most) == 8
    assert max(most) < 4 * 1024 * 1024


def test_who_may_not_send_is_not_recorded(post: PostBench) -> None:
    intake = post.serve(allow=HERE)
    for number in range(3):
        post.mail.comes(b"bad %d" % number, peer=("::ffff:198.51.100.7", 4000, 0, 0))
        post.mail.comes(b"good %d" % number, peer=("::ffff:192.0.2.7", 4000, 0, 0))
    post.until(lambda: post.text.endswith(b"good 2\n"))
    assert b"bad" not in post.text
    assert intake.datagrams.count == 3
    assert [(one["sender"], one["why"]) for one in post.events("refused")] == [
        ("198.51.100.7:udp", "its address is not allowed (--allow)")
    ]
    intake.adopt(Limits())
    post.mail.comes(b"allowed now", peer=("198.51.100.7", 4000))
    post.until(lambda: b"allowed now" in post.text)


def test_forged_addresses_cost_no_memory(post: PostBench) -> None:
    intake = post.serve(allow=HERE)
    for number in range(20_000):
        post.mail.waiting.append((b"x", (f"198.18.{number % 256}.{number // 256}", number)))
    post.mail.comes(b"honest")
    post.mail._bell.send(b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    post.until(lambda: post.text == b"honest\n")
    assert intake.roster.refused == 20_000
    assert len(post.events()) <= 2  # summed up
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


def test_a_turn_reads_so_much_and_not_more(post: PostBench) -> None:
    """Streams wait for no more than a turn of datagrams, empty and refused ones and bombs among them."""
    post.serve(allow=HERE)
    bomb = gzip.compress(b"{" + b" " * 8_000_000)
    for datagrams, peer in (
        ([b"x" * 60_000] * 40, "192.0.2.7"),
        ([b"x"] * 8000, "192.0.2.7"),
        ([b""] * 8000, "192.0.2.7"),
        ([b"x"] * 8000, "198.51.100.7"),
        ([bomb] * 70, "192.0.2.7"),
    ):
        post.mail.comes(*datagrams, peer=(peer, 1))
        post.loop.turn(at_most=0)
        assert 0 < len(post.mail.waiting) < len(datagrams)
        assert (len(datagrams) - len(post.mail.waiting)) * len(datagrams[0]) < TURN + LARGEST
        post.until(lambda: not post.mail.waiting)


def test_datagrams_come_before_streams(post: PostBench) -> None:
    post.serve()
    sender = post.queue.comes("192.0.2.1")
    sender.send(b"begin\n")
    post.until(lambda: post.text == b"begin\n")
    for number in range(5):
        sender.send(b"stream %d\n" % number)
        post.mail.comes(b"datagram %d" % number)
        post.until(lambda number=number: b"stream %d" % number in post.text)  # type: ignore[misc]
        assert post.text.endswith(b"datagram %d\nstream %d\n" % (number, number))


def test_while_the_store_is_full_they_stay_where_they_are(post: PostBench) -> None:
    intake = post.serve()
    post.mail.comes(gzip.compress(b"{}")[:5], b"\x1e\x0f12345678\x00\x02{")
    post.until(lambda: bool(post.text))
    post.store.full = True
    post.mail.comes(b"taken before it was known")
    post.until(lambda: intake.paused)
    post.mail.comes(*[b"x"] * 100)
    reads = post.mail.reads
    post.later(10 * RETRY_AFTER)
    assert len(post.mail.waiting) == 100
    assert post.mail.reads == reads
    post.later(60.0)  # no chunk's time is up while the others may wait
    assert not post.events("gelf incomplete")
    post.store.full = False
    post.mail.comes(b"\x1e\x0f12345678\x01\x02}")
    post.later(RETRY_AFTER)
    post.until(lambda: post.text.endswith(b"{}\n"))
    assert post.text.count(b"\n") == 103


def test_without_memory_none_is_lost(post: PostBench, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = post.serve(stamp=True)

    def none_left(*_: object) -> None:
        raise MemoryError

    for name in ("room", "add"):
        with monkeypatch.context() as patch:
            patch.setattr(post.store.batch, name, none_left)
            post.mail.comes(name.encode())
            post.until(lambda: intake.paused)
        post.later(RETRY_AFTER)
        post.until(lambda: not intake.paused)
        post.mail.comes(b"next")
        post.until(lambda name=name: post.text.endswith(b" next\n"))  # type: ignore[misc]
    assert [line.split(b" ")[2] for line in post.text.splitlines()] == [b"room", b"next", b"add", b"next"]


@pytest.mark.parametrize("full", [False, True])
def test_a_stop_takes_all_that_waits(post: PostBench, full: bool) -> None:
    intake = post.serve()
    post.mail.comes(b"\x1e\x0f12345678\x00\x02{", *[b""] * 3000, *[b"y"] * 3000)
    post.store.full = full
    drained = intake.datagrams.drain(post.mail, post.soon(0.0 if full else 5.0))
    assert drained is not full
    if full:
        assert post.mail.waiting
        return
    assert intake.hand_on_all(post.soon())
    assert post.text == b"y\n" * 3000 + b"\x1e\x0f12345678\x00\x02{\n"
    assert post.events("gelf incomplete")


def test_what_a_datagram_costs(post: PostBench) -> None:
    """Some microseconds each at most: no more than a read of a stream does."""
    post.serve()
    post.mail.comes(*[b"z" * 99 + b"\n"] * 50_000)
    began = time.process_time()
    post.until(lambda: post.store.batch.lines == 50_000)
    assert (time.process_time() - began) / 50_000 < 50e-6
