from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from recordings import THEN, indexed, recorded, set_aside

from reclog.engine.stores import pieces
from reclog.engine.stores.index.format import Run
from reclog.engine.stores.index.reader import IndexReader
from reclog.engine.stores.pieces import Journal, Piece
from reclog.look.query import History
from reclog.stream import reading
from reclog.stream.message import Identity
from reclog.stream.place import Kept, Place
from reclog.stream.reading import HALF, LEFT, SETTLED, Reading

MINE = Identity("0123456789abcdef", 1)
MOST = 1 << 18


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A recording that is read on from its beginning, while a test does things to its file."""

    def __init__(self, folder: Path, data: bytes = b"", history: History | None = None) -> None:
        self.clock = Clock()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.history = history or recorded(folder / "recording", data)
        self.file, self.folder = Path(self.history.file), self.history.recording.folder
        self.reading = self.anew()
        self.reading.stand(Place(MINE, 0, b""), 0, "then")

    def anew(self) -> Reading:
        reading = Reading(str(self.folder), str(self.file), self._say, self.clock)
        reading.text.look()
        return reading

    def _say(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    def set_aside(self, begin: int) -> None:
        """Have the file be a piece, as rotation does it, and a new one in its place."""
        now = self.file.stat()
        piece = Piece(f"file.{begin:04}.log", begin, now.st_size, THEN, now.st_ino)
        journal = Journal(str(self.folder))
        journal.begin(piece, str(self.file))
        os.link(self.file, self.file.with_name(piece.name))
        new = self.file.with_suffix(".new")
        new.touch()
        new.replace(self.file)
        journal.made()

    def append(self, data: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(data)

    def published(self, most: int = MOST) -> list[tuple[int, bytes]]:
        """Return what is published until nothing more is there that has settled, and where it begins."""
        found = []
        for _ in range(4):
            while payload := self.reading.next(most):
                found.append((self.reading.offset, payload))
                self.reading.sent(payload, len(found))
            self.clock.now += SETTLED + 0.01
        return found


@pytest.fixture(autouse=True)
def no_index_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LATE", SETTLED)


def test_an_index_that_is_late_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LATE", 1.0)
    bench = Bench(tmp_path, b"one\ntwo\n")
    indexed(bench.history, [Run(0, 4, THEN, "10.0.0.1")])
    assert bench.published() == [(0, b"one\n")]
    indexed(bench.history, [Run(0, 8, THEN, "10.0.0.1")])
    assert bench.published() == [(4, b"two\n")]
    bench.append(b"six\n")
    assert bench.published() == []
    bench.clock.now += 2.0
    assert bench.published() == [(8, b"six\n")]


def test_an_index_is_asked_for_many_messages_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(b"line %d\n" % number for number in range(10))
    bench = Bench(tmp_path, text)
    indexed(bench.history, [Run(at, at + 7, THEN + at, f"10.0.0.{at}") for at in range(0, 70, 7)])
    looks = iter(range(100))
    look = IndexReader._look
    monkeypatch.setattr(IndexReader, "_look", lambda self: next(looks) < 0 or look(self))
    found = bench.published(most=15)
    told = [run for at, payload in found for run in bench.reading.runs(at, payload)]
    assert [(run.begin, run.ms, run.sender) for run in told] == [
        (at, THEN + at, f"10.0.0.{at}") for at in range(0, 70, 7)
    ]
    assert len(found) == 5
    assert next(looks) < 5


def test_what_comes_behind_a_message_is_there_meanwhile_unless_the_file_is_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\ntwo\nha")
    bench.reading.next(MOST)
    bench.clock.now += SETTLED + 0.01
    assert bench.reading.next(4) == b"one\n"
    assert bench.reading.behind(b"one\n", 4) == b"two\n"
    assert bench.reading.behind(b"one\ntwo\n", MOST) == b""  # half a line
    bench.file.write_bytes(b"ONE\ntwo\nha")
    assert bench.reading.behind(b"one\n", MOST) == b""
    assert not bench.events


def test_whole_lines_are_published_once_they_have_settled(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\ntwo\nha")
    assert bench.reading.next(MOST) == b""
    assert bench.published() == [(0, b"one\ntwo\n")]
    bench.append(b"lf\n")
    assert bench.published() == [(8, b"half\n")]
    assert bench.reading.lag == 0


def test_half_a_line_waits_for_its_end_or_for_2_s(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"half")
    assert bench.published() == []
    assert bench.reading.lag == 4
    bench.clock.now += HALF
    assert bench.published() == [(0, b"half")]
    bench.append(b" of it\n")
    assert bench.published() == [(4, b" of it\n")]


def test_a_message_is_bounded_and_ends_at_a_lines_end_where_there_is_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"1\n22\n333\n" + 10 * b"4" + b"\n")
    assert [payload for _, payload in bench.published(most=6)] == [b"1\n22\n", b"333\n", b"444444", b"4444\n"]


def test_at_the_end_what_there_is_is_published_and_no_more_once_its_index_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LATE", 1.0)
    bench = Bench(tmp_path, b"one\ntwo\nhalf")
    indexed(bench.history, [Run(0, 4, THEN, "10.0.0.1")])
    bench.reading.ending = True
    assert bench.published() == [(0, b"one\n")]
    bench.append(b" of it\nmore\n")
    indexed(bench.history, [Run(0, 19, THEN, "10.0.0.1")])
    assert bench.published() == [(4, b"two\n"), (8, b"half")]
    assert bench.reading.is_over
    assert bench.reading.lag == 0


@pytest.mark.parametrize("most", [MOST, 6])
def test_pieces_are_published_with_who_and_when(tmp_path: Path, most: int) -> None:
    runs = [Run(0, 4, THEN, "10.0.0.1"), Run(4, 12, THEN + 5, "10.0.0.2"), Run(12, 17, THEN + 9, None)]
    history = recorded(tmp_path / "recording", b"one\ntwo\nsix\nfour\n")
    set_aside(history, [4, 8], runs)  # one is plain, one compressed
    bench = Bench(tmp_path, history=history)
    found = []
    for _ in range(5):
        while payload := bench.reading.next(most):
            found.append((payload, bench.reading.runs(bench.reading.offset, payload)))
            bench.reading.sent(payload, 1)
        bench.clock.now += SETTLED + 0.01
    assert bench.events == []
    assert b"".join(payload for payload, _ in found) == b"one\ntwo\nsix\nfour\n"
    told = [run for _, of in found for run in of]
    assert [(run.end, run.ms, run.sender) for run in told if run.end in (4, 12, 17)] == [
        (run.end, run.ms, run.sender) for run in runs
    ]


def test_what_keep_removed_before_it_was_published_is_a_gap(tmp_path: Path) -> None:
    history = recorded(tmp_path / "recording", b"one\ntwo\nsix\nfour\n")
    set_aside(history, [4, 8])
    bench = Bench(tmp_path, history=history)
    bench.reading.text.close()
    Journal(str(bench.folder)).hold_from(4)
    bench.reading = bench.anew()
    bench.reading.stand(Place(MINE, 0, b""), 0, "then")
    assert bench.published() == [(4, b"two\n"), (8, b"six\nfour\n")]
    assert bench.events == [("gap", {"offset": 0, "bytes": 4, "why": "removed before it was published"})]
    assert bench.reading.gaps == 1


def test_a_piece_that_goes_as_it_is_compared_makes_no_other_file(tmp_path: Path) -> None:
    history = recorded(tmp_path / "recording", b"one\ntwo\nsix\nfour\n")
    set_aside(history, [4, 8])
    bench = Bench(tmp_path, history=history)
    (piece, *_) = pieces.pieces(str(bench.folder))
    Path(pieces.path_of(str(bench.file), piece)).unlink()
    bench.reading.stand(Place(MINE, 4, b"one\n"), 0, "then")
    assert bench.published() == [(4, b"two\n"), (8, b"six\nfour\n")]
    assert not bench.events


def test_a_file_that_is_set_aside_meanwhile_goes_on_in_the_next(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\ntwo\n")
    assert bench.published(most=5) == [(0, b"one\n"), (4, b"two\n")]
    bench.append(b"more\n")
    bench.set_aside(0)
    bench.append(b"next\n")
    assert bench.published() == [(8, b"more\n"), (13, b"next\n")]
    assert not bench.events


@pytest.mark.parametrize(
    ("now", "begin", "event"),
    [
        (b"", 0, "file is another"),
        (b"new that is longer than before\n", 0, "file is another"),
        (b"one\ntwo\nth", 10, "file was changed"),
        (b"one\ntwo and more\n", 0, "file is another"),  # it begins like that, and may be new all the same
    ],
)
def test_a_file_that_is_cut_back_is_another_line_of_bytes(
    tmp_path: Path, now: bytes, begin: int, event: str
) -> None:
    bench = Bench(tmp_path, b"one\ntwo\nthree\n")
    assert bench.published() == [(0, b"one\ntwo\nthree\n")]
    bench.file.write_bytes(now)
    if len(now) < 14:  # else nobody may notice before there is more
        assert bench.published() == []
    bench.append(b"rest\n")
    assert bench.published() == [(begin, (now + b"rest\n")[begin:])]
    assert [event for event, _ in bench.events] == [event]
    kept = Kept.read(str(bench.folder))
    assert kept is not None
    assert kept.identity == bench.reading.identity == MINE.next()


def test_a_file_that_somebody_set_aside_is_read_to_its_end_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\n")
    assert bench.published() == [(0, b"one\n")]
    aside = bench.file.with_suffix(".1")
    bench.file.rename(aside)
    assert bench.published() == []
    bench.file.write_bytes(b"new\n")
    with aside.open("ab") as file:
        file.write(b"two")
    assert bench.published() == [(4, b"two")]
    bench.clock.now += LEFT
    assert bench.published() == [(0, b"new\n")]
    assert bench.reading.identity == MINE.next()


def test_a_copy_in_the_files_place_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\n")
    assert bench.published() == [(0, b"one\n")]
    copy = bench.file.with_suffix(".new")
    copy.write_bytes(b"one\ntwo\n")
    copy.replace(bench.file)
    bench.published()
    bench.clock.now += LEFT
    assert bench.published() == [(4, b"two\n")]
    assert (bench.reading.identity, bench.events) == (MINE, [])


def test_where_it_is_is_kept_and_read_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\ntwo\n")
    bench.published()
    now = bench.reading.kept
    bench.reading.close()
    kept = bench.anew().kept
    assert kept is not None
    assert kept == now
    assert (kept.identity, kept.start, kept.end, kept.head, kept.tail) == (
        MINE,
        0,
        8,
        b"one\ntwo\n",
        b"one\ntwo\n",
    )


def test_a_device_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"one\n")
    os.unlink(bench.file)
    os.mkfifo(bench.file)
    with pytest.raises(OSError, match="no regular file"):
        Reading(str(bench.folder), str(bench.file), bench._say).text.look()
