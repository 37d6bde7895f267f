"""A recording's pieces and its file, as one line of bytes: what is gone, and what is opened."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import THEN, recorded, set_aside

from reclog.engine.stores import members, pieces
from reclog.engine.stores.index.format import Run
from reclog.engine.stores.pieces import Journal, Piece, path_of
from reclog.look import lines
from reclog.look.following import Following
from reclog.look.history import describe
from reclog.look.query import Gap, History, Line, Question
from reclog.look.view import stretch
from reclog.look.view.live import Followed

DATA = b"one 1\ntwo 2\nthree 3\nfour 4\nfive 5\n"
CUTS = [6, 12, 20, 27]
RUNS = [Run(begin, end, THEN + 1000 * at, None) for at, (begin, end) in enumerate(zip([0, *CUTS], CUTS))]


@pytest.fixture
def history(tmp_path: Path) -> History:
    history = recorded(tmp_path / "folder", DATA, RUNS)
    set_aside(history, CUTS, RUNS)
    return history


def piece(history: History, number: int) -> Piece:
    return pieces.pieces(str(history.recording.folder))[number]


def remove(history: History, number: int, by_keep: bool = True) -> None:
    one = piece(history, number)
    if by_keep:
        Journal(str(history.recording.folder)).hold_from(one.end)
    os.unlink(path_of(history.file, one))


def texts(found: Iterator[Line | Gap]) -> list[str]:
    return [one.text.decode() if isinstance(one, Line) else f"-- {one.sentence}" for one in found]


def test_what_keep_removed_is_stated_where_it_was(history: History) -> None:
    remove(history, 0)
    assert history.reach == (6, len(DATA))
    kept = ["two 2", "three 3", "four 4", "five 5"]
    assert texts(history.forward(Question(), 0)) == ["-- 6 B removed by --keep", *kept]
    assert texts(iter(history.back(Question(), len(DATA), 9))) == ["-- 6 B removed by --keep", *kept]
    assert texts(history.forward(Question(since=THEN / 1000 + 2), 0)) == kept[1:]
    assert texts(history.forward(Question(grep="t"), 0)) == ["-- 6 B removed by --keep", *kept[:2]]


def test_a_piece_that_somebody_took_away_is_a_hole(history: History) -> None:
    remove(history, 1, by_keep=False)
    kept = ["one 1", "-- 6 B gone: a piece is not there", "three 3", "four 4", "five 5"]
    assert texts(history.forward(Question(), 0)) == kept
    assert texts(history.forward(Question(grep="o"), 0)) == [kept[0], kept[1], "four 4"]
    assert [line.offset for line in history.matches(Question(), 0, 99, 9.0)] == [0, 12, 20, 27]


@pytest.mark.parametrize("grep", ["", "[a-z]"])
def test_what_is_removed_while_it_is_read_is_stated(
    history: History, monkeypatch: pytest.MonkeyPatch, grep: str
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 5)
    with history.opened() as text:
        found = history.read(text, Question(grep=grep), 0)
        seen = [] if grep else texts(itertools.islice(found, 1))
        gone = [path_of(history.file, piece(history, number)) for number in (1, 2)]
        Journal(str(history.recording.folder)).hold_from(20)
        for path in gone:
            os.unlink(path)
        seen += texts(found)
    first = "-- 6 B removed by --keep" if grep else "two 2"  # that piece was open already
    assert seen == ["one 1", first, "-- 8 B removed by --keep", "four 4", "five 5"]


def test_one_that_is_open_is_read_on(history: History) -> None:
    with history.opened() as text:
        assert text.pread(3, 12) == b"thr"
        remove(history, 2, by_keep=False)
        assert text.pread(99, 12) == DATA[12:]


def test_a_folder_that_is_none_any_more_is_waited_for(history: History) -> None:
    folder = history.recording.folder
    with history.opened() as text:
        folder.rename(folder.with_name("moved"))
        folder.touch()
        assert text.is_current
        assert text.pread(3, 12) == b""
        assert text.pread(99, 27) == DATA[27:]


def test_only_what_is_shown_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b"line %08d of many\n" % number for number in range(250_000))
    history = recorded(tmp_path / "folder", data)
    set_aside(history, [3 * members.TEXT])
    plain = Path(path_of(history.file, piece(history, 0)))
    packed = (members.member(data[at * members.TEXT :][: members.TEXT]) for at in range(3))
    plain.with_name(f"{plain.name}.gz").write_bytes(b"".join(packed))
    plain.unlink()
    unpacked: list[int] = []
    text_of = members.Members.text

    def text_of_member(self: members.Members, number: int) -> bytes:
        unpacked.append(number)
        return text_of(self, number)

    monkeypatch.setattr(members.Members, "text", text_of_member)
    assert len(history.back(Question(), len(data), 1)) == 1
    assert unpacked == []
    with history.opened() as text:
        assert text.pread(4, 2 * members.TEXT + 5) == data[2 * members.TEXT + 5 :][:4]
        assert lines.next_line(text, members.TEXT - 3, len(data)) > members.TEXT - 3
    assert unpacked == [2, 0, 1]


def unpacked(data: bytes) -> bytes:
    found = members.Members(lambda size, place: data[place : place + size])
    return b"".join(found.text(number) for number in range(len(found)))


def test_it_is_gzip_to_everybody_and_no_byte_of_it_is_believed(tmp_path: Path) -> None:
    packed = members.member(b"some text\n") + members.member(b"more")
    assert gzip.decompress(packed) == b"some text\nmore"
    for at in range(len(packed)):
        broken = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        for data in (broken, packed[:at]):
            with contextlib.suppress(ValueError):
                assert b"some text\nmore".startswith(unpacked(data))


# -- followed -------------------------------------------------------------------------------------------


class Rotated:
    """A recording that is followed, and set aside as a recorder does it."""

    def __init__(self, history: History) -> None:
        self.history, self.file = history, Path(history.file)
        self.journal = Journal(str(history.recording.folder))
        self.following = Following(history, Question(), 0)
        self.number = 0

    def say(self, *words: str) -> None:
        with self.file.open("a") as file:
            file.writelines(f"{word}\n" for word in words)

    def rotate(self) -> Piece:
        self.number, now = self.number + 1, self.file.stat()
        one = Piece(f"new.{self.number}.log", self.journal.listed.base, now.st_size, 1, now.st_ino)
        self.journal.begin(one, str(self.file))
        os.link(self.file, self.file.with_name(one.name))
        self.file.with_name("next").touch()
        os.rename(self.file.with_name("next"), self.file)
        self.journal.made()
        return one

    def new(self) -> list[str]:
        return [text for _ in range(3) for text in texts(self.following.new())]


@pytest.fixture
def rotated(tmp_path: Path) -> Iterator[Rotated]:
    one = Rotated(recorded(tmp_path / "folder", b""))
    yield one
    one.following.close()


def test_rotation_takes_no_line_from_who_follows_and_gives_none_twice(rotated: Rotated) -> None:
    rotated.say("one", "two")
    assert rotated.new() == ["one", "two"]
    rotated.say("three")
    rotated.rotate()
    rotated.say("four")
    rotated.rotate()
    rotated.rotate()
    rotated.say("five")
    assert rotated.new() == ["three", "four", "five"]
    rotated.say("six")
    rotated.rotate()
    assert (rotated.new(), rotated.new()) == (["six"], [])
    rotated.say("seven")
    assert rotated.new() == ["seven"]
    assert texts(rotated.history.forward(Question(), 0)) == [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
    ]


def test_who_follows_is_told_of_what_was_removed_before_he_saw_it(rotated: Rotated) -> None:
    rotated.say("one")
    assert rotated.new() == ["one"]
    rotated.rotate()
    assert rotated.new() == []
    for word in ("two", "three"):
        rotated.say(word)
        one = rotated.rotate()
        rotated.journal.hold_from(one.end)
        rotated.file.with_name(one.name).unlink()
    assert rotated.new() == ["two"]  # it was open
    rotated.say("four")
    assert rotated.new() == ["-- 6 B removed by --keep", "four"]
    rotated.say("five")
    assert rotated.new() == ["five"]


def test_the_page_follows_over_a_rotation_and_scrolls_back_to_what_is_there(rotated: Rotated) -> None:
    page = Followed(rotated.history, Question(), 0)
    seen = []
    for word in ("one", "two", "three", "four"):
        rotated.say(word)
        seen.append(page.news())
        rotated.rotate()
    assert [item["p"] for news in seen if news for item in news["items"]] == [
        ["one"],
        ["two"],
        ["three"],
        ["four"],
    ]
    assert not any(news["anew"] or news["skipped"] for news in seen if news)
    rotated.journal.hold_from(8)
    told = stretch.back(rotated.history, Question(), 14, 200)
    assert (told["from"], told["first"], told["size"]) == (0, 8, 19)
    assert [item.get("gap") or item["p"] for item in told["items"]] == ["8 B removed by --keep", ["three"]]
    assert (page.news(), describe([rotated.history.recording])[0]["pieces"]) == (None, 2)


def test_somebody_elses_rename_is_read_to_its_end_as_ever(rotated: Rotated) -> None:
    rotated.say("one")
    rotated.rotate()
    rotated.say("two")
    assert rotated.new() == ["one", "two"]
    rotated.say("three")
    rotated.file.rename(rotated.file.with_suffix(".1"))
    rotated.say("four")
    assert rotated.new() == ["three", "four"]
