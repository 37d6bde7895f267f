"""What a start leaves of the file to record to."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from reclog.errors import ReclogError
from reclog.recordings.registry import Registry
from reclog.recordings.settings import resolve_tremplin
from reclog.tremplin.start import _refuse_change, _try_file


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


@pytest.mark.parametrize(
    ("flags", "config", "differs"),
    [
        ({}, {}, ""),
        ({"file": "/b.log", "stamp": True, "foreground": True, "take_over": True}, {}, ""),
        ({"listener": "auto"}, {"port": 1}, ""),
        ({"file": "/c.log"}, {}, "--file /b.log"),
        ({"allow": ["10.0.0.0/8"]}, {}, "--allow none"),
        ({}, {"spool_max": "2MiB", "stamp": False}, "--stamp True, --spool-max 1073741824"),
    ],
)
def test_a_call_that_asks_for_something_else_is_no_success(
    tmp_path: Path, flags: dict[str, Any], config: dict[str, Any], differs: str
) -> None:
    began = dataclasses.asdict(resolve_tremplin({"file": "/b.log", "stamp": True}, {}, "trem"))
    facts = {"kind": "tremplin", "host": "trem", **began, "listener": "builtin"}
    running = Registry(tmp_path).new("tremplin-trem-1", facts)
    settings = resolve_tremplin(flags, config, "trem")
    if not differs:
        _refuse_change(running, settings)
        return
    with pytest.raises(
        ReclogError, match=rf"runs with {differs}, and is not changed: `inv kill --host trem`"
    ):
        _refuse_change(running, settings)
