"""Who said each line, and when its first byte was read, whatever it waited for."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Optional, Tuple

import pytest
from intake_bench import Bench, MemoryStore

from reclog.engine.intake import datagrams, reading
from reclog.engine.intake.asking import AHEAD, EACH, Asking
from reclog.engine.intake.batch import Batch
from reclog.engine.intake.framing import FRAMINGS, LINES
from reclog.engine.intake.noted import MOMENTS, Came, Notes, Who
from reclog.engine.intake.sender import Sender
from reclog.engine.stores.index.format import Runs
from reclog.engine.stores.index.writer import add_notes
from reclog.engine.stores.spool import Spool
from reclog.engine.streams.plain import Plain

Line = Tuple[bytes, Optional[int], Who]


def each(notes: Notes) -> List[Tuple[int, Optional[int], Who]]:
    """Return them one by one."""
    return list(zip(notes.sizes, notes.times, notes.whos))


class Noting(MemoryStore):
    """A store that keeps what was noted of what it wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = Batch()
        self.out = b""
        self.notes = Notes()

    def flush(self) -> bool:
        while self.batch.queued:
            piece = bytes(self.batch.next(7))
            self.out += piece
            notes = self.batch.written(len(piece))
            self.notes.extend(notes.sizes, notes.times, notes.whos)
        return True

    @property
    def lines(self) -> List[Line]:
        """Return each line with what was noted of its first byte."""
        found: List[Line] = []
        at = 0
        for line in self.out.splitlines(keepends=True):
            ((_, ms, who),) = each(self.notes.part(at, at + 1))
            found.append((line, ms, who))
            at += len(line)
        return found


@pytest.fixture
def noting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Noting:
    store = bench.store = Noting()
    for module in (datagrams, reading):
        monkeypatch.setattr(module, "time", bench.clock)
    return store


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ([(0, b"a\nb\n")], [(b"a\n", 0), (b"b\n", 0)]),
        ([(0, b"print"), (40, b"ln\n")], [(b"println\n", 0)]),
        (
            [(0, b"a\nb"), (40, b"\nc\nd"), (40, b"e\n")],
            [(b"a\n", 0), (b"b\n", 0), (b"c\n", 40), (b"de\n", 40)],
        ),
        ([(0, b"prompt> "), (2500, b"answer\nnext\n")], [(b"prompt> answer\n", 0), (b"next\n", 2500)]),
        # Held until it is known what ends a message.
        ([(0, b"<13>a\n"), (900, b"<13>b\n")], [(b"<13>a\n", 0), (b"<13>b\n", 900)]),
        ([(0, b"<13>a\nb\n"), (900, b"c\n")], [(b"<13>a\n", 0), (b"b\n", 0), (b"c\n", 900)]),
        ([(0, b"<13>a\0"), (900, b"<13>b\0")], [(b"<13>a\n", 0), (b"<13>b\n", 900)]),
        ([(0, b"7 <13>one"), (900, b"7 <13>two")], [(b"<13>one\n", 0), (b"<13>two\n", 900)]),
        # Messages of several lines.
        (
            [(0, b'{"a":1}\0{"b":\n'), (500, b'2}\0{"c":3}\0')],
            [(b'{"a":1}\n', 0), (b'{"b":\n', 0), (b"2}\n", 500), (b'{"c":3}\n', 500)],
        ),
    ],
)
@pytest.mark.parametrize("stamp", [False, True])
def test_a_line_is_of_the_moment_of_its_first_byte(
    bench: Bench, noting: Noting, said: List[Tuple[int, bytes]], lines: List[Tuple[bytes, int]], stamp: bool
) -> None:
    bench.queue.framing = FRAMINGS["auto"]
    bench.serve(partial_after=2, stamp=stamp)
    began = int(bench.clock() * 1000)
    sender = bench.queue.comes("10.0.0.1")
    for later, text in said:
        bench.later(later / 1000)
        sender.send(text)
        bench.settle()
    sender.close()
    bench.settle()
    bench.later(2.5)
    found = [(line.rpartition(b" ")[2] if stamp else line, ms, who) for line, ms, who in noting.lines]
    wanted = [line.rpartition(b" ")[2] if stamp else line for line, _ in lines]
    assert [(line, who) for line, _, who in found] == [(line, "10.0.0.1") for line in wanted]
    late = [(ms or 0) - began - later for (_, ms, _), (_, later) in zip(found, lines)]
    assert all(-1 <= one <= 1 for one in late), late  # a float of seconds


def test_each_read_has_its_own_time(bench: Bench, noting: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count(1)
    bench.serve()
    senders = [bench.queue.comes(f"10.0.0.{number}") for number in range(40)]
    bench.settle()
    monkeypatch.setattr(reading, "time", lambda: next(looks) / 1000)
    for sender in senders:
        sender.send(b"all in one turn\n")
    bench.settle()
    assert len({ms for _, ms, _ in noting.lines}) == 40  # none was read before it was said


def test_what_closes_anothers_line_is_no_ones_line(bench: Bench, noting: Noting) -> None:
    bench.serve(partial_after=2)
    first, second = bench.queue.comes("10.0.0.1"), bench.queue.comes("10.0.0.2")
    first.send(b"half")
    bench.later(2.5)
    second.send(b"other\n")
    bench.settle()
    first.send(b"rest\n")
    bench.settle()
    said = [(line, who) for line, _, who in noting.lines]
    assert said == [(b"half\n", "10.0.0.1"), (b"other\n", "10.0.0.2"), (b"rest\n", "10.0.0.1")]


def test_a_batch_that_begins_anew_keeps_what_was_noted() -> None:
    batch = Batch()
    for number in range(3):
        batch.add(number, b"line %d\n" % number)
        batch.note(f"10.0.0.{number}", number)
    assert each(batch.written(10)) == [(7, 0, "10.0.0.0"), (3, 1, "10.0.0.1")]
    batch.restart(inside_line=True)
    assert bytes(batch.next(100)) == b"\nline 1\nline 2\n"
    assert each(batch.written(15)) == [(8, 1, "10.0.0.1"), (7, 2, "10.0.0.2")]
    batch.add(1, b"not noted\n")
    assert each(batch.written(10)) == [(10, None, "")]


def test_texts_that_were_read_at_once_are_noted_one_by_one() -> None:
    batch = Batch()
    batch.add("first", b"half")
    batch.note("10.0.0.1", 1)
    batch.room("datagrams", 0, 100)[:9] = b"a\nbb\nccc\n"
    assert batch.commit("datagrams", b"", 9, LINES) == (3, b"")
    batch.note_each([2, 3, 4], [2, 2, 2], ["10.0.0.2", "::ffff:10.0.0.3", "10.0.0.2"])
    runs = Runs(100)
    notes = batch.written(batch.queued)
    add_notes(runs, 14, notes)
    assert [tuple(run) for run in runs] == [
        (100, 104, 1, "10.0.0.1"),
        (104, 107, 2, "10.0.0.2"),
        (107, 110, 2, "10.0.0.3"),
        (110, 114, 2, "10.0.0.2"),
    ]
    assert each(notes.part(5, 8)) == [(2, 2, "10.0.0.2"), (1, 2, "::ffff:10.0.0.3")]


def test_moments_of_one_sender_are_bounded() -> None:
    came = Came()
    for ms in range(2 * MOMENTS):
        came.add(1, ms)
    assert (came.lines, len(came.since)) == (2 * MOMENTS, MOMENTS)
    assert came.rest(5).since[0] == (0, 5)
    assert came.rest(5).lines == came.lines - 5


def test_of_a_burst_only_the_first_are_asked() -> None:
    asked: List[int] = []

    def sender(number: int, host: str = "") -> Sender:
        def address() -> str:
            asked.append(number)
            return "10.0.0.1"

        stream: Any = SimpleNamespace(address=address)
        return Sender(number, stream, host, "socat:1", "socat:1", LINES, 0.0)

    now = [0.0]
    asking = Asking(lambda: now[0])
    for number in range(1000):
        asking.ask(sender(number))
        asking.ask(sender(-1, "10.0.0.2"))  # its address is known
    first = len(asked)
    assert asked == list(range(first))
    assert AHEAD / EACH <= first <= AHEAD / EACH + 1
    now[0] += 3 * EACH
    for number in range(1000, 1010):
        asking.ask(sender(number))
    assert asked[first:] == [1000, 1001, 1002]
    one = sender(5)
    assert (one.address(), one.address()) == ("10.0.0.1", "10.0.0.1")
    assert asked.count(5) == 2  # before, and once by that
    gone = sender(7000)
    gone.gone = True
    assert gone.address() == ""


def test_who_has_a_line_to_say_is_asked_before_it_is_read(
    bench: Bench, noting: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fork of socat ends once its sender's line and end are passed on.
    monkeypatch.setattr(Plain, "address", lambda stream: "10.0.0.9" if stream.unread() else "")
    bench.serve()
    with bench.queue.comes("", "socat:1") as fork:
        fork.send(b"a line\n")
    bench.until(lambda: noting.out == b"a line\n")
    ((_, _, who),) = noting.lines
    assert not isinstance(who, str)
    assert who.address() == "10.0.0.9"


def test_a_spool_is_told_of_datagrams_one_by_one(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), 1 << 20, lambda event, **_: None)
    spool.open()
    spool.batch.room("datagrams", 0, 100)[:5] = b"a\nbb\n"
    spool.batch.commit("datagrams", b"", 5, LINES)
    spool.batch.note_each([2, 3], [7, 7], ["10.0.0.2", "10.0.0.3"])
    assert spool.flush()
    spool.runs.keep(0)
    data = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir())
    assert b"10.0.0.2" in data
    assert b"10.0.0.3" in data
    spool.close()
