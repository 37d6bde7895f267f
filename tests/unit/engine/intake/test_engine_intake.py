from __future__ import annotations

import errno
import os
import re
import socket
import struct
import tempfile
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reclog.engine.intake import intake as module
from reclog.engine.intake import unfinished
from reclog.engine.intake.batch import Batch, Bytes
from reclog.engine.intake.intake import READ_SIZE, Intake, Limits
from reclog.engine.intake.unfinished import LINE_MAX, PENDING_MAX
from reclog.engine.records.events import EventLog
from reclog.engine.records.journal import Journal
from reclog.engine.sources.tcp import TcpListener
from reclog.engine.stores.file import RecordedFile
from reclog.engine.system.address import parse_network
from reclog.engine.system.kernel import LINUX
from reclog.engine.system.loop import Loop

if TYPE_CHECKING:
    TurnUntil = Callable[[Callable[[], bool]], None]


class Heard(EventLog):
    """An event log in memory."""

    def __init__(self) -> None:
        super().__init__("")
        self.events: list[dict[str, Any]] = []

    def say(self, event: str, **facts: Any) -> None:
        self.events.append({"event": event, **facts})

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]


class Taken(Batch):
    """A batch that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[Hashable, bytes, bytes]] = []
        self.most = 0
        self.on_add: Callable[[], None] = lambda: None

    def take(self, who: Hashable, held: Bytes, count: int, stamp: bytes = b"") -> tuple[int, bytes] | None:
        text = bytes(held) + self.received(count)
        taken = super().take(who, held, count)
        if taken is not None:
            self._note(who, text[: len(text) - len(taken[1])], stamp)
        return taken

    def add(self, who: Hashable, text: Bytes, stamp: bytes = b"") -> None:
        super().add(who, text)
        self._note(who, bytes(text), stamp)

    def _note(self, who: Hashable, text: bytes, stamp: bytes) -> None:
        self.texts.append((who, text, stamp))
        self.most = max(self.most, self.queued)
        self.on_add()


class MemoryStore:
    """A store kept in memory, full when told so."""

    FLUSH_AT = 256 * 1024

    def __init__(self) -> None:
        self.full = False
        self.taken = Taken()
        self.batch: Batch = self.taken
        self.written = 0
        self.on_flush: Callable[[], None] = lambda: None

    @property
    def texts(self) -> list[tuple[Hashable, bytes, bytes]]:
        return self.taken.texts

    @property
    def most_queued(self) -> int:
        return self.taken.most

    @property
    def queued(self) -> int:
        return self.batch.queued

    def flush(self) -> bool:
        if self.queued:
            self.on_flush()
        if not self.full and self.queued:
            self.written += self.queued
            self.batch.written(self.queued)
        return not self.queued

    @property
    def text(self) -> bytes:
        return b"".join(text for _, text, _ in self.texts)

    def by_sender(self) -> dict[Hashable, bytes]:
        found: dict[Hashable, bytes] = {}
        for who, text, _ in self.texts:
            found[who] = found.get(who, b"") + text
        return found


class Queue:
    """A listening socket made of socket pairs: it gives what was put into it, errors too."""

    def __init__(self) -> None:
        self.sock, self._bell = socket.socketpair()
        self.sock.setblocking(False)
        self._waiting: deque[tuple[socket.socket, str, str] | OSError] = deque()
        self._peers: list[socket.socket] = []

    def comes(self, host: str = "", name: str = "") -> socket.socket:
        """Let a sender connect; its end of the connection."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._waiting.append((ours, host, name or f"{host}:{len(self._peers) + 1}"))
        self._peers.append(theirs)
        self._bell.send(b".")
        return theirs

    def fails(self, number: int) -> None:
        """Let the next accept fail."""
        self._waiting.append(OSError(number, os.strerror(number)))
        self._bell.send(b".")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def accept(self) -> tuple[socket.socket, str, str]:
        self.sock.recv(1)  # BlockingIOError when nobody waits
        came = self._waiting.popleft()
        if isinstance(came, OSError):
            raise came
        return came

    def close(self) -> None:
        for sock in (self.sock, self._bell, *self._peers):
            sock.close()
        for waiting in self._waiting:
            if not isinstance(waiting, OSError):
                waiting[0].close()


class Bench:
    """An intake with all that it works with."""

    def __init__(self, loop: Loop, turn_until: TurnUntil) -> None:
        self.loop = loop
        self.turn_until = turn_until
        self.store = MemoryStore()
        self.heard = Heard()
        self.queue = Queue()
        self.intake: Intake
        self._closing: list[Callable[[], None]] = [self.queue.close]

    def serve(self, **limits: Any) -> Intake:
        """Serve the queue with these limits."""
        self.intake = Intake(self.loop, self.store, self.journal(), Limits(**limits))
        self.intake.serve(self.queue)
        return self.intake

    def journal(self) -> Journal:
        return Journal(self.loop, self.heard)

    def listen(self) -> tuple[TcpListener, int]:
        listener = TcpListener("127.0.0.1", 0)
        self._closing.append(listener.close)
        self.intake.serve(listener)
        return listener, listener.sock.getsockname()[1]

    def connect(self, port: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._closing.append(sock.close)
        sock.setblocking(False)
        return sock

    def until_stored(self, text: bytes) -> None:
        self.turn_until(lambda: self.store.text == text)

    def quiet(self, seconds: float = 0.05) -> None:
        """Turn for a while, for what must not happen."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            self.loop.turn(at_most=0.005)

    def pour(self, sock: socket.socket, data: bytes) -> None:
        """Send all of it, as far as the intake reads it."""
        rest = memoryview(data)

        def sent() -> bool:
            nonlocal rest
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                pass  # the loop's turn first
            return not rest

        self.turn_until(sent)

    def close(self) -> None:
        self.store.full = False
        self.store.taken.on_add = self.store.on_flush = lambda: None
        if hasattr(self, "intake"):
            self.intake.drain_senders(time.monotonic() + 1)
        for call in self._closing:
            call()


@pytest.fixture
def bench(loop: Loop, turn_until: TurnUntil, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("reclog.engine.records.journal.COLLECT", 0.01)
    bench = Bench(loop, turn_until)
    yield bench
    bench.close()


# -- lines --------------------------------------------------------------------------------------


def test_fragments_become_lines(bench: Bench) -> None:
    bench.serve()
    first, second = bench.queue.comes(), bench.queue.comes()
    first.send(b"fi")
    second.send(b"sec")
    bench.quiet()
    assert bench.store.texts == []
    first.send(b"rst\nmore")
    bench.until_stored(b"first\n")
    second.send(b"ond\n")
    bench.until_stored(b"first\nsecond\n")
    assert len({who for who, _, _ in bench.store.texts}) == 2


def test_one_line_and_goodbye_takes_one_turn(bench: Bench) -> None:
    intake = bench.serve()
    for number in range(10):
        with bench.queue.comes("192.0.2.1") as sender:
            sender.send(b"line %d\n" % number)
    bench.loop.turn(at_most=5)
    assert bench.store.text == b"".join(b"line %d\n" % number for number in range(10))
    assert intake.senders == 0
    assert intake.connects == 10
    assert intake.splits == 0


def test_who_came_and_went_is_told(bench: Bench) -> None:
    bench.serve()
    sender = bench.queue.comes("192.0.2.7", "192.0.2.7:4000")
    sender.send(b"one\ntwo\nthree")
    bench.until_stored(b"one\ntwo\n")
    sender.close()
    bench.turn_until(lambda: bool(bench.heard.of("disconnect")))
    assert bench.heard.names == ["connect", "disconnect"]
    gone = bench.heard.of("disconnect")[0]
    assert (gone["sender"], gone["why"], gone["bytes"], gone["lines"]) == ("192.0.2.7:4000", "closed", 13, 2)


def test_a_sender_that_is_reset_is_told(bench: Bench) -> None:
    bench.serve()
    _, port = bench.listen()
    sender = bench.connect(port)
    sender.send(b"half")
    bench.turn_until(lambda: bench.intake.senders == 1)
    bench.quiet(0.02)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    bench.turn_until(lambda: bool(bench.heard.of("disconnect")))
    assert bench.heard.of("disconnect")[0]["why"] == os.strerror(errno.ECONNRESET)
    assert bench.store.text == b"half"


def test_a_half_closed_sender_is_done(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    sender.send(b"line\nrest")
    sender.shutdown(socket.SHUT_WR)
    bench.until_stored(b"line\nrest")
    assert intake.senders == 0
    assert sender.recv(10) == b""


def test_lines_of_many_senders_have_one_stamp_a_turn(bench: Bench) -> None:
    bench.serve(stamp=True)
    for number in range(3):
        bench.queue.comes("192.0.2.7", f"192.0.2.7:{number}").send(b"line\n")
    bench.turn_until(lambda: len(bench.store.texts) == 3)
    stamps = [stamp.decode() for _, _, stamp in bench.store.texts]
    times = [stamp.split(" ")[0] for stamp in stamps]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", times[0])
    assert stamps == [f"{times[0]} 192.0.2.7:{number} " for number in range(3)]


def test_later_lines_have_later_stamps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(["T1", "T2"])
    monkeypatch.setattr(module, "timestamp", lambda: next(times))
    bench.serve(stamp=True)
    sender = bench.queue.comes("a", "a:1")
    sender.send(b"one\n")
    bench.until_stored(b"one\n")
    sender.send(b"two\n")
    bench.until_stored(b"one\ntwo\n")
    assert [stamp for _, _, stamp in bench.store.texts] == [b"T1 a:1 ", b"T2 a:1 "]


FRAGMENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r\n", b"\0", b"\xff"]), min_size=1, max_size=4).map(
            b"".join
        ),
        st.integers(0, 2),
    ),
    max_size=20,
)


@settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(fragments=FRAGMENTS, partial_after=st.sampled_from([0.0, 60.0]))
def test_the_file_has_every_senders_text_in_lines_of_its_own(
    fragments: list[tuple[int, bytes, int]], partial_after: float
) -> None:
    # Each sender's text goes into the file with a letter of its own, so that its lines can be told.
    letters = [b"x", b"y", b"z"]
    sent = [b"", b"", b""]
    loop, queue = Loop(), Queue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.log")
        sink = RecordedFile(str(path), lambda event, **facts: None)
        sink.open()
        intake = Intake(loop, sink, Journal(loop, Heard()), Limits(partial_after=partial_after))
        intake.serve(queue)
        senders = [queue.comes() for _ in letters]
        for who, text, turns in fragments:
            text = text.translate(bytes(10 if value == 10 else letters[who][0] for value in range(256)))
            sent[who] += text
            senders[who].send(text)
            for _ in range(turns):
                loop.turn(at_most=0)
        loop.turn(at_most=0)
        assert intake.drain_senders(time.monotonic() + 5)
        assert intake.hand_on_all(time.monotonic() + 5)
        sink.close()
        queue.close()
        loop.close()
        written = path.read_bytes()
    for line in written.split(b"\n"):
        assert len(set(line)) <= 1
    for letter, text in zip(letters, sent):
        mine = b"".join(line for line in written.splitlines(keepends=True) if letter in line)
        assert mine.replace(b"\n", b"") == text.replace(b"\n", b"")
        assert written.count(letter) == text.count(letter)
    added = written.count(b"\n") - sum(text.count(b"\n") for text in sent)
    assert added >= 0
    if partial_after:
        # Nobody is cut short: a newline is added where a sender went inside a line, and nowhere else.
        assert added <= sum(1 for text in sent if text and not text.endswith(b"\n"))


# -- text without a newline ---------------------------------------------------------------------


def test_what_stays_unfinished_is_handed_on(bench: Bench) -> None:
    intake = bench.serve(partial_after=0.1)
    sender = bench.queue.comes()
    sent_at = time.monotonic()
    sender.send(b"prompt> ")
    bench.until_stored(b"prompt> ")
    assert time.monotonic() - sent_at >= 0.1
    assert intake.splits == 1
    sender.send(b"answer\n")
    bench.until_stored(b"prompt> answer\n")
    assert len({who for who, _, _ in bench.store.texts}) == 1


def test_more_text_puts_it_off(bench: Bench) -> None:
    bench.serve(partial_after=0.15)
    sender = bench.queue.comes()
    for letter in (b"a", b"b", b"c", b"d"):
        sent_at = time.monotonic()
        sender.send(letter)
        bench.quiet(0.06)
    bench.until_stored(b"abcd")
    assert len(bench.store.texts) == 1
    assert time.monotonic() - sent_at >= 0.15


def test_each_senders_text_has_its_own_time(bench: Bench) -> None:
    bench.serve(partial_after=0.15)
    first, second, third = bench.queue.comes(), bench.queue.comes(), bench.queue.comes()
    first.send(b"first")
    bench.quiet(0.05)
    second_at = time.monotonic()
    second.send(b"second")
    third.send(b"third\n")
    bench.quiet(0.05)
    first.send(b" again")
    first_at = time.monotonic()
    bench.turn_until(lambda: b"second" in bench.store.text)
    assert time.monotonic() >= second_at + 0.15
    bench.until_stored(b"third\nsecondfirst again")
    assert time.monotonic() >= first_at + 0.15


def test_what_is_finished_in_time_is_not_split(bench: Bench) -> None:
    intake = bench.serve(partial_after=0.05)
    sender = bench.queue.comes()
    sender.send(b"half")
    bench.loop.turn(at_most=5)
    sender.send(b" whole\n")
    bench.until_stored(b"half whole\n")
    bench.quiet(0.1)
    assert intake.splits == 0
    assert len(bench.store.texts) == 1


def test_while_nobody_is_read_nothing_becomes_due(bench: Bench) -> None:
    intake = bench.serve(partial_after=0.1)
    slow, other = bench.queue.comes(), bench.queue.comes()
    slow.send(b"half")
    bench.quiet(0.05)
    bench.store.full = True
    other.send(b"other\n")
    bench.turn_until(lambda: intake.held)
    slow.send(b" whole\n")
    bench.quiet(0.3)
    assert bench.store.texts == [(bench.store.texts[0][0], b"other\n", b"")]
    bench.store.full = False
    bench.until_stored(b"other\nhalf whole\n")
    assert intake.splits == 0


def test_after_a_pause_a_sender_has_its_whole_time_again(bench: Bench) -> None:
    intake = bench.serve(partial_after=0.2)
    slow, other = bench.queue.comes(), bench.queue.comes()
    slow.send(b"half")
    bench.quiet(0.1)
    bench.store.full = True
    other.send(b"other\n")
    bench.turn_until(lambda: intake.held)
    bench.quiet(0.3)
    bench.store.full = False
    bench.turn_until(lambda: not intake.held)
    released_at = time.monotonic()
    bench.until_stored(b"other\nhalf")
    assert time.monotonic() - released_at >= 0.2


def test_what_waits_in_the_kernel_is_no_silence(bench: Bench) -> None:
    """The recorder is late itself: in a long write, stopped, starved."""
    bench.store.FLUSH_AT = 1
    intake = bench.serve(partial_after=0.1)
    sender, other = bench.queue.comes(), bench.queue.comes()
    sender.send(b"half")
    bench.quiet(0.02)

    def slowly() -> None:
        bench.store.on_flush = lambda: None
        sender.send(b" whole\n")
        due = time.monotonic() + 0.2
        while time.monotonic() < due:
            pass

    bench.store.on_flush = slowly
    other.send(b"other\n")
    bench.until_stored(b"other\nhalf whole\n")
    assert intake.splits == 0


def test_a_long_line_is_handed_on_at_its_bound(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    sender = bench.queue.comes()
    bench.pour(sender, b"x" * (LINE_MAX - 1))
    bench.quiet()
    assert bench.store.texts == []
    sender.send(b"x")
    bench.turn_until(lambda: len(bench.store.text) == LINE_MAX)
    assert intake.splits == 1
    bench.pour(sender, b"y\nz\n")
    bench.until_stored(b"x" * LINE_MAX + b"y\nz\n")


def test_a_line_of_many_times_the_bound_arrives(bench: Bench) -> None:
    bench.serve(partial_after=60)
    line = bytes(value % 251 for value in range(10, 10_000)).replace(b"\n", b"") * 400 + b"\n"
    bench.pour(bench.queue.comes(), line)
    bench.turn_until(lambda: len(bench.store.text) == len(line))
    assert bench.store.text == line
    assert bench.store.most_queued <= LINE_MAX + MemoryStore.FLUSH_AT + READ_SIZE
    assert all(len(text) <= LINE_MAX + READ_SIZE for _, text, _ in bench.store.texts)


def test_unfinished_text_of_all_is_bounded(bench: Bench) -> None:
    bench.serve(partial_after=60)
    each = LINE_MAX - 1
    block = b"x" * each
    senders = [bench.queue.comes() for _ in range(PENDING_MAX // each + 8)]
    poured = 0
    for number, sender in enumerate(senders):
        bench.pour(sender, block[: each - number])
        poured += each - number
        assert poured - len(bench.store.text) <= PENDING_MAX + 2 * READ_SIZE
    bench.quiet()
    assert PENDING_MAX // 4 <= poured - len(bench.store.text) <= PENDING_MAX
    relieved = bench.heard.of("unfinished lines handed on")
    assert [event["reason"] for event in relieved] == ["memory"]
    for sender in senders:
        sender.close()
    bench.turn_until(lambda: bench.intake.senders == 0)
    assert len(bench.store.text) == poured
    assert sorted(map(len, bench.store.by_sender().values()), reverse=True) == list(
        range(each, each - len(senders), -1)
    )


def test_the_longest_lines_go_first_when_memory_is_short(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "PENDING_MAX", 100)
    bench.serve(partial_after=60)
    short, long, middle = bench.queue.comes(), bench.queue.comes(), bench.queue.comes()
    long.send(b"l" * 60)
    bench.quiet(0.02)
    short.send(b"s" * 5)
    bench.quiet(0.02)
    middle.send(b"m" * 36)
    bench.until_stored(b"l" * 60)
    bench.quiet(0.02)
    assert bench.store.text == b"l" * 60
    short.send(b"\n")
    bench.until_stored(b"l" * 60 + b"sssss\n")


# -- who may send -------------------------------------------------------------------------------


def test_an_address_has_its_share_of_places(bench: Bench) -> None:
    intake = bench.serve(senders_per_address=2)
    first, second = bench.queue.comes("192.0.2.7"), bench.queue.comes("192.0.2.7")
    third, other = bench.queue.comes("192.0.2.7", "192.0.2.7:3"), bench.queue.comes("192.0.2.8")
    for sender in (first, second, other):
        sender.send(b"line\n")
    bench.until_stored(b"line\n" * 3)
    assert third.recv(10) == b""
    assert (intake.senders, intake.refused, intake.connects) == (3, 1, 3)
    first.close()
    bench.turn_until(lambda: intake.senders == 2)
    bench.queue.comes("192.0.2.7").send(b"line\n")
    bench.until_stored(b"line\n" * 4)
    bench.turn_until(lambda: bool(bench.heard.of("refused")))
    (refused,) = bench.heard.of("refused")
    assert refused["sender"] == "192.0.2.7:3"
    assert refused["why"].startswith("2 connections")


def test_all_places_of_an_address_come_free_again(bench: Bench) -> None:
    intake = bench.serve(senders_per_address=2)
    for _ in range(3):
        pair = [bench.queue.comes("192.0.2.7"), bench.queue.comes("192.0.2.7")]
        bench.turn_until(lambda: intake.senders == 2)
        for sender in pair:
            sender.close()
        bench.turn_until(lambda: intake.senders == 0)
    assert intake.refused == 0


def test_senders_of_an_unknown_address_share_no_bound(bench: Bench) -> None:
    intake = bench.serve(senders_per_address=1)
    for _ in range(5):
        bench.queue.comes("").send(b"line\n")
    bench.until_stored(b"line\n" * 5)
    assert intake.refused == 0


def test_only_allowed_networks_may_send(bench: Bench) -> None:
    intake = bench.serve(allow=[parse_network("192.0.2.0/24"), parse_network("2001:db8::/32")])
    bench.queue.comes("192.0.2.9").send(b"may\n")
    bench.queue.comes("2001:db8::9").send(b"may\n")
    stranger = bench.queue.comes("192.0.3.9", "192.0.3.9:4")
    stranger.send(b"may not\n")
    bench.until_stored(b"may\nmay\n")
    bench.turn_until(lambda: bool(bench.heard.of("refused")))
    assert bench.heard.of("refused")[0]["sender"] == "192.0.3.9:4"
    assert intake.refused == 1
    with pytest.raises(OSError, match="Broken pipe"):
        stranger.send(b"may not\n")


def test_newcomers_wait_while_there_is_no_place(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    first, second, third = (bench.queue.comes() for _ in range(3))
    third.send(b"third\n")
    first.send(b"first\n")
    second.send(b"second\n")
    bench.until_stored(b"first\nsecond\n")
    bench.quiet()
    assert intake.full
    assert (intake.senders, bench.queue.waiting) == (2, 1)
    assert bench.heard.of("listener full")[0]["senders"] == 2
    first.close()
    bench.until_stored(b"first\nsecond\nthird\n")
    assert intake.full
    third.close()
    bench.turn_until(lambda: not intake.full)
    room = bench.heard.of("listener has room again")
    assert len(room) == 2
    assert room[0]["full_seconds"] >= 0.04


def test_a_burst_of_short_senders_passes_through_one_place(bench: Bench) -> None:
    bench.serve(senders=1)
    for number in range(100):
        with bench.queue.comes() as sender:
            sender.send(b"%d\n" % number)
    bench.until_stored(b"".join(b"%d\n" % number for number in range(100)))
    assert bench.intake.senders == 0


def test_a_second_listener_waits_too(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    bench.queue.comes().send(b"first\n")
    bench.until_stored(b"first\n")
    _, port = bench.listen()
    bench.connect(port).send(b"second\n")
    bench.quiet()
    assert intake.senders == 1
    assert bench.store.text == b"first\n"


def test_without_descriptors_newcomers_wait(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.fails(errno.EMFILE)
    bench.queue.comes().send(b"line\n")
    bench.turn_until(lambda: intake.full)
    assert bench.heard.of("listener full")[0]["reason"] == os.strerror(errno.EMFILE)
    bench.until_stored(b"line\n")
    assert not intake.full


def test_a_connection_that_ended_in_the_queue_is_passed_over(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.fails(errno.ECONNABORTED)
    bench.queue.comes().send(b"line\n")
    bench.until_stored(b"line\n")
    assert "listener full" not in bench.heard.names
    assert intake.senders == 1


def test_the_cap_holds_after_a_shortage_of_descriptors(bench: Bench) -> None:
    intake = bench.serve(senders=2)
    first = bench.queue.comes()
    bench.turn_until(lambda: intake.senders == 1)
    bench.queue.fails(errno.EMFILE)
    bench.turn_until(lambda: intake.full)
    first.close()
    bench.turn_until(lambda: not intake.full)
    for _ in range(3):
        bench.queue.comes()
    bench.quiet(module.RETRY_AFTER * 1.5)
    assert intake.senders == 2
    assert bench.queue.waiting == 1


def test_a_source_that_was_left_is_not_served(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.comes().send(b"line\n")
    intake.leave(bench.queue)
    bench.quiet()
    assert bench.queue.waiting == 1
    intake.serve(bench.queue)
    bench.until_stored(b"line\n")
    assert bench.queue.waiting == 0


# -- a store that pauses ------------------------------------------------------------------------


def test_senders_are_held_back_while_the_store_is_full(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    sender.send(b"one\n")
    bench.until_stored(b"one\n")
    bench.store.full = True
    sender.send(b"two\n")
    bench.turn_until(lambda: intake.held)
    sender.send(b"three\n")
    late = bench.queue.comes()
    late.send(b"late\n")
    bench.quiet(module.RETRY_AFTER * 1.5)
    assert bench.store.text == b"one\ntwo\n"
    assert bench.queue.waiting == 1
    bench.store.full = False
    bench.turn_until(lambda: not intake.held)
    bench.turn_until(lambda: sorted(bench.store.text.splitlines()) == [b"late", b"one", b"three", b"two"])
    assert bench.store.by_sender()[1] == b"one\ntwo\nthree\n"
    assert bench.store.queued == 0


def test_memory_is_bounded_while_the_store_is_full(bench: Bench) -> None:
    intake = bench.serve()
    bench.store.full = True
    senders = [bench.queue.comes() for _ in range(20)]
    block = b"x" * 99 + b"\n"
    for _ in range(200):
        for sender in senders:
            try:
                sender.send(block * 100)
            except BlockingIOError:
                pass  # held back, as it should be
        bench.loop.turn(at_most=0.001)
    assert intake.held
    assert bench.store.most_queued <= MemoryStore.FLUSH_AT + 2 * READ_SIZE


def test_a_source_that_comes_while_held_waits(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.comes().send(b"first\n")
    bench.store.full = True
    bench.turn_until(lambda: intake.held)
    _, port = bench.listen()
    bench.connect(port).send(b"second\n")
    bench.quiet()
    assert intake.senders == 1
    bench.store.full = False
    bench.until_stored(b"first\nsecond\n")
    assert intake.senders == 2


def test_held_and_full_at_once_both_have_to_end(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    first = bench.queue.comes()
    bench.turn_until(lambda: intake.full)
    bench.store.full = True
    first.send(b"first\n")
    bench.turn_until(lambda: intake.held)
    bench.queue.comes().send(b"second\n")
    bench.store.full = False
    bench.turn_until(lambda: not intake.held)
    bench.quiet()
    assert bench.queue.waiting == 1
    first.close()
    bench.until_stored(b"first\nsecond\n")


def test_a_sender_gone_while_held_is_recorded_after(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    bench.store.full = True
    sender.send(b"one\n")
    bench.turn_until(lambda: intake.held)
    sender.send(b"two")
    sender.close()
    bench.quiet()
    assert intake.senders == 1
    bench.store.full = False
    bench.until_stored(b"one\ntwo")
    bench.turn_until(lambda: intake.senders == 0)


def test_a_fork_says_its_line_later_and_goes_at_once(bench: Bench) -> None:
    intake = bench.serve()
    with bench.queue.comes() as sender:
        bench.turn_until(lambda: intake.senders == 1)
        sender.send(b"line\n")
    bench.loop.turn(at_most=5)
    assert (bench.store.text, intake.senders) == (b"line\n", 0)


def test_a_newcomer_is_not_read_once_the_store_is_full(bench: Bench) -> None:
    bench.store.FLUSH_AT = 8
    intake = bench.serve()
    bench.store.full = True
    sender = bench.queue.comes("192.0.2.1")
    sender.send(b"first line\n")

    def goes_on() -> None:
        # While its first line meets a full store.
        sender.send(b"more\n")
        bench.store.on_flush = lambda: None

    bench.store.on_flush = goes_on
    bench.loop.turn(at_most=5)
    assert intake.held
    assert bench.store.text == b"first line\n"
    bench.store.full = False
    bench.until_stored(b"first line\nmore\n")
    assert not intake.held


def test_a_store_that_is_full_for_one_moment_does_no_harm(bench: Bench) -> None:
    bench.store.FLUSH_AT = 8
    intake = bench.serve()
    bench.store.full = True
    sender = bench.queue.comes()
    sender.send(b"first line\n")
    flushes: list[None] = []

    def flush() -> None:
        # Full at the first attempt, with room at the second; the sender goes on all the time.
        flushes.append(None)
        bench.store.full = len(flushes) == 1
        if len(flushes) <= 2:
            sender.send(b"another line\n")

    bench.store.on_flush = flush
    bench.turn_until(lambda: len(flushes) >= 2 and not intake.held)
    bench.until_stored(b"first line\nanother line\nanother line\n")
    assert bench.store.queued == 0


# -- the end ------------------------------------------------------------------------------------


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_draining_takes_what_waits_and_what_was_sent(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    listener, port = bench.listen()
    served = bench.connect(port)
    served.send(b"served\n")
    bench.until_stored(b"served\n")
    served.send(b"more\nhalf")
    waiting = [bench.connect(port) for _ in range(20)]
    for number, sender in enumerate(waiting):
        sender.send(b"waiting %d\n" % number)
    listener.refuse_newcomers()
    assert intake.drain(listener, soon())
    assert intake.drain_senders(soon())
    assert intake.hand_on_all(soon())
    assert intake.left_behind() == (0, 0)
    assert intake.senders == 0
    lines = bench.store.text.split(b"\n")
    assert sorted(lines) == sorted(
        [b"served", b"more", b"half", *(b"waiting %d" % number for number in range(20))]
    )
    assert bench.store.written == len(bench.store.text)


def test_a_drained_sender_learns_that_nobody_listens(bench: Bench) -> None:
    intake = bench.serve()
    _, port = bench.listen()
    sender = bench.connect(port)
    sender.send(b"line\n")
    bench.until_stored(b"line\n")
    assert intake.drain_senders(soon())
    sender.settimeout(5)
    with pytest.raises(ConnectionResetError):
        sender.recv(1)


def test_draining_takes_the_queue_whatever_the_cap(bench: Bench) -> None:
    intake = bench.serve(senders=1)
    senders = [bench.queue.comes() for _ in range(5)]
    for number, sender in enumerate(senders):
        sender.send(b"%d\n" % number)
    bench.until_stored(b"0\n")
    assert intake.drain(bench.queue, soon())
    assert intake.drain_senders(soon())
    assert bench.store.text == b"0\n1\n2\n3\n4\n"


def test_draining_passes_over_who_ended_in_the_queue(bench: Bench) -> None:
    intake = bench.serve()
    bench.queue.fails(errno.ECONNABORTED)
    bench.queue.comes().send(b"line\n")
    assert intake.drain(bench.queue, soon())
    assert bench.store.text == b"line\n"


@pytest.mark.parametrize(("number", "emptied"), [(errno.EINVAL, True), (errno.EMFILE, False)])
def test_a_queue_that_can_not_be_asked_any_more(bench: Bench, number: int, emptied: bool) -> None:
    intake = bench.serve()
    bench.queue.fails(number)
    assert intake.drain(bench.queue, soon()) is emptied


def test_draining_takes_much_in(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    _, port = bench.listen()
    sender = bench.connect(port)
    bench.turn_until(lambda: intake.senders == 1)
    sent = 0
    try:
        while True:
            sent += sender.send(b"x" * 65536)
    except BlockingIOError:
        pass  # the kernel's queues are full
    assert intake.drain_senders(soon())
    assert intake.hand_on_all(soon())
    # What the kernel had accepted for us is recorded; the rest stood in the sender's own queue.
    assert 0 < len(bench.store.text) <= sent
    assert bench.store.most_queued <= LINE_MAX + MemoryStore.FLUSH_AT + READ_SIZE


def test_draining_into_a_full_store_ends_in_time(bench: Bench) -> None:
    intake = bench.serve()
    sender, second = bench.queue.comes(), bench.queue.comes()
    bench.store.full = True
    sender.send(b"one\n")
    bench.turn_until(lambda: intake.held)
    sender.send(b"two\n")
    second.send(b"three\n")
    began = time.monotonic()
    assert not intake.drain_senders(soon(0.1))
    assert not intake.hand_on_all(soon(0.1))
    assert 0.1 <= time.monotonic() - began < 3
    count, unread = intake.left_behind()
    assert count == 2
    assert unread == (len(b"two\nthree\n") if LINUX else unread)
    bench.store.full = False
    assert intake.drain_senders(soon())
    assert bench.store.text == b"one\ntwo\nthree\n"


def test_draining_goes_on_when_the_store_has_room_again(bench: Bench) -> None:
    intake = bench.serve()
    sender = bench.queue.comes()
    bench.store.full = True
    sender.send(b"one\n")
    bench.turn_until(lambda: intake.held)
    sender.send(b"two\n")
    tries: list[None] = []

    def flush() -> None:
        tries.append(None)
        bench.store.full = len(tries) < 3

    bench.store.on_flush = flush
    assert intake.drain_senders(soon())
    assert intake.hand_on_all(soon())
    assert bench.store.text == b"one\ntwo\n"
    assert bench.store.queued == 0


def test_draining_a_sender_without_end_ends_in_time(bench: Bench) -> None:
    # As one of socat's forks does on whose sender nothing has any effect.
    intake = bench.serve()
    sender = bench.queue.comes()
    sender.send(b"line\n")
    bench.until_stored(b"line\n")
    began = time.monotonic()

    def goes_on() -> None:
        if time.monotonic() - began < 2:
            sender.send(b"line\n")

    bench.store.taken.on_add = goes_on
    sender.send(b"line\n")
    drained = intake.drain_senders(soon(0.2))
    assert time.monotonic() - began < 1
    assert not drained
    bench.store.taken.on_add = lambda: None


def test_handing_all_on_takes_every_unfinished_line(bench: Bench) -> None:
    intake = bench.serve(partial_after=60)
    for name in (b"a", b"b", b"c"):
        bench.queue.comes().send(name)
    bench.turn_until(lambda: intake.senders == 3)
    bench.quiet(0.02)
    assert bench.store.text == b""
    assert intake.hand_on_all(soon())
    assert bench.store.text == b"abc"
    assert bench.store.written == 5  # newlines between


# -- gathering ----------------------------------------------------------------------------------


def test_small_input_that_comes_thick_is_gathered_and_large_input_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(bench.loop, "rest", rests.append)
    monkeypatch.setattr(module, "BUSY_WITHIN", 60.0)
    bench.serve()
    sender = bench.queue.comes("192.0.2.1")
    sender.send(b"first\n")  # its newcomer's turn
    bench.until_stored(b"first\n")
    rests.clear()
    sender.send(b"small\n")
    bench.loop.turn(at_most=5)
    assert rests == [module.GATHER]
    rests.clear()
    sender.send(b"x" * (module.THICK - 1) + b"\n")
    bench.loop.turn(at_most=5)
    assert rests == []
    assert len(bench.store.text) == 12 + module.THICK
