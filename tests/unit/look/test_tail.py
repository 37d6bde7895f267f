"""Following a file: its last lines, what comes, and what happens to it meanwhile."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reclog.look.tail
from reclog.look.tail import follow, last_lines


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reclog.look.tail, "LOOK_EVERY", 0.0)
    return tmp_path / "file.log"


def append(log: Path, data: bytes) -> Callable[[], object]:
    def write() -> None:
        with log.open("ab") as file:
            file.write(data)

    return write


def followed(log: Path, count: int, *steps: Callable[[], object]) -> list[str]:
    """Return what is shown when each of `steps` happens once the one before was seen."""
    left = list(steps)
    looks = 0

    def goes_on() -> bool:
        nonlocal looks
        looks += 1
        if looks % 3:  # time to notice, before the next step
            return True
        if left:
            left.pop(0)()
            return True
        return False

    return list(follow(str(log), count, goes_on))


@pytest.mark.parametrize(
    ("data", "count", "lines"),
    [
        (b"", 10, []),
        (b"a\nb\nc\n", 2, [b"b\n", b"c\n"]),
        (b"a\nb\nc\n", 10, [b"a\n", b"b\n", b"c\n"]),
        (b"a\nb\nc", 2, [b"b\n", b"c"]),
        (b"a\nb\n", 0, []),
        (b"\n\n\n", 2, [b"\n", b"\n"]),
        (b"a\r\nb\r\n", 1, [b"b\n"]),
        (b"50%\r100%\r\ndone\n", 2, [b"50%\r100%\n", b"done\n"]),
        (b"a\x0bb\x0cc\x1cd\n", 1, [b"a\x0bb\x0cc\x1cd\n"]),
    ],
)
def test_last_lines(data: bytes, count: int, lines: list[bytes]) -> None:
    assert last_lines(io.BytesIO(data), count) == lines


@given(st.lists(st.integers(0, 90_000), max_size=6), st.integers(0, 8), st.booleans())
def test_last_lines_of_any_length(lengths: list[int], count: int, ended: bool) -> None:
    lines = [b"x" * length + b"\n" for length in lengths]
    if lines and not ended:
        lines[-1] = lines[-1][:-1] or b"y"
    assert last_lines(io.BytesIO(b"".join(lines)), count) == (lines[-count:] if count else [])


def test_of_an_endless_last_line_only_the_end_is_looked_at() -> None:
    class Counting(io.BytesIO):
        """A file that counts what is read of it."""

        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(b"first\n" + b"x" * (2 * reclog.look.tail._MOST) + b"\nlast\n")
    cut, last = last_lines(file, 10)
    assert (cut[:7], last) == (b"[...] x", b"last\n")
    assert file.count <= reclog.look.tail._MOST + 64 * 1024


def test_what_is_added_while_the_last_lines_are_read_comes_next(log: Path) -> None:
    class Growing(io.BytesIO):
        """A file to which a recorder appends at each read."""

        def read(self, size: int | None = -1) -> bytes:
            position = self.tell()
            super().seek(0, os.SEEK_END)
            self.write(b"new\n")
            super().seek(position)
            return super().read(size)

    file = Growing(b"a\nb\n")
    assert last_lines(file, 1) == [b"b\n"]
    assert io.BytesIO.read(file) == b"new\n"


def test_it_begins_with_the_last_lines_and_goes_on(log: Path) -> None:
    log.write_bytes(b"1\n2\n3\n")
    assert followed(log, 2, append(log, b"4\n5"), append(log, b"5\n")) == ["2", "3", "4", "55"]


def test_a_file_that_does_not_exist_yet_is_waited_for(log: Path) -> None:
    assert followed(log, 10, append(log, b"first\n"), append(log, b"second\n")) == ["first", "second"]


def test_a_line_without_its_end_is_shown_at_the_end(log: Path) -> None:
    log.write_bytes(b"whole\nhalf")
    assert followed(log, 10) == ["whole", "half"]


def test_crlf_is_one_line_end(log: Path) -> None:
    log.write_bytes(b"a\r\n")
    assert followed(log, 10, append(log, b"b\r\n")) == ["a", "b"]


def test_rotation(log: Path) -> None:
    log.write_bytes(b"old\n")
    shown = followed(log, 10, lambda: log.rename(log.with_suffix(".1")), append(log, b"new\n"))
    assert shown == ["old", "new"]


def test_rotation_with_a_line_to_the_old_file_at_the_last_moment(log: Path) -> None:
    log.write_bytes(b"old\n")

    def rotate() -> None:
        append(log, b"last\n")()
        log.rename(log.with_suffix(".1"))
        log.write_bytes(b"new\n")

    assert followed(log, 10, rotate) == ["old", "last", "new"]


def test_rotation_does_not_join_a_half_line_to_the_new_file(log: Path) -> None:
    log.write_bytes(b"half")

    def rotate() -> None:
        log.rename(log.with_suffix(".1"))
        log.write_bytes(b"new\n")

    assert followed(log, 10, rotate) == ["half", "new"]


def test_truncation(log: Path) -> None:
    log.write_bytes(b"old line\n")
    assert followed(log, 10, lambda: os.truncate(log, 0), append(log, b"new\n")) == ["old line", "new"]


def test_truncation_does_not_join_a_half_line_to_what_comes(log: Path) -> None:
    log.write_bytes(b"a long half line")
    shown = followed(log, 10, lambda: os.truncate(log, 0), append(log, b"new\n"))
    assert shown == ["a long half line", "new"]


def test_a_shorter_file_in_its_place_is_read_from_its_beginning(log: Path) -> None:
    log.write_bytes(b"0123456789\n" * 3)
    with log.open("r+b") as file:

        def rewrite() -> None:
            file.truncate(0)
            os.pwrite(file.fileno(), b"x\ny\n", 0)

        assert followed(log, 1, rewrite) == ["0123456789", "x", "y"]


def test_an_endless_line_is_shown_in_pieces(log: Path) -> None:
    log.write_bytes(b"")
    shown = followed(log, 0, append(log, b"x" * 3_000_000))
    assert len(shown) > 1
    assert "".join(shown) == "x" * 3_000_000


def test_nothing_shown_moves_a_cursor(log: Path) -> None:
    log.write_bytes(b"\x1b[2J\xff\n")
    assert followed(log, 10, append(log, "\u202e\n".encode())) == [r"\x1b[2J\xff", r"\u202e"]
