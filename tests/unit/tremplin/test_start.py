"""What a start leaves of the file to record to."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from reclog.errors import ReclogError
from reclog.tremplin.start import _try_file


def test_the_files_folder_is_made_and_goes_again_if_the_start_fails(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "trem.log"
    with contextlib.ExitStack() as undo:
        _try_file(str(file), undo)
        assert file.exists()
    assert list(tmp_path.iterdir()) == []
    with contextlib.ExitStack() as undo:
        _try_file(str(file), undo)
        undo.pop_all()
    assert file.exists()


def test_what_was_there_or_has_lines_stays(tmp_path: Path) -> None:
    there, written = tmp_path / "there.log", tmp_path / "written.log"
    there.touch()
    with contextlib.ExitStack() as undo:
        _try_file(str(there), undo)
        _try_file(str(written), undo)
        written.write_bytes(b"a line\n")
    assert there.exists()
    assert written.read_bytes() == b"a line\n"


@pytest.mark.parametrize("name", ["no/such/trem.log", "file/trem.log"])
def test_a_file_that_can_not_be_made_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReclogError), contextlib.ExitStack() as undo:
        _try_file(str(tmp_path / name), undo)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
