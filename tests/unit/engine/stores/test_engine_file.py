from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripted import Said, ScriptedDisk, fails

from reclog.engine.errors import FileTaken, FileUnusable
from reclog.engine.stores.file import RecordedFile
from reclog.engine.stores.store import PausingStore
from reclog.engine.system.disk import DISK, Disk


@contextmanager
def opened(path: Path, report: Said | None = None, disk: Disk = DISK) -> Iterator[RecordedFile]:
    sink = RecordedFile(str(path), report or Said(), disk)
    sink.open()
    try:
        yield sink
    finally:
        sink.close()


def write(sink: RecordedFile, who: int, text: bytes, stamp: bytes = b"") -> None:
    sink.add(who, text, stamp)
    assert sink.flush()


# -- appending ----------------------------------------------------------------------------------


def test_texts_are_appended_in_order(sink: RecordedFile, path: Path) -> None:
    write(sink, 1, b"one\n")
    sink.add(2, b"two\n")
    sink.add(1, b"three\nfour\n")
    assert path.read_bytes() == b"one\n"
    assert sink.queued == len(b"two\nthree\nfour\n")
    assert sink.flush()
    assert path.read_bytes() == b"one\ntwo\nthree\nfour\n"
    assert sink.queued == 0
    assert (sink.batch.lines, sink.batch.bytes) == (4, path.stat().st_size)


def test_what_was_there_stays(path: Path) -> None:
    path.write_bytes(b"old\n")
    with opened(path) as sink:
        write(sink, 1, b"new\n")
    assert path.read_bytes() == b"old\nnew\n"


def test_a_new_file_is_its_owners_alone(sink: RecordedFile, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_to_write_touches_nothing(sink: RecordedFile, path: Path) -> None:
    path.unlink()
    assert sink.flush()
    assert not path.exists()


def test_a_half_line_at_the_end_is_closed_first(path: Path) -> None:
    path.write_bytes(b"old\nhalf")
    with opened(path) as sink:
        assert path.read_bytes() == b"old\nhalf"
        write(sink, 1, b"new\n")
        write(sink, 1, b"newer\n")
    assert path.read_bytes() == b"old\nhalf\nnew\nnewer\n"


def test_every_byte_arrives_as_sent(sink: RecordedFile, path: Path) -> None:
    text = bytes(range(256)) + b"\r\n\xff\0\n"
    write(sink, 1, text)
    assert path.read_bytes() == text


def test_an_open_line_goes_on_for_its_sender(sink: RecordedFile, path: Path) -> None:
    write(sink, 1, b"half")
    write(sink, 1, b" more")
    write(sink, 1, b" done\n")
    assert path.read_bytes() == b"half more done\n"


def test_an_open_line_is_closed_for_another_sender(sink: RecordedFile, path: Path) -> None:
    write(sink, 1, b"half")
    write(sink, 2, b"other\n")
    write(sink, 1, b" done\n")
    assert path.read_bytes() == b"half\nother\n done\n"
    assert sink.batch.lines == 2


def test_stamps_go_before_each_line(sink: RecordedFile, path: Path) -> None:
    sink.add(1, b"one\ntwo\nha", b"T1 a ")
    sink.add(1, b"lf\nthree\n", b"T2 a ")
    sink.add(2, b"open", b"T2 b ")
    assert sink.flush()
    write(sink, 1, b"four\n", b"T3 a ")
    assert path.read_bytes() == b"T1 a one\nT1 a two\nT1 a half\nT2 a three\nT2 b open\nT3 a four\n"
    assert (sink.batch.lines, sink.batch.bytes) == (5, len(b"one\ntwo\nhalf\nthree\nopenfour\n"))


def test_a_file_that_we_may_write_but_not_read_gets_a_newline_first(path: Path) -> None:
    path.write_bytes(b"half")
    disk = ScriptedDisk()
    disk.before["open for writing"] = fails(errno.EACCES, 1)
    with opened(path, disk=disk) as sink:
        write(sink, 1, b"new\n")
        write(sink, 1, b"newer\n")
    assert path.read_bytes() == b"half\nnew\nnewer\n"


def test_a_device_takes_all() -> None:
    with opened(Path("/dev/null")) as sink:
        write(sink, 1, b"gone\n")
        assert sink.batch.lines == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_device_pauses(report: Said) -> None:
    with opened(Path("/dev/full"), report) as sink:
        sink.add(1, b"line\n")
        assert not sink.flush()
        assert not sink.flush()
        assert sink.paused == "No space left on device"
        assert sink.queued == 5
    assert report.events == [("paused", {"reason": "No space left on device"})]


# -- who may write ------------------------------------------------------------------------------


def test_a_file_has_one_writer(sink: RecordedFile, path: Path) -> None:
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(FileTaken, match="another recording"):
        RecordedFile(str(path), Said()).open()
    assert sorted(os.listdir("/dev/fd")) == before
    write(sink, 1, b"line\n")
    sink.close()
    with opened(path) as second:
        write(second, 1, b"second\n")
    assert path.read_bytes() == b"line\nsecond\n"


def test_another_name_for_the_file_is_the_same_file(sink: RecordedFile, path: Path) -> None:
    (path.parent / "link.log").symlink_to(path)
    os.link(path, path.parent / "hard.log")
    for name in ("link.log", "hard.log"):
        with pytest.raises(FileTaken):
            RecordedFile(str(path.parent / name), Said()).open()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="is a directory: name a file in it"):
        RecordedFile(str(tmp_path), Said()).open()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="none does not exist: make it"):
        RecordedFile(str(tmp_path / "none" / "file.log"), Said()).open()


def test_a_file_for_a_folder_is_refused(path: Path) -> None:
    path.touch()
    with pytest.raises(FileUnusable, match="is not a folder: name another"):
        RecordedFile(str(path / "file.log"), Said()).open()


@pytest.mark.parametrize("read", [True, False])
def test_a_fifo_is_refused_without_waiting(path: Path, read: bool) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if read else -1
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(FileUnusable, match="not a regular file"):
        RecordedFile(str(path), Said()).open()
    assert sorted(os.listdir("/dev/fd")) == before
    if read:
        os.close(reader)


def test_a_socket_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
        with pytest.raises(FileUnusable, match="not a regular file"):
            RecordedFile(str(path), Said()).open()


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="can't be opened"):
        RecordedFile(str(tmp_path / ("x" * 300)), Said()).open()


def test_a_file_that_we_may_not_write_is_refused(path: Path) -> None:
    disk = ScriptedDisk()
    disk.before["open for writing"] = fails(errno.EACCES)
    with pytest.raises(FileUnusable, match="not writable for you"):
        RecordedFile(str(path), Said(), disk).open()


# -- disks that are full ------------------------------------------------------------------------


@pytest.mark.parametrize("written", range(13))
def test_a_line_that_was_cut_is_completed(
    sink: RecordedFile, path: Path, report: Said, disk: ScriptedDisk, written: int
) -> None:
    text = b"first\nlast\n\n"
    disk.writes = [*([written] if written else []), *([0, 0] if written < 12 else [])]
    sink.add(1, text)
    if written < 12:
        assert not sink.flush()
        assert sink.paused == "No space left on device"
        assert path.read_bytes() == text[:written]
        assert sink.queued == 12 - written
        sink.add(2, b"other\n")
        assert not sink.flush()
        assert sink.queued == 18 - written
        assert path.read_bytes() == text[:written]
    else:
        sink.add(2, b"other\n")
    assert sink.flush()
    assert sink.paused == ""
    assert sink.queued == 0
    assert path.read_bytes() == text + b"other\n"
    assert report.names == (["paused", "resumed"] if written < 12 else [])
    assert sink.batch.lines == 4


def test_short_writes_are_no_pause(sink: RecordedFile, path: Path, report: Said, disk: ScriptedDisk) -> None:
    disk.writes = [1] * 20
    write(sink, 1, b"a line in single bytes\n")
    assert path.read_bytes() == b"a line in single bytes\n"
    assert report.events == []


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.integers(0, 2),
            st.lists(st.sampled_from([b"\n", b"x", b"yy", b"\r\n", b"\xff"]), max_size=5).map(b"".join),
            st.sampled_from([b"", b"", b"T "]),
        ),
        st.none(),  # flush
    ),
    max_size=25,
)
LIMITS = st.lists(st.sampled_from([None, 0, 0, 1, 2, 3, 7]), max_size=40)
BEFORE = st.sampled_from([b"", b"old\n", b"half"])


@settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(before=BEFORE, steps=STEPS, limits=LIMITS)
@example(before=b"half", steps=[(0, b"x", b""), None, (1, b"y\n", b"T "), None], limits=[1, 0, 1, 0, 1, 0, 0])
def test_a_small_disk_gives_what_an_endless_one_gives(
    before: bytes, steps: list[tuple[int, bytes, bytes] | None], limits: list[int | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        small, endless = Path(folder, "small"), Path(folder, "endless")
        small.write_bytes(before)
        endless.write_bytes(before)
        report = Said()
        with opened(endless) as sink:
            for step in steps:
                if step is not None:
                    sink.add(*step)
            assert sink.flush()
        disk = ScriptedDisk(*limits)
        with opened(small, report, disk) as sink:
            for step in [*steps, None]:
                if step is not None:
                    sink.add(*step)
                elif sink.flush():
                    assert sink.paused == ""
                    assert sink.queued == 0
                else:
                    assert sink.paused == "No space left on device"
                    assert sink.queued > 0
                assert endless.read_bytes().startswith(small.read_bytes())
            while disk.writes:
                sink.flush()
                if sink.queued == 0:
                    break
            assert sink.flush()
            assert sink.paused == ""
        assert small.read_bytes() == endless.read_bytes()
        expected = ["paused", "resumed"] * (len(report.names) // 2)
        assert report.names == expected


# -- what is shown of it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"", ""),
        (b"\n", ""),
        (b"one\n", "one"),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"one\r\n", "one"),
        (b"one\n\n", ""),
        (b"caf\xe9\n", "caf\\xe9"),
        ("café\n".encode(), "café"),
        (b"x" * 300 + b"\n", "x" * 200),
    ],
)
def test_the_last_line(text: bytes, shown: str) -> None:
    store = PausingStore(Said())
    store.add(1, text)
    assert store.facts()["last_line"] == shown


def test_what_status_shows(sink: RecordedFile, disk: ScriptedDisk) -> None:
    assert sink.facts() == {
        "lines": 0,
        "bytes": 0,
        "paused_for": "",
        "last_line": "",
        "last_line_at": None,
    }
    write(sink, 1, b"one\ntwo\n")
    facts = sink.facts()
    assert (facts["lines"], facts["bytes"], facts["last_line"]) == (2, 8, "two")
    assert facts["last_line_at"] == sink.last_time > 0
    disk.writes = [0]
    sink.add(1, b"three\n")
    sink.flush()
    assert sink.facts()["paused_for"] == "No space left on device"
