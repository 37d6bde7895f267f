from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reclog.engine.errors import FileTaken, FileUnusable
from reclog.engine.intake.batch import Batch
from reclog.engine.stores.file import Sink, facts_of, last_line
from reclog.engine.system.disk import DISK, Data, Disk

if TYPE_CHECKING:
    Event = tuple[str, dict[str, Any]]
    Open = Callable[[], Sink]


class SmallDisk(Disk):
    """A disk that takes so many bytes in each write: 0 is a full one, None takes all."""

    def __init__(self, *limits: int | None) -> None:
        self.limits = list(limits)

    def write(self, fd: int, data: Data) -> int:
        limit = self.limits.pop(0) if self.limits else None
        if limit == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data if limit is None else data[:limit])


class Report:
    """Hears what a sink reports."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.log"


@pytest.fixture
def report() -> Report:
    return Report()


@pytest.fixture
def sink(path: Path, report: Report, disk: SmallDisk) -> Iterator[Sink]:
    sink = Sink(str(path), report, disk)
    sink.open()
    yield sink
    sink.close()


@pytest.fixture
def disk() -> SmallDisk:
    return SmallDisk()


@contextmanager
def opened(path: Path, report: Report | None = None, disk: Disk = DISK) -> Iterator[Sink]:
    sink = Sink(str(path), report or Report(), disk)
    sink.open()
    try:
        yield sink
    finally:
        sink.close()


def write(sink: Sink, who: int, text: bytes, stamp: bytes = b"") -> None:
    sink.add(who, text, stamp)
    assert sink.flush()


# -- appending ----------------------------------------------------------------------------------


def test_texts_are_appended_in_order(sink: Sink, path: Path) -> None:
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


def test_a_new_file_is_its_owners_alone(sink: Sink, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_to_write_touches_nothing(sink: Sink, path: Path) -> None:
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


def test_every_byte_arrives_as_sent(sink: Sink, path: Path) -> None:
    text = bytes(range(256)) + b"\r\n\xff\0\n"
    write(sink, 1, text)
    assert path.read_bytes() == text


def test_an_open_line_goes_on_for_its_sender(sink: Sink, path: Path) -> None:
    write(sink, 1, b"half")
    write(sink, 1, b" more")
    write(sink, 1, b" done\n")
    assert path.read_bytes() == b"half more done\n"


def test_an_open_line_is_closed_for_another_sender(sink: Sink, path: Path) -> None:
    write(sink, 1, b"half")
    write(sink, 2, b"other\n")
    write(sink, 1, b" done\n")
    assert path.read_bytes() == b"half\nother\n done\n"
    assert sink.batch.lines == 2


def test_stamps_go_before_each_line(sink: Sink, path: Path) -> None:
    sink.add(1, b"one\ntwo\nha", b"T1 a ")
    sink.add(1, b"lf\nthree\n", b"T2 a ")
    sink.add(2, b"open", b"T2 b ")
    assert sink.flush()
    write(sink, 1, b"four\n", b"T3 a ")
    assert path.read_bytes() == b"T1 a one\nT1 a two\nT1 a half\nT2 a three\nT2 b open\nT3 a four\n"
    assert (sink.batch.lines, sink.batch.bytes) == (5, len(b"one\ntwo\nhalf\nthree\nopenfour\n"))


def test_a_file_that_we_may_write_but_not_read_gets_a_newline_first(path: Path) -> None:
    path.write_bytes(b"half")

    class WriteOnly(Disk):
        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if flags & os.O_RDWR:
                raise PermissionError(errno.EACCES, "Permission denied")
            return super().open(path, flags, mode)

    with opened(path, disk=WriteOnly()) as sink:
        write(sink, 1, b"new\n")
        write(sink, 1, b"newer\n")
    assert path.read_bytes() == b"half\nnew\nnewer\n"


def test_a_device_takes_all() -> None:
    with opened(Path("/dev/null")) as sink:
        write(sink, 1, b"gone\n")
        assert sink.batch.lines == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_device_pauses(report: Report) -> None:
    with opened(Path("/dev/full"), report) as sink:
        sink.add(1, b"line\n")
        assert not sink.flush()
        assert not sink.flush()
        assert sink.paused == "No space left on device"
        assert sink.queued == 5
    assert report.events == [("paused", {"reason": "No space left on device"})]


# -- who may write ------------------------------------------------------------------------------


def test_a_file_has_one_writer(sink: Sink, path: Path) -> None:
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(FileTaken, match="another recording"):
        Sink(str(path), Report()).open()
    assert sorted(os.listdir("/dev/fd")) == before
    write(sink, 1, b"line\n")
    sink.close()
    with opened(path) as second:
        write(second, 1, b"second\n")
    assert path.read_bytes() == b"line\nsecond\n"


def test_another_name_for_the_file_is_the_same_file(sink: Sink, path: Path) -> None:
    (path.parent / "link.log").symlink_to(path)
    os.link(path, path.parent / "hard.log")
    for name in ("link.log", "hard.log"):
        with pytest.raises(FileTaken):
            Sink(str(path.parent / name), Report()).open()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="is a directory: name a file in it"):
        Sink(str(tmp_path), Report()).open()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="none does not exist: make it"):
        Sink(str(tmp_path / "none" / "file.log"), Report()).open()


def test_a_file_for_a_folder_is_refused(path: Path) -> None:
    path.touch()
    with pytest.raises(FileUnusable, match="is not a folder: name another"):
        Sink(str(path / "file.log"), Report()).open()


@pytest.mark.parametrize("read", [True, False])
def test_a_fifo_is_refused_without_waiting(path: Path, read: bool) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if read else -1
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(FileUnusable, match="not a regular file"):
        Sink(str(path), Report()).open()
    assert sorted(os.listdir("/dev/fd")) == before
    if read:
        os.close(reader)


def test_a_socket_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
        with pytest.raises(FileUnusable, match="not a regular file"):
            Sink(str(path), Report()).open()


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="can't be opened"):
        Sink(str(tmp_path / ("x" * 300)), Report()).open()


def test_a_file_that_we_may_not_write_is_refused(path: Path) -> None:
    class NotOurs(Disk):
        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(FileUnusable, match="not writable for you"):
        Sink(str(path), Report(), NotOurs()).open()


# -- what others do to the file -----------------------------------------------------------------


def test_a_rotated_file_is_followed_by_a_new_one(sink: Sink, path: Path, report: Report) -> None:
    write(sink, 1, b"old\n")
    aside = path.rename(path.with_suffix(".1"))
    write(sink, 1, b"new\n")
    write(sink, 1, b"newer\n")
    assert aside.read_bytes() == b"old\n"
    assert path.read_bytes() == b"new\nnewer\n"
    assert report.events == [("file reopened", {"how": "removed"})]


def test_a_replaced_file_is_taken_up(sink: Sink, path: Path, report: Report) -> None:
    write(sink, 1, b"old\n")
    aside = path.rename(path.with_suffix(".1"))
    path.write_bytes(b"created half")
    write(sink, 1, b"new\n")
    assert aside.read_bytes() == b"old\n"
    assert path.read_bytes() == b"created half\nnew\n"
    assert report.events == [("file reopened", {"how": "replaced"})]


def test_a_removed_file_is_made_again(sink: Sink, path: Path, report: Report) -> None:
    write(sink, 1, b"old\n")
    path.unlink()
    write(sink, 1, b"new\n")
    assert path.read_bytes() == b"new\n"
    assert report.names == ["file reopened"]


def test_the_new_file_has_one_writer_too(sink: Sink, path: Path) -> None:
    path.unlink()
    write(sink, 1, b"new\n")
    with pytest.raises(FileTaken):
        Sink(str(path), Report()).open()


def test_an_open_line_does_not_go_on_in_another_file(sink: Sink, path: Path) -> None:
    write(sink, 1, b"half")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"theirs")
    write(sink, 1, b" done\n")
    assert path.read_bytes() == b"theirs\n done\n"


def test_a_removed_folder_is_waited_for(tmp_path: Path, report: Report) -> None:
    path = tmp_path / "folder" / "file.log"
    path.parent.mkdir()
    with opened(path, report) as sink:
        path.unlink()
        path.parent.rmdir()
        sink.add(1, b"one\n")
        assert not sink.flush()
        assert sink.paused == "No such file or directory"
        sink.add(2, b"two\n")
        assert not sink.flush()
        path.parent.mkdir()
        assert sink.flush()
        assert sink.paused == ""
    assert path.read_bytes() == b"one\ntwo\n"
    assert report.names == ["paused", "file reopened", "resumed"]


def test_a_file_taken_by_another_recording_is_waited_for(sink: Sink, path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    with opened(path):
        sink.add(1, b"line\n")
        assert not sink.flush()
        assert sink.paused
        assert path.read_bytes() == b""
    assert sink.flush()
    assert path.read_bytes() == b"line\n"


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_in_its_place_is_waited_for(sink: Sink, path: Path, kind: str) -> None:
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    sink.add(1, b"line\n")
    assert not sink.flush()
    assert sink.paused
    if kind == "folder":
        path.rmdir()
    else:
        path.unlink()
    assert sink.flush()
    assert path.read_bytes() == b"line\n"


def test_an_old_file_that_can_not_be_closed_does_not_lock_us_out(path: Path) -> None:
    # On NFS close(2) tells of writes that failed (EDQUOT, EIO); the descriptor is gone all the same.
    failures = [OSError(errno.EDQUOT, "Disk quota exceeded")]

    class Network(Disk):
        def close(self, fd: int) -> None:
            super().close(fd)
            if failures:
                raise failures.pop()

    with opened(path, disk=Network()) as sink:
        write(sink, 1, b"old\n")
        path.rename(path.with_suffix(".1"))
        sink.add(1, b"new\n")
        sink.flush()
        assert sink.flush()
        assert not failures
        assert path.read_bytes() == b"new\n"


def test_a_truncated_file_is_gone_on_with(sink: Sink, path: Path, report: Report) -> None:
    write(sink, 1, b"old\n")
    os.truncate(path, 0)
    write(sink, 1, b"new\n")
    assert path.read_bytes() == b"new\n"
    assert report.events == [("file changed", {"how": "truncated", "expected_bytes": 4, "bytes": 0})]


def test_a_file_truncated_inside_a_line_has_it_closed(sink: Sink, path: Path) -> None:
    write(sink, 1, b"first\nsecond\n")
    os.truncate(path, 8)
    write(sink, 1, b"third\n")
    assert path.read_bytes() == b"first\nse\nthird\n"


def test_a_line_that_was_open_before_a_truncation_is_not_closed_after_it(sink: Sink, path: Path) -> None:
    write(sink, 1, b"half")
    os.truncate(path, 0)
    write(sink, 2, b"new\n")
    assert path.read_bytes() == b"new\n"


@pytest.mark.parametrize(
    ("foreign", "merged"),
    [
        (b"theirs\n", b"ours\ntheirs\nnext\n"),
        (b"theirs", b"ours\ntheirs\nnext\n"),
        (b"\n", b"ours\n\nnext\n"),
    ],
)
def test_what_others_add_keeps_its_own_line(
    sink: Sink, path: Path, report: Report, foreign: bytes, merged: bytes
) -> None:
    write(sink, 1, b"ours\n")
    with path.open("ab") as file:
        file.write(foreign)
    write(sink, 1, b"next\n")
    assert path.read_bytes() == merged
    grown = 5 + len(foreign)
    assert report.events == [("file changed", {"how": "added to", "expected_bytes": 5, "bytes": grown})]


def test_what_others_add_to_an_open_line_ends_it(sink: Sink, path: Path) -> None:
    write(sink, 1, b"half")
    with path.open("ab") as file:
        file.write(b" theirs")
    write(sink, 1, b"done\n")
    assert path.read_bytes() == b"half theirs\ndone\n"


# -- disks that are full ------------------------------------------------------------------------


@pytest.mark.parametrize("written", range(13))
def test_a_line_that_was_cut_is_completed(
    sink: Sink, path: Path, report: Report, disk: SmallDisk, written: int
) -> None:
    text = b"first\nlast\n\n"
    disk.limits = [*([written] if written else []), *([0, 0] if written < 12 else [])]
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


def test_short_writes_are_no_pause(sink: Sink, path: Path, report: Report, disk: SmallDisk) -> None:
    disk.limits = [1] * 20
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
        report = Report()
        with opened(endless) as sink:
            for step in steps:
                if step is not None:
                    sink.add(*step)
            assert sink.flush()
        disk = SmallDisk(*limits)
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
            while disk.limits:
                sink.flush()
                if sink.queued == 0:
                    break
            assert sink.flush()
            assert sink.paused == ""
        assert small.read_bytes() == endless.read_bytes()
        expected = ["paused", "resumed"] * (len(report.names) // 2)
        assert report.names == expected


@pytest.mark.parametrize("written", range(5))
@pytest.mark.parametrize("deed", ["removed", "truncated"])
def test_half_lines_of_many_are_kept_when_the_file_changes(
    sink: Sink, path: Path, disk: SmallDisk, written: int, deed: str
) -> None:
    # Merged, the batch is "a\nb\nc\n": its first newline is added, to keep the first two apart.
    for who, text in enumerate([b"a", b"b\n", b"c\n"]):
        sink.add(who, text)
    disk.limits = [*([written] if written else []), 0]
    assert not sink.flush()
    before = path.read_bytes()
    if deed == "removed":
        path.unlink()
    else:
        os.truncate(path, 0)
    assert sink.flush()
    assert path.read_bytes() == b"a\nb\nc\n"[before.rfind(b"\n") + 1 :]


@pytest.mark.parametrize("written", range(0, 18, 3))
def test_stamped_lines_are_kept_when_the_file_changes(
    sink: Sink, path: Path, disk: SmallDisk, written: int
) -> None:
    sink.add(1, b"one\ntwo\n", b"T1 a ")
    disk.limits = [*([written] if written else []), 0]
    assert not sink.flush()
    path.unlink()
    assert sink.flush()
    assert path.read_bytes() == (b"T1 a one\n" if written < 9 else b"") + b"T1 a two\n"


@pytest.mark.parametrize("written", [0, 1])
def test_a_new_file_does_not_begin_with_the_newline_for_the_old_one(
    sink: Sink, path: Path, disk: SmallDisk, written: int
) -> None:
    write(sink, 1, b"half")
    sink.add(2, b"line\n")
    disk.limits = [*([written] if written else []), 0]
    assert not sink.flush()
    path.rename(path.with_suffix(".1"))
    assert sink.flush()
    assert path.read_bytes() == b"line\n"


def test_what_is_not_written_is_known_without_what_is_added(sink: Sink, disk: SmallDisk) -> None:
    write(sink, 1, b"half")
    assert (sink.unwritten, sink.size) == (0, 4)
    sink.add(2, b"line\n")
    assert sink.unwritten == 5
    for written, left in ((0, 5), (1, 5), (1, 4), (3, 1)):
        disk.limits = [*([written] if written else []), 0]
        assert not sink.flush()
        assert sink.unwritten == left
    assert sink.flush()
    assert (sink.unwritten, sink.size) == (0, 10)
    sink.sync()


def test_a_half_line_can_be_gone_on_with(path: Path) -> None:
    path.write_bytes(b"old\nhalf")
    with opened(path) as sink:
        assert sink.size == 8
        sink.go_on(1)
        write(sink, 1, b" done\n")
    assert path.read_bytes() == b"old\nhalf done\n"


def test_who_feeds_it_is_told_before_anything_is_written_behind_a_change(sink: Sink, path: Path) -> None:
    told: list[tuple[str, int]] = []
    sink.on_touched = lambda: told.append(("touched", path.stat().st_size))
    sink.before_leaving = lambda fd: told.append(("leaving", os.fstat(fd).st_size))
    write(sink, 1, b"line\n")
    assert told == []
    os.truncate(path, 2)
    write(sink, 1, b"next\n")
    assert told == [("touched", 2)]
    path.unlink()
    write(sink, 1, b"last\n")
    assert told[1:] == [("leaving", 8), ("touched", 0)]


def test_failing_to_leave_the_old_file_does_not_lock_us_out(sink: Sink, path: Path) -> None:
    failures = [OSError(errno.EIO, "Input/output error")]

    def leave(fd: int) -> None:
        if failures:
            raise failures.pop()

    sink.before_leaving = leave
    path.unlink()
    sink.add(1, b"line\n")
    sink.flush()
    assert sink.flush()
    assert path.read_bytes() == b"line\n"


class Others:
    """What others do to a file that is being recorded to, and all that it ever held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: list[bytes] = []
        self.marks = 0

    def rotate(self) -> None:
        self.held.append(self.path.read_bytes())
        self.path.rename(self.path.with_suffix(f".{len(self.held)}"))

    def replace(self) -> None:
        self.rotate()
        self.path.write_bytes(self._mark())

    def remove(self) -> None:
        self.held.append(self.path.read_bytes())
        self.path.unlink()

    def truncate(self) -> None:
        self.held.append(self.path.read_bytes())
        os.truncate(self.path, 0)

    def add_line(self) -> None:
        with self.path.open("ab") as file:
            file.write(self._mark() + b"\n")

    def add_half_line(self) -> None:
        with self.path.open("ab") as file:
            file.write(self._mark())

    def _mark(self) -> bytes:
        self.marks += 1
        return b"<theirs %d>" % self.marks


@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from([b"", b"T "])), max_size=3
            ),
            st.lists(st.sampled_from([0, 1, 2, 3, 5, 8, 13]), max_size=3),
            st.sampled_from(
                ["", "", "rotate", "replace", "remove", "truncate", "add_line", "add_half_line"],
            ),
        ),
        max_size=12,
    )
)
@example(
    rounds=[([(0, 3, b"")], [8, 0], "rotate"), ([(1, 1, b"")], [2, 0], "add_half_line"), ([], [], "truncate")]
)
@example(rounds=[([(0, 3, b"T ")], [2, 0], "remove")])
def test_each_line_is_whole_and_once_whatever_others_do(
    rounds: list[tuple[list[tuple[int, int, bytes]], list[int], str]],
) -> None:
    sent: list[list[bytes]] = [[], [], []]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.log")
        others = Others(path)
        disk = SmallDisk()
        with opened(path, disk=disk) as sink:
            for adds, limits, deed in rounds:
                for who, count, stamp in adds:
                    lines = [b"[%d:%d]\n" % (who, len(sent[who]) + number) for number in range(count)]
                    sink.add(who, b"".join(lines), stamp)
                    sent[who] += [stamp + line for line in lines]
                disk.limits = [*limits, 0] if limits else []
                sink.flush()
                disk.limits = []
                if deed and path.exists():
                    getattr(others, deed)()
            assert sink.flush()
        # The file may be gone: removed, with nothing to write after it.
        others.held += [path.read_bytes()] if path.exists() else []
    whole = [line + b"\n" for text in others.held for line in text.split(b"\n")[:-1]]
    for lines in sent:
        assert [line for line in whole if line in lines] == lines


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
    batch = Batch()
    batch.add(1, text)
    assert last_line(batch) == shown


def test_what_status_shows(sink: Sink, disk: SmallDisk) -> None:
    assert facts_of(sink) == {
        "lines": 0,
        "bytes": 0,
        "paused_for": "",
        "last_line": "",
        "last_line_at": None,
    }
    write(sink, 1, b"one\ntwo\n")
    facts = facts_of(sink)
    assert (facts["lines"], facts["bytes"], facts["last_line"]) == (2, 8, "two")
    assert facts["last_line_at"] == sink.last_time > 0
    disk.limits = [0]
    sink.add(1, b"three\n")
    sink.flush()
    assert facts_of(sink)["paused_for"] == "No space left on device"
