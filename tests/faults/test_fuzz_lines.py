"""From senders' sockets to a file on disk: any bytes, in any pieces, past short writes and full disks."""

from __future__ import annotations

import re
import socket
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from dialects import SYNTAX
from fuzz import ShakyDisk, cases, raw
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.intake import reading, stamps, unfinished, valve
from reclog.engine.intake.framing import DIALLED
from reclog.engine.intake.intake import Intake
from reclog.engine.intake.roster import Limits
from reclog.engine.records.events import EventLog
from reclog.engine.records.journal import Journal
from reclog.engine.stores.file import RecordedFile
from reclog.engine.stores.segments import Jump
from reclog.engine.stores.spool import Spool
from reclog.engine.streams.plain import Plain
from reclog.engine.system.loop import Loop

SENDERS = 5
#: All bounds small, so that small input goes over them.
LINE_MAX, PENDING_MAX, READ_SIZE, FLUSH_AT = 48, 96, 64, 128
STAMPED = re.compile(rb"TIME s(\d) ")
LETTERS, FRAMING = b"abcdefghij", b'\n\r\0<>{}" 0123456789'


class Silent(EventLog):
    def __init__(self) -> None:
        super().__init__("")

    def mention(self, event: str, **facts: Any) -> None: ...


class Endpoint:
    """A listening socket made of socket pairs."""

    def __init__(self, framing: str) -> None:
        self.framing = DIALLED[framing]
        self._sock, self._bell = socket.socketpair()
        self._sock.setblocking(False)
        self.fileno = self._sock.fileno
        self._waiting: deque[tuple[Plain, str]] = deque()

    def comes(self, name: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        # Unread when they close, this makes the close a reset (unix(7)); else they read it before.
        ours.send(b"?")
        self._waiting.append((Plain(ours), name))
        self._bell.send(b".")
        return theirs

    def waits(self) -> bool:
        return False

    def accept(self) -> tuple[Plain, str, str]:
        self._sock.recv(1)  # BlockingIOError when nobody waits
        stream, name = self._waiting.popleft()
        return stream, "", name

    def close(self) -> None:
        self._sock.close()
        self._bell.close()


def of_sender(who: int, text: bytes) -> bytes:
    """Return `text` in bytes that only this sender uses: those that leave `who` when divided by five."""
    return text.translate(bytes(_own(who, value) for value in range(256)))


def _own(who: int, value: int) -> int:
    if value == 10:
        return 10
    own = value - value % SENDERS + who
    own = own - SENDERS if own > 255 else own
    return 15 if own == 10 else own  # both leave 0


class Chain:
    """Senders, the intake, a store on a real disk."""

    def __init__(
        self, folder: Path, into: str, stamp: bool, at_once: bool, writes: list[int], framing: str
    ) -> None:
        self.stamp = stamp
        self.loop = Loop()
        self.endpoint = Endpoint(framing)
        self.path = folder / "file.log"
        self.store: RecordedFile | Spool
        self.disk = disk = ShakyDisk()
        if into == "file":
            self.store = RecordedFile(str(self.path), self._say, disk)
        else:
            self.store = Spool(str(folder / "spool"), 1 << 20, self._say, disk, boot="this")
        self.store.open()
        disk.shake(writes)
        self.store.FLUSH_AT = FLUSH_AT
        limits = Limits(partial_after=0.0 if at_once else 60.0, stamp=stamp)
        self.intake = Intake(self.loop, self.store, Journal(self.loop, Silent()), limits)
        self.intake.gate.serve(self.endpoint)
        self.peers: list[socket.socket | None] = [None] * SENDERS
        #: A connection is a sender: who comes again is another one.
        self.went = [False] * SENDERS
        self.sent = [b""] * SENDERS

    def _say(self, event: str, **facts: Any) -> None: ...

    def do(self, who: int, what: str, text: bytes) -> None:
        peer = self.peers[who]
        if what in ("close", "reset"):
            if peer is not None:
                if what == "close":
                    peer.recv(1)
                peer.close()
                self.peers[who] = None
                self.went[who] = True
        elif not self.went[who]:
            if peer is None:
                peer = self.peers[who] = self.endpoint.comes(f"s{who}")
            self.sent[who] += text[: peer.send(text)] if text else b""
        self.turn()

    def turn(self) -> None:
        self.loop.turn(at_most=0)
        # What is held: unfinished lines, what waits for the disk, and the one read that went over either.
        assert self.intake._unfinished.size <= PENDING_MAX + READ_SIZE
        # (A stamp of nine bytes goes before each line, and a line may be its newline alone.)
        held = FLUSH_AT + PENDING_MAX + 2 * READ_SIZE + SENDERS * READ_SIZE
        assert self.store.queued <= held * (10 if self.stamp else 2)

    def end(self) -> bytes:
        for who in range(SENDERS):
            self.do(who, "close", b"")
        until = time.monotonic() + 5
        assert self.intake.drain(self.endpoint, until)
        assert self.intake.drain_senders(until)
        assert self.intake.hand_on_all(until)
        assert self.intake.senders == 0
        self.disk.shake([])
        written = self._written()
        self.endpoint.close()
        self.loop.close()
        return written

    def _written(self) -> bytes:
        if isinstance(self.store, RecordedFile):
            self.store.close()
            return self.path.read_bytes()
        found, cursor = b"", self.store.cursor(0)
        while cursor.offset < self.store.end:
            piece = cursor.read(100)
            assert not isinstance(piece, Jump)
            assert piece
            found += piece
        self.store.close()
        return found


Step = tuple[int, str, bytes]


def check(written: bytes, sent: list[bytes], stamp: bool) -> None:
    """Each line is of one sender; each sender's bytes are all there, in order."""
    got = [b""] * SENDERS
    for line in written.split(b"\n"):
        stamped = STAMPED.match(line) if stamp else None
        if stamp and line:
            assert stamped, line
        text = line[stamped.end() :] if stamped else line
        if not text:
            continue
        (who,) = {byte % SENDERS for byte in text}
        assert stamped is None or int(stamped[1]) == who
        got[who] += text
    assert got == [text.replace(b"\n", b"") for text in sent]
    # Newlines are added where a line was left open, and never taken away.
    assert written.count(b"\n") >= sum(text.count(b"\n") for text in sent)


def in_letters(who: int, text: bytes) -> bytes:
    """Return `text` with letters that only this sender uses, and what may be framing as it is."""
    small, large = b"acegi"[who], b"bdfhj"[who]
    return bytes(byte if byte in FRAMING else (small, large)[byte % 2] for byte in text)


def check_letters(written: bytes, sent: list[bytes], stamp: bool) -> None:
    """No line has letters of two senders; each sender's are all there, in order: only framing went."""
    got = [b""] * SENDERS
    for line in written.split(b"\n"):
        text = STAMPED.sub(b"", line, count=1) if stamp else line
        letters = bytes(byte for byte in text if byte in LETTERS)
        whose = {LETTERS.index(byte) // 2 for byte in letters}
        assert len(whose) <= 1, line
        for who in whose:
            got[who] += letters
    assert got == [bytes(byte for byte in text if byte in LETTERS) for text in sent]


def play(
    steps: list[Step], into: str, stamp: bool, at_once: bool, writes: list[int], framing: str = "lines"
) -> None:
    patched = mock.patch.multiple(reading, READ_SIZE=READ_SIZE, GATHER=0.0)
    eager = mock.patch.object(valve, "RETRY_AFTER", 0.0)
    timed = mock.patch.object(stamps, "timestamp", return_value="TIME")
    smaller = mock.patch.multiple(unfinished, LINE_MAX=LINE_MAX, PENDING_MAX=PENDING_MAX)
    with patched, eager, timed, smaller, tempfile.TemporaryDirectory() as folder:
        chain = Chain(Path(folder), into, stamp, at_once, writes, framing)
        own, right = (of_sender, check) if framing == "lines" else (in_letters, check_letters)
        for who, what, text in steps:
            chain.do(who, what, own(who, text))
        written = chain.end()
        right(written, chain.sent, stamp)


TEXT = st.one_of(
    st.binary(max_size=12),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"TIME s0 ", b"\0", b"\xff"]), max_size=8).map(b"".join),
    st.builds(lambda byte, times: byte * times, st.sampled_from([b"x", b"\n", b"ab\n"]), st.integers(0, 300)),
)
DIALECT = st.lists(st.one_of(st.sampled_from(SYNTAX), st.sampled_from([b"x", b"yx"])), max_size=6).map(
    b"".join
)
STEP = st.tuples(st.integers(0, SENDERS - 1), st.sampled_from(["say"] * 6 + ["close", "reset"]), TEXT)
WRITES = st.lists(st.sampled_from([0, 0, 1, 2, 3, 7, 20, 60]), max_size=25)


@examples(150)
@given(
    steps=st.lists(STEP, max_size=25),
    into=st.sampled_from(["file", "spool"]),
    stamp=st.booleans(),
    at_once=st.booleans(),
    writes=WRITES,
)
def test_each_senders_bytes_arrive_in_lines_of_its_own(
    steps: list[Step], into: str, stamp: bool, at_once: bool, writes: list[int]
) -> None:
    play(steps, into, stamp, at_once, writes)


SAYS = st.tuples(st.integers(0, SENDERS - 1), st.sampled_from(["say"] * 8 + ["close", "reset"]), DIALECT)


@examples(150)
@given(
    steps=st.lists(SAYS, max_size=25),
    into=st.sampled_from(["file", "spool"]),
    stamp=st.booleans(),
    at_once=st.booleans(),
    writes=WRITES,
)
def test_of_what_any_framing_delimits_only_framing_goes(
    steps: list[Step], into: str, stamp: bool, at_once: bool, writes: list[int]
) -> None:
    play(steps, into, stamp, at_once, writes, "auto")


@pytest.mark.parametrize("into", ["file", "spool"])
@pytest.mark.parametrize("case", cases("lines"))
def test_kept_cases(case: dict[str, Any], into: str) -> None:
    steps = [(who, what, raw(text)) for who, what, text in case["steps"]]
    for stamp in (False, True):
        play(steps, into, stamp, case["at_once"], case["writes"])


def test_a_spool_is_closed_on_a_full_disk(tmp_path: Path) -> None:
    disk = ShakyDisk()
    said: list[str] = []
    spool = Spool(str(tmp_path), 1 << 20, lambda event, **facts: said.append(event), disk, boot="this")
    spool.open()
    spool.batch.add(1, b"a line\n")
    assert spool.flush()
    disk.shake([0])
    spool.close()  # a relay that is told to end has more to do than this
    assert said
    again = Spool(str(tmp_path), 1 << 20, lambda event, **facts: None, disk, boot="this")
    assert again.open() == ()
    assert again.cursor(0).read() == b"a line\n"
    again.close()


@pytest.mark.parametrize("seconds", [1e6, 3e6, 1e10, 1e300])
def test_a_line_left_open_for_any_time_does_not_end_the_loop(seconds: float) -> None:
    # epoll_wait(2) takes milliseconds in an int: 24.8 days.
    loop = Loop()
    timer = loop.timer(lambda: None)
    timer.at(time.monotonic() + seconds)
    ready, bell = socket.socketpair()
    heard: list[bytes] = []
    loop.watch(ready, lambda: heard.append(ready.recv(1)))
    bell.send(b".")
    try:
        loop.turn()
    finally:
        loop.close()
        ready.close()
        bell.close()
    assert heard == [b"."]
