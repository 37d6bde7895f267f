from __future__ import annotations

import os
from pathlib import Path

import pytest

from reclog.engine.stores import pieces
from reclog.engine.stores.pieces import Journal, Piece, base, path_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "file.log"
    file.write_bytes(b"0123456789")
    return file


def piece(file: Path, number: int, begin: int) -> Piece:
    return Piece(f"file.{number}.log", begin, file.stat().st_size, number, file.stat().st_ino)


def cut(journal: Journal, file: Path, number: int) -> Piece:
    """Have the file become a piece, with another in its place."""
    one = piece(file, number, journal.listed.base)
    journal.begin(one, str(file))
    new = file.with_name("new")
    new.write_bytes(b"abc")
    file.rename(file.with_name(one.name))
    new.rename(file)
    return one


def test_what_is_listed_is_a_piece_once_another_file_has_the_name(file: Path) -> None:
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    one = piece(file, 1, 0)
    journal.begin(one, str(file))
    assert (pieces.pieces(folder), base(folder)) == ([], 0)
    os.link(file, file.with_name(one.name))
    assert (pieces.pieces(folder), base(folder)) == ([], 0)
    file.with_name("new").touch()
    file.with_name("new").replace(file)
    assert (pieces.pieces(folder), base(folder)) == ([one], 10)
    journal.made()
    file.with_name(one.name).unlink()  # its inode may be used again
    assert (pieces.pieces(folder), base(folder)) == ([one], 10)
    assert path_of(str(file), one) == ""


def test_what_was_not_made_is_listed_no_more(file: Path) -> None:
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    journal.begin(piece(file, 1, 0), str(file))
    journal.not_made()
    file.unlink()
    assert pieces.pieces(folder) == []
    assert Journal(folder).listed.pending is None


def test_what_is_let_go_of_takes_no_offset_along(file: Path) -> None:
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    found = []
    for number in range(3):
        found.append(cut(journal, file, number))
        journal.made()
    assert [(one.begin, one.size) for one in pieces.pieces(folder)] == [(0, 10), (10, 3), (13, 3)]
    journal.hold_from(13)
    assert pieces.pieces(folder) == journal.listed.pieces == found[2:]
    journal.hold_from(16)
    assert (pieces.pieces(folder), base(folder)) == ([], 16)
    assert Journal(folder).listed == journal.listed


def test_a_journal_stays_short(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SPARE", 10)
    monkeypatch.setattr(pieces, "LAST", 5)
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    for number in range(50):
        cut(journal, file, number)
        journal.made()
        if number > 2:
            journal.hold_from(journal.listed.pieces[-3].begin)
    assert len(pieces.pieces(folder)) == 3
    assert base(folder) == 10 + 49 * 3
    assert Journal(folder).listed == journal.listed
    assert len(Path(pieces.journal_of(folder)).read_bytes().split()) < 300


def test_a_journal_that_somebody_removes_is_written_again(file: Path) -> None:
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    found = []
    for number in range(3):
        found.append(cut(journal, file, number))
        if number == 1:
            Path(pieces.journal_of(folder)).unlink()
        journal.made()
    assert (pieces.pieces(folder), base(folder)) == (found, 16)
    assert Journal(folder).listed == journal.listed


def test_a_journal_written_again_knows_how_the_piece_before_ended(file: Path) -> None:
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    cut(journal, file, 1)
    journal.made()
    journal.begin(piece(file, 2, 10), str(file), inside=True)
    Path(pieces.journal_of(folder)).unlink()
    journal.not_made()
    assert (Journal(folder).listed.inside, journal.listed.inside) == (False, False)


def test_a_piece_is_where_it_is_whole(file: Path) -> None:
    one = piece(file, 1, 0)
    plain = file.with_name(one.name)
    plain.write_bytes(b"01234")
    assert path_of(str(file), one) == ""
    Path(f"{plain}.gz").write_bytes(b"packed")
    assert path_of(str(file), one) == f"{plain}.gz"
    plain.write_bytes(b"0123456789")
    assert path_of(str(file), one) == str(plain)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b"\xff",
        b'{"piece": 5}',
        b'{"piece": ["../x", 0, 1, 2, 3], "file": "/f"}',
        b'{"piece": ["x", -1, 1, 2, 3], "file": "/f"}',
        b'{"piece": ["x", 0, 1, 2, true], "file": "/f"}',
        b'{"piece": ["x", 0, 1, 2, 3], "file": ["/f"]}\n{"made": 0}',
        b'{"piece": ["x", 10, 1, 2, 3], "file": "/f\\u0000"}\n{"made": 10}',
        b'{"piece": ["\\ud800", 10, 1, 2, 3], "file": "/f"}\n{"made": 10}',
        b'{"held": "all"}',
        b'{"made": 0}',
        b'{"piece": ["x", 0, 1',
    ],
)
def test_what_makes_no_sense_is_passed_over(file: Path, line: bytes) -> None:
    folder = str(file.parent / "folder")
    journal = Journal(folder)
    one = cut(journal, file, 1)
    journal.made()
    with open(pieces.journal_of(folder), "ab") as written:
        written.write(line)
    assert pieces.pieces(folder) == [one]
    journal = Journal(folder)
    assert journal.listed.file == str(file)
    two = cut(journal, file, 2)
    journal.made()
    assert pieces.pieces(folder) == [one, two]
