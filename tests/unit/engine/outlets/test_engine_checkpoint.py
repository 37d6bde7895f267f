from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import List, Tuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.outlets.checkpoint import LOOK_BACK, Checkpoint, tail_hash
from reclog.engine.outlets.comparer import Comparer

# Few letters, many newlines: equal lines, empty lines and lines that begin alike are the hard cases.
STREAMS = st.text(alphabet="ab\n", max_size=60).map(str.encode)
FOREIGN = st.text(alphabet="nb\n", max_size=12).map(str.encode)
CUTS = st.lists(st.integers(0, 200), max_size=6)


def chunks(stream: bytes, cuts: List[int]) -> List[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)]) if start < end]


def write_on(file: bytes, text: bytes, goes_on: bool) -> bytes:
    """Append as the sink does: a half line that is not ours is closed first."""
    closing = b"\n" if text and file and not file.endswith(b"\n") and not goes_on else b""
    return file + closing + text


def resumed(
    file: bytes, start: int, stream: bytes, cuts: List[int], inside: bool = False
) -> Tuple[bytes, Comparer]:
    """Return the file after the whole stream came again."""
    comparer = Comparer(lambda at, count: file[at : at + count], start, True, inside)
    waiting = chunks(stream, cuts)
    while waiting:
        found = comparer.feed(waiting.pop(0))
        if found is not None:
            text, goes_on = found
            return write_on(file, text, goes_on) + b"".join(waiting), comparer
    return file, comparer


@given(STREAMS, st.integers(0, 200), CUTS)
def test_a_file_cut_anywhere_becomes_the_stream(stream: bytes, cut: int, cuts: List[int]) -> None:
    held = stream[: cut % (len(stream) + 1)]
    file, _ = resumed(b"before\n" + held, 7, stream, cuts)
    assert file == b"before\n" + stream


@given(STREAMS, st.integers(0, 200), st.integers(0, 200), CUTS)
@example(b"ab\n", 2, 1, [])
@example(b"a\nb\n", 1, 1, [])
def test_a_checkpoint_inside_a_line_goes_on_there(
    stream: bytes, saved: int, cut: int, cuts: List[int]
) -> None:
    saved %= len(stream) + 1
    held = stream[: saved + cut % (len(stream) - saved + 1)]
    inside = saved > 0 and not stream[:saved].endswith(b"\n")
    file, comparer = resumed(held, saved, stream[saved:], cuts, inside)
    assert file == stream
    if file == held:
        # What is saved while comparing goes on as well.
        offset = len(stream) - comparer.undecided
        assert comparer.matched == offset
        assert comparer.inside == (inside and b"\n" not in stream[saved:])


@given(FOREIGN, STREAMS, st.integers(0, 200), CUTS)
@example(b"n", b"\na\n", 3, [])
@example(b"n", b"\n\na\n", 4, [])
def test_after_anothers_half_line_nothing_comes_twice(
    before: bytes, stream: bytes, cut: int, cuts: List[int]
) -> None:
    held = stream[: cut % (len(stream) + 1)]
    at_crash = write_on(before, held, False)
    file, _ = resumed(at_crash, len(before), stream, cuts)
    assert file == write_on(before, stream, False)


@given(STREAMS, st.integers(0, 200), FOREIGN.filter(bool), CUTS)
def test_foreign_lines_at_the_end_cost_and_double_no_line(
    stream: bytes, cut: int, foreign: bytes, cuts: List[int]
) -> None:
    """The numbered lines make each one unlike the others: then once is once."""
    stream = b"".join(b"%d%s\n" % (number, line) for number, line in enumerate(stream.split(b"\n")))
    held = stream[: cut % (len(stream) + 1)]
    foreign = foreign.replace(b"b", b"n")
    file, _ = resumed(held + foreign, 0, stream, cuts)
    lines = file.split(b"\n")
    wanted = stream.split(b"\n")[:-1]
    found = [line for line in lines if line in set(wanted)]
    assert found == wanted
    # All that a stranger wrote is still there.
    assert file.startswith(held + foreign)


@given(STREAMS, STREAMS, st.integers(0, 200), CUTS, CUTS)
def test_a_jump_breaks_the_line_once(
    first: bytes, second: bytes, cut: int, cuts: List[int], more: List[int]
) -> None:
    whole = write_on(first, second, False)
    file = whole[: cut % (len(whole) + 1)]
    if len(file) < len(first) or (second and len(file) == len(first) and file):
        return  # without the second part, this is the case of one stream
    comparer = Comparer(lambda at, count: file[at : at + count], 0)
    for part in chunks(first, cuts):
        assert comparer.feed(part) is None
    comparer.break_line()
    assert comparer.undecided == 0
    waiting = chunks(second, more)
    result = file
    while waiting:
        found = comparer.feed(waiting.pop(0))
        if found is not None:
            result = write_on(file, found[0], found[1]) + b"".join(waiting)
            break
    assert result == whole


@given(STREAMS, st.integers(0, 200), CUTS)
def test_what_follows_a_rename_is_whole_lines(stream: bytes, cut: int, cuts: List[int]) -> None:
    old = stream[: cut % (len(stream) + 1)]
    comparer = Comparer(lambda at, count: old[at : at + count], 0, same_file=False)
    waiting = chunks(stream, cuts)
    new = b""
    while waiting:
        found = comparer.feed(waiting.pop(0))
        if found is not None:
            assert not found[1]
            new = found[0] + b"".join(waiting)
            break
    if new or old != stream:
        whole = old[: old.rfind(b"\n") + 1]
        assert whole + new == stream


@given(STREAMS, st.integers(0, 200), CUTS)
def test_a_checkpoint_taken_while_comparing_is_right(stream: bytes, cut: int, cuts: List[int]) -> None:
    """A second crash in the middle of comparing: what was saved then must do as well."""
    comparer = Comparer(lambda at, count: stream[at : at + count], 0)
    taken = 0
    for part in chunks(stream[: cut % (len(stream) + 1)], cuts):
        assert comparer.feed(part) is None
        taken += len(part)
    offset, size = taken - comparer.undecided, comparer.matched
    assert stream[:offset] == stream[:size]
    file, _ = resumed(stream, size, stream[offset:], cuts, comparer.inside)
    assert file == stream


# -- checkpoints ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.log"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(2000)))
    return path


def checkpoint(path: Path) -> Checkpoint:
    with open(path, "rb") as file:
        return Checkpoint.of(file.fileno(), path.stat().st_size, "spool", 77, False)


def test_a_checkpoint_is_saved_and_read(path: Path) -> None:
    saved = checkpoint(path)
    assert Checkpoint.from_json(saved._asdict()) == saved
    with pytest.raises(ValueError, match="no checkpoint"):
        Checkpoint.from_json({"spool": "x"})


def test_a_file_that_grew_fits(path: Path) -> None:
    saved = checkpoint(path)
    with open(path, "ab") as file:
        file.write(b"more\n")
    assert saved.fits(str(path))
    assert saved.find(str(path)) == str(path)


@pytest.mark.parametrize("size", [0, 1, LOOK_BACK])
def test_a_truncated_file_does_not_fit(path: Path, size: int) -> None:
    saved = checkpoint(path)
    os.truncate(str(path), size)
    assert not saved.fits(str(path))
    assert saved.find(str(path)) == ""


def test_a_file_that_was_truncated_and_grew_beyond_does_not_fit(path: Path) -> None:
    saved = checkpoint(path)
    path.write_bytes(b"another line\n" * 5000)
    assert path.stat().st_size > saved.size
    assert saved.find(str(path)) == ""


def test_a_renamed_file_is_found_beside(path: Path) -> None:
    saved = checkpoint(path)
    renamed = path.with_name("file.log.1")
    path.rename(renamed)
    assert saved.find(str(path)) == str(renamed)
    path.write_bytes(b"a new one\n")
    assert saved.find(str(path)) == str(renamed)


def test_a_removed_or_replaced_file_is_gone(path: Path) -> None:
    saved = checkpoint(path)
    content = path.read_bytes()
    path.rename(path.with_name("kept"))
    copy = path.with_name("copy")
    copy.write_bytes(content)
    path.with_name("kept").unlink()
    copy.rename(path)
    if path.stat().st_ino != saved.inode:  # some file systems give a number again at once
        assert saved.find(str(path)) == ""


def test_a_missing_folder_is_no_error(path: Path) -> None:
    saved = checkpoint(path)
    assert saved.find("/nowhere/at/all/file.log") == ""


@examples(30)
@given(st.integers(1, LOOK_BACK))
def test_a_changed_byte_in_the_tail_is_noticed(before_end: int) -> None:
    size = 2 * LOOK_BACK
    with tempfile.TemporaryFile() as file:
        os.pwrite(file.fileno(), b"x" * size, 0)
        same = tail_hash(file.fileno(), size)
        os.pwrite(file.fileno(), b"y", size - before_end)
        assert tail_hash(file.fileno(), size) != same
