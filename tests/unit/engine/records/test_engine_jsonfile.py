from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.records.jsonfile import read_json, write_json

VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@examples(50)
@given(value=st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_is_written_is_read(value: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.getbasetemp() / "value.json")
    write_json(path, value)
    assert read_json(path) == value


def test_a_name_that_is_no_text_survives(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.log")
    write_json(str(tmp_path / "state.json"), {"file": name})
    assert os.fsencode(read_json(str(tmp_path / "state.json"))["file"]) == b"caf\xe9.log"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("{}")
    path.chmod(0o644)
    write_json(str(path), {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(str(path), {"long": "x" * 1000})
    with path.open() as reader:
        write_json(str(path), {"short": 1})
        assert json.load(reader) == {"long": "x" * 1000}
    assert read_json(str(path)) == {"short": 1}
    assert os.listdir(tmp_path) == ["state.json"]


def test_it_can_be_had_on_disk_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(fd: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"{os.fstat(fd).st_size} bytes")
        sync(fd)

    def replaced(old: str, new: str) -> None:
        order.append("replaced")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_json(str(tmp_path / "state.json"), {"a": 1}, sync=True)
    assert order == ["8 bytes", "replaced", "folder"]
    monkeypatch.chdir(tmp_path)
    write_json("state.json", {"a": 2}, sync=True)
    assert read_json("state.json") == {"a": 2}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_json(str(path), {"old": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("reclog.engine.system.disk.os.replace", full)
        with pytest.raises(OSError, match="No space left"):
            write_json(str(path), {"new": 1})
    assert read_json(str(path)) == {"old": 1}
    assert os.listdir(tmp_path) == ["state.json"]


def test_what_is_no_json_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(str(path), {"old": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(str(path), {"new": b"bytes"})
    assert read_json(str(path)) == {"old": 1}
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_json(str(tmp_path / "state.json"), {})
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_json(str(tmp_path / "none" / "state.json"), {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"null", b"\xff\xfe", b'{"a": 1} x'])
def test_what_holds_no_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        read_json(str(path))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(str(tmp_path / "state.json"))
