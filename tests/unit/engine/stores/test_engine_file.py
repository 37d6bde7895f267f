from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import examples
from recorded import held, opened, write
from scripted import Said, ScriptedDisk, fails

from reclog.engine.errors import FileTaken, FileUnusable
from reclog.engine.stores.file import RecordedFile
from reclog.engine.stores.store import PausingStore

# -- appending ----------------------------------------------------------------------------------


def test_texts_are_appended_in_order(recorded: RecordedFile, path: Path) -> None:
    write(recorded, 1, b"one\n")
    recorded.batch.add(2, b"two\n")
    recorded.batch.add(1, b"three\nfour\n")
    assert path.read_bytes() == b"one\n"
    assert recorded.queued == len(b"two\nthree\nfour\n")
    assert recorded.flush()
    assert path.read_bytes() == b"one\ntwo\nthree\nfour\n"
    assert recorded.queued == 0
    assert (recorded.batch.lines, recorded.batch.bytes) == (4, path.stat().st_size)


def test_what_was_there_stays(path: Path) -> None:
    path.write_bytes(b"old\n")
    with opened(path) as recorded:
        write(recorded, 1, b"new\n")
    assert path.read_bytes() == b"old\nnew\n"


def test_a_new_file_is_its_owners_alone(recorded: RecordedFile, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_to_write_touches_nothing(recorded: RecordedFile, path: Path) -> None:
    path.unlink()
    assert recorded.flush()
    assert not path.exists()


def test_a_half_line_at_the_end_is_closed_first(path: Path) -> None:
    path.write_bytes(b"old\nhalf")
    with opened(path) as recorded:
        assert path.read_bytes() == b"old\nhalf"
        write(recorded, 1, b"new\n")
        write(recorded, 1, b"newer\n")
    assert path.read_bytes() == b"old\nhalf\nnew\nnewer\n"


def test_every_byte_arrives_as_sent(recorded: RecordedFile, path: Path) -> None:
    text = bytes(range(256)) + b"\r\n\xff\0\n"
    write(recorded, 1, text)
    assert path.read_bytes() == text


def test_an_open_line_goes_on_for_its_sender(recorded: RecordedFile, path: Path) -> None:
    write(recorded, 1, b"half")
    write(recorded, 1, b" more")
    write(recorded, 1, b" done\n")
    assert path.read_bytes() == b"half more done\n"


def test_an_open_line_is_closed_for_another_sender(recorded: RecordedFile, path: Path) -> None:
    write(recorded, 1, b"half")
    write(recorded, 2, b"other\n")
    write(recorded, 1, b" done\n")
    assert path.read_bytes() == b"half\nother\n done\n"
    assert recorded.batch.lines == 2


def test_stamps_go_before_each_line(recorded: RecordedFile, path: Path) -> None:
    recorded.batch.add(1, b"one\ntwo\nha", b"T1 a ")
    recorded.batch.add(1, b"lf\nthree\n", b"T2 a ")
    recorded.batch.add(2, b"open", b"T2 b ")
    assert recorded.flush()
    write(recorded, 1, b"four\n", b"T3 a ")
    assert path.read_bytes() == b"T1 a one\nT1 a two\nT1 a half\nT2 a three\nT2 b open\nT3 a four\n"
    assert (recorded.batch.lines, recorded.batch.bytes) == (5, len(b"one\ntwo\nhalf\nthree\nopenfour\n"))


def test_a_file_that_we_may_write_but_not_read_gets_a_newline_first(path: Path) -> None:
    path.write_bytes(b"half")
    disk = ScriptedDisk()
    disk.before["open for writing"] = fails(errno.EACCES, 1)
    with opened(path, disk=disk) as recorded:
        write(recorded, 1, b"new\n")
        write(recorded, 1, b"newer\n")
    assert path.read_bytes() == b"half\nnew\nnewer\n"


def test_a_device_takes_all() -> None:
    with opened(Path("/dev/null")) as recorded:
        write(recorded, 1, b"gone\n")
        assert recorded.batch.lines == 1
        with opened(Path("/dev/null")) as second:  # and of as many as like
            write(second, 1, b"gone too\n")


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="it is Linux's")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/stderr", "/dev/fd/0", "/proc/self/cwd/x.log"])
def test_what_means_something_else_in_each_process_is_refused(name: str) -> None:
    with pytest.raises(FileUnusable, match=r"it leads into /proc, .* name another file with --file"):
        RecordedFile(name, Said()).open()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_device_pauses(report: Said) -> None:
    with opened(Path("/dev/full"), report) as recorded:
        recorded.batch.add(1, b"line\n")
        assert not recorded.flush()
        assert not recorded.flush()
        assert recorded.paused == "No space left on device"
        assert recorded.queued == 5
    assert report.events == [("paused", {"reason": "No space left on device"})]


# -- who may write ------------------------------------------------------------------------------


def test_a_file_has_one_writer(recorded: RecordedFile, path: Path) -> None:
    before = held(path.parent)
    with pytest.raises(FileTaken, match=rf"is locked by process {os.getpid()} \(.*, of .*\), as a recording"):
        RecordedFile(str(path), Said()).open()
    assert held(path.parent) == before
    write(recorded, 1, b"line\n")
    recorded.close()
    with opened(path) as second:
        write(second, 1, b"second\n")
    assert path.read_bytes() == b"line\nsecond\n"


def test_another_name_for_the_file_is_the_same_file(recorded: RecordedFile, path: Path) -> None:
    (path.parent / "link.log").symlink_to(path)
    os.link(path, path.parent / "hard.log")
    for name in ("link.log", "hard.log"):
        with pytest.raises(FileTaken):
            RecordedFile(str(path.parent / name), Said()).open()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".", "is a directory: name a file in it"),
        ("none/file.log", "none does not exist: make it"),
        ("a file/file.log", "is not a folder: name another"),
        ("x" * 300, "can't be opened"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(FileUnusable, match=why):
        RecordedFile(str(tmp_path / name), Said()).open()


@pytest.mark.parametrize("read", [True, False])
def test_a_fifo_is_refused_without_waiting(path: Path, read: bool) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if read else -1
    before = held(path.parent)
    with pytest.raises(FileUnusable, match="not a regular file"):
        RecordedFile(str(path), Said()).open()
    assert held(path.parent) == before
    if read:
        os.close(reader)


def test_a_socket_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
        with pytest.raises(FileUnusable, match="not a regular file"):
            RecordedFile(str(path), Said()).open()


def test_a_file_that_we_may_not_write_is_refused(path: Path) -> None:
    disk = ScriptedDisk()
    disk.before["open for writing"] = fails(errno.EACCES)
    with pytest.raises(FileUnusable, match="not writable for you"):
        RecordedFile(str(path), Said(), disk).open()


# -- disks that are full ------------------------------------------------------------------------


@pytest.mark.parametrize("written", range(13))
def test_a_line_that_was_cut_is_completed(
    recorded: RecordedFile, path: Path, report: Said, disk: ScriptedDisk, written: int
) -> None:
    text = b"first\nlast\n\n"
    disk.writes = [*([written] if written else []), *([0, 0] if written < 12 else [])]
    recorded.batch.add(1, text)
    if written < 12:
        assert not recorded.flush()
        assert recorded.paused == "No space left on device"
        assert path.read_bytes() == text[:written]
        assert recorded.queued == 12 - written
        recorded.batch.add(2, b"other\n")
        assert not recorded.flush()
        assert recorded.queued == 18 - written
        assert path.read_bytes() == text[:written]
    else:
        recorded.batch.add(2, b"other\n")
    assert recorded.flush()
    assert recorded.paused == ""
    assert recorded.queued == 0
    assert path.read_bytes() == text + b"other\n"
    assert report.names == (["paused", "resumed"] if written < 12 else [])
    assert recorded.batch.lines == 4


def test_short_writes_are_no_pause(
    recorded: RecordedFile, path: Path, report: Said, disk: ScriptedDisk
) -> None:
    disk.writes = [1] * 20
    write(recorded, 1, b"a line in single bytes\n")
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


@examples(200)
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
        with opened(endless) as recorded:
            for step in steps:
                if step is not None:
                    recorded.batch.add(*step)
            assert recorded.flush()
        disk = ScriptedDisk(*limits)
        with opened(small, report, disk) as recorded:
            for step in [*steps, None]:
                if step is not None:
                    recorded.batch.add(*step)
                elif recorded.flush():
                    assert recorded.paused == ""
                    assert recorded.queued == 0
                else:
                    assert recorded.paused == "No space left on device"
                    assert recorded.queued > 0
                assert endless.read_bytes().startswith(small.read_bytes())
            while disk.writes:
                recorded.flush()
                if recorded.queued == 0:
                    break
            assert recorded.flush()
            assert recorded.paused == ""
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
    store.batch.add(1, text)
    assert store.facts()["last_line"] == shown


def test_what_status_shows(recorded: RecordedFile, disk: ScriptedDisk) -> None:
    assert recorded.facts() == {
        "lines": 0,
        "lines_per_second": 0.0,
        "bytes": 0,
        "paused_for": "",
        "last_line": "",
        "last_line_at": None,
    }
    write(recorded, 1, b"one\ntwo\n")
    facts = recorded.facts()
    assert (facts["lines"], facts["bytes"], facts["last_line"]) == (2, 8, "two")
    assert facts["lines_per_second"] == 2.0
    assert facts["last_line_at"] == recorded.last_time > 0
    disk.writes = [0]
    recorded.batch.add(1, b"three\n")
    recorded.flush()
    assert recorded.facts()["paused_for"] == "No space left on device"
