"""Fault points: reached once, by one process, and what each does to the operation."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from bench import ROOT, wait_until

from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.system.disk import DISK
from reclog.engine.system.faultpoints import VARIABLE, FaultyDisk, disk


@pytest.fixture
def points(tmp_path: Path) -> Path:
    folder = tmp_path / "points"
    folder.mkdir()
    return folder


def faulty(points: Path) -> FaultyDisk:
    return FaultyDisk(str(points))


def opened(on: FaultyDisk, path: Path) -> int:
    return on.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def test_without_the_variable_there_are_none(monkeypatch: pytest.MonkeyPatch, points: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert disk() is DISK
    (points / "ack.before-send").write_text("fail EIO")
    disk().reach("ack.before-send")
    assert (points / "ack.before-send").exists()
    monkeypatch.setenv(VARIABLE, str(points))
    with pytest.raises(OSError, match="Input/output error"):
        disk().reach("ack.before-send")


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EDQUOT"])
def test_an_operation_fails_once(points: Path, tmp_path: Path, name: str) -> None:
    on, path = faulty(points), tmp_path / "file.log"
    fd = opened(on, path)
    (points / "file.before-write").write_text(f"fail {name}\n")
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))) as raised:
        on.write(fd, b"line\n")
    assert raised.value.errno == getattr(errno, name)
    assert path.read_bytes() == b""
    assert (points / "file.before-write.reached").exists()
    assert on.write(fd, b"line\n") == 5
    assert path.read_bytes() == b"line\n"
    on.close(fd)


def test_a_failure_afterwards_has_happened_all_the_same(points: Path, tmp_path: Path) -> None:
    on, path = faulty(points), tmp_path / "file.log"
    fd = opened(on, path)
    (points / "file.after-write").write_text("fail EIO")
    with pytest.raises(OSError, match="Input/output error"):
        on.write(fd, b"line\n")
    assert path.read_bytes() == b"line\n"
    on.close(fd)


@pytest.mark.parametrize(("bytes_", "taken"), [(3, 3), (0, 1), (500, 5)])
def test_a_write_is_short(points: Path, tmp_path: Path, bytes_: int, taken: int) -> None:
    on, path = faulty(points), tmp_path / "file.log"
    fd = opened(on, path)
    (points / "file.before-write").write_text(f"short {bytes_}")
    assert on.write(fd, b"line\n") == taken
    assert path.read_bytes() == b"line\n"[:taken]
    (points / "file.before-write").write_text(f"short {bytes_}")
    on.write_all(fd, b"more\n")
    assert path.read_bytes() == b"line\n"[:taken] + b"more\n"
    on.close(fd)


def test_points_have_the_names_of_what_is_done(points: Path, tmp_path: Path) -> None:
    on = faulty(points)
    names = [
        *("segment.before-create", "segment.after-create", "segment.before-write", "segment.after-write"),
        *("segment.before-sync", "segment.after-sync", "segment.before-delete", "segment.after-delete"),
        *("state.json.before-create", "state.json.before-write", "state.json.before-sync"),
        *("state.json.before-replace", "state.json.after-replace", "folder.before-sync"),
    ]
    for name in names:
        (points / name).write_text("pass")
    fd = opened(on, tmp_path / "00000000.seg")
    on.write(fd, b"text")
    on.fdatasync(fd)
    on.close(fd)
    on.unlink(str(tmp_path / "00000000.seg"))
    write_json(str(tmp_path / "state.json"), {}, sync=True, disk=on)
    assert {path.name for path in points.iterdir()} == {f"{name}.reached" for name in names}


def test_state_that_can_not_be_replaced_stays(points: Path, tmp_path: Path) -> None:
    on, path = faulty(points), str(tmp_path / "state.json")
    write_json(path, {"number": 1}, disk=on)
    for point in ("before-create", "before-write", "before-sync", "before-replace"):
        (points / f"state.json.{point}").write_text("fail ENOSPC")
        with pytest.raises(OSError, match="No space left"):
            write_json(path, {"number": 2}, sync=True, disk=on)
        assert read_json(path, on) == {"number": 1}
        assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["state.json"]


PROGRAM = """
import os, sys
from reclog.engine.system.faultpoints import disk
on = disk()
fd = on.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
on.write(fd, b"first\\n")
on.write(fd, b"second\\n")
"""


def writer(points: Path, path: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, VARIABLE: str(points)}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], cwd=ROOT, env=env)


@pytest.mark.parametrize(("point", "left"), [("before", b""), ("after", b"first\n")])
def test_a_process_dies_there(points: Path, tmp_path: Path, point: str, left: bytes) -> None:
    path = tmp_path / "file.log"
    (points / f"file.{point}-write").write_text("kill")
    assert writer(points, path).wait(20) == -signal.SIGKILL
    assert path.read_bytes() == left
    assert writer(points, path).wait(20) == 0, "it happens once"
    assert path.read_bytes() == left + b"first\nsecond\n"


def test_a_process_stands_still_there(points: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.log"
    (points / "file.after-write").write_text("stop")
    process = writer(points, path)
    watched = psutil.Process(process.pid)
    wait_until(lambda: watched.status() == psutil.STATUS_STOPPED, 20)
    assert path.read_bytes() == b"first\n"
    watched.resume()
    assert process.wait(20) == 0
    assert path.read_bytes() == b"first\nsecond\n"


def test_one_of_two_processes_gets_there(points: Path, tmp_path: Path) -> None:
    (points / "file.before-write").write_text("kill")
    both = [writer(points, tmp_path / name) for name in ("one.log", "other.log")]
    assert sorted(process.wait(20) for process in both) == [-signal.SIGKILL, 0]
