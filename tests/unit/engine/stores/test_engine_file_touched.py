"""What others do to a file that is being recorded to."""

from __future__ import annotations

import errno
import os
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
from reclog.engine.system.disk import Disk
from reclog.engine.system.identity import user_name


def test_a_rotated_file_is_followed_by_a_new_one(recorded: RecordedFile, path: Path, report: Said) -> None:
    write(recorded, 1, b"old\n")
    aside = path.rename(path.with_suffix(".1"))
    write(recorded, 1, b"new\n")
    write(recorded, 1, b"newer\n")
    assert aside.read_bytes() == b"old\n"
    assert path.read_bytes() == b"new\nnewer\n"
    assert report.events == [("file reopened", {"how": "removed"})]


def test_a_replaced_file_is_taken_up(recorded: RecordedFile, path: Path, report: Said) -> None:
    write(recorded, 1, b"old\n")
    aside = path.rename(path.with_suffix(".1"))
    path.write_bytes(b"created half")
    write(recorded, 1, b"new\n")
    assert aside.read_bytes() == b"old\n"
    assert path.read_bytes() == b"created half\nnew\n"
    assert report.events == [("file reopened", {"how": "replaced"})]


def test_a_removed_file_is_made_again(recorded: RecordedFile, path: Path, report: Said) -> None:
    write(recorded, 1, b"old\n")
    path.unlink()
    write(recorded, 1, b"new\n")
    assert path.read_bytes() == b"new\n"
    assert report.names == ["file reopened"]


def test_the_new_file_has_one_writer_too(recorded: RecordedFile, path: Path) -> None:
    path.unlink()
    write(recorded, 1, b"new\n")
    with pytest.raises(FileTaken):
        RecordedFile(str(path), Said()).open()


def test_an_open_line_does_not_go_on_in_another_file(recorded: RecordedFile, path: Path) -> None:
    write(recorded, 1, b"half")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"theirs")
    write(recorded, 1, b" done\n")
    assert path.read_bytes() == b"theirs\n done\n"


def test_a_removed_folder_is_waited_for(tmp_path: Path, report: Said) -> None:
    path = tmp_path / "folder" / "file.log"
    path.parent.mkdir()
    with opened(path, report) as recorded:
        path.unlink()
        path.parent.rmdir()
        recorded.batch.add(1, b"one\n")
        assert not recorded.flush()
        assert recorded.paused == "No such file or directory"
        recorded.batch.add(2, b"two\n")
        assert not recorded.flush()
        path.parent.mkdir()
        assert recorded.flush()
        assert recorded.paused == ""
    assert path.read_bytes() == b"one\ntwo\n"
    assert report.names == ["paused", "file reopened", "resumed"]


def test_a_file_taken_by_another_recording_is_waited_for(recorded: RecordedFile, path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    with opened(path):
        recorded.batch.add(1, b"line\n")
        assert not recorded.flush()
        assert recorded.paused.startswith(f"locked by process {os.getpid()} (")
        assert path.read_bytes() == b""
    assert recorded.flush()
    assert path.read_bytes() == b"line\n"


#: A user's number that is neither ours nor root's.
STRANGER = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="a link is made by another user")
@pytest.mark.parametrize("where", ["at the start", "file", "dangling", "folder", "behind our link"])
def test_a_strangers_link_is_not_written_through(tmp_path: Path, where: str) -> None:
    folder, target = tmp_path / "theirs", tmp_path / "target"
    folder.mkdir()
    target.mkdir()
    victim = target / "file.log"
    link = folder if where == "folder" else folder / "file.log"
    path = tmp_path / "ours.log" if where == "behind our link" else folder / "file.log"
    if path.name == "ours.log":
        path.symlink_to(folder / "file.log")

    def swap() -> None:
        if link.exists():
            link.rename(tmp_path / "aside")
        if where != "dangling":
            victim.write_bytes(b"precious\n")
        link.symlink_to(target if where == "folder" else victim)
        os.lchown(link, STRANGER, STRANGER)

    if where == "at the start":
        swap()
        with pytest.raises(FileUnusable, match=f"is a link of {user_name(STRANGER)}"):
            RecordedFile(str(path), Said()).open()
        return
    before = held(tmp_path)
    with opened(path) as recorded:
        write(recorded, 1, b"one\n")
        swap()
        recorded.batch.add(1, b"two\n")
        assert not recorded.flush()
        assert recorded.paused == f"{link.name} is a link of {user_name(STRANGER)}"
        assert victim.exists() == (where != "dangling")
        link.unlink()
        folder.mkdir(exist_ok=True)
        assert recorded.flush()
    assert (folder / "file.log").read_bytes() == b"two\n"
    assert where == "dangling" or victim.read_bytes() == b"precious\n"
    assert held(tmp_path) == before


def test_a_link_of_ours_is_followed_and_may_be_changed(tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
    (tmp_path / "today").symlink_to("monday")
    path = tmp_path / "file.log"
    path.symlink_to(tmp_path / "today" / "file.log")
    with opened(path) as recorded:
        write(recorded, 1, b"one\n")
        (tmp_path / "today").unlink()
        (tmp_path / "today").symlink_to("../" + tmp_path.name + "/tuesday")
        write(recorded, 1, b"two\n")
    assert (tmp_path / "monday" / "file.log").read_bytes() == b"one\n"
    assert (tmp_path / "tuesday" / "file.log").read_bytes() == b"two\n"


def test_links_without_end_are_refused(path: Path) -> None:
    path.symlink_to(path.name)
    with pytest.raises(FileUnusable, match="Too many levels of symbolic links"):
        RecordedFile(str(path), Said()).open()


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_in_its_place_is_waited_for(recorded: RecordedFile, path: Path, kind: str) -> None:
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    recorded.batch.add(1, b"line\n")
    assert not recorded.flush()
    assert recorded.paused
    if kind == "folder":
        path.rmdir()
    else:
        path.unlink()
    assert recorded.flush()
    assert path.read_bytes() == b"line\n"


def test_an_old_file_that_can_not_be_closed_does_not_lock_us_out(path: Path) -> None:
    # On NFS close(2) tells of writes that failed (EDQUOT, EIO); the descriptor is gone all the same.
    disk = ScriptedDisk()
    disk.before["close"] = fails(errno.EDQUOT, 1)
    with opened(path, disk=disk) as recorded:
        write(recorded, 1, b"old\n")
        path.rename(path.with_suffix(".1"))
        recorded.batch.add(1, b"new\n")
        recorded.flush()
        assert recorded.flush()
        assert "close" in disk.calls
        assert path.read_bytes() == b"new\n"


def test_a_truncated_file_is_gone_on_with(recorded: RecordedFile, path: Path, report: Said) -> None:
    write(recorded, 1, b"old\n")
    os.truncate(path, 0)
    write(recorded, 1, b"new\n")
    assert path.read_bytes() == b"new\n"
    assert report.events == [("file changed", {"how": "truncated", "expected_bytes": 4, "bytes": 0})]


def test_a_file_truncated_inside_a_line_has_it_closed(recorded: RecordedFile, path: Path) -> None:
    write(recorded, 1, b"first\nsecond\n")
    os.truncate(path, 8)
    write(recorded, 1, b"third\n")
    assert path.read_bytes() == b"first\nse\nthird\n"


def test_a_line_that_was_open_before_a_truncation_is_not_closed_after_it(
    recorded: RecordedFile, path: Path
) -> None:
    write(recorded, 1, b"half")
    os.truncate(path, 0)
    write(recorded, 2, b"new\n")
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
    recorded: RecordedFile, path: Path, report: Said, foreign: bytes, merged: bytes
) -> None:
    write(recorded, 1, b"ours\n")
    with path.open("ab") as file:
        file.write(foreign)
    write(recorded, 1, b"next\n")
    assert path.read_bytes() == merged
    grown = 5 + len(foreign)
    assert report.events == [("file changed", {"how": "added to", "expected_bytes": 5, "bytes": grown})]


def test_what_others_add_to_an_open_line_ends_it(recorded: RecordedFile, path: Path) -> None:
    write(recorded, 1, b"half")
    with path.open("ab") as file:
        file.write(b" theirs")
    write(recorded, 1, b"done\n")
    assert path.read_bytes() == b"half theirs\ndone\n"


@pytest.mark.parametrize("written", range(5))
@pytest.mark.parametrize("deed", ["removed", "truncated"])
def test_half_lines_of_many_are_kept_when_the_file_changes(
    recorded: RecordedFile, path: Path, disk: ScriptedDisk, written: int, deed: str
) -> None:
    # Merged, the batch is "a\nb\nc\n": its first newline is added, to keep the first two apart.
    for who, text in enumerate([b"a", b"b\n", b"c\n"]):
        recorded.batch.add(who, text)
    disk.writes = [*([written] if written else []), 0]
    assert not recorded.flush()
    before = path.read_bytes()
    if deed == "removed":
        path.unlink()
    else:
        os.truncate(path, 0)
    assert recorded.flush()
    assert path.read_bytes() == b"a\nb\nc\n"[before.rfind(b"\n") + 1 :]


@pytest.mark.parametrize("written", range(0, 18, 3))
def test_stamped_lines_are_kept_when_the_file_changes(
    recorded: RecordedFile, path: Path, disk: ScriptedDisk, written: int
) -> None:
    recorded.batch.add(1, b"one\ntwo\n", b"T1 a ")
    disk.writes = [*([written] if written else []), 0]
    assert not recorded.flush()
    path.unlink()
    assert recorded.flush()
    assert path.read_bytes() == (b"T1 a one\n" if written < 9 else b"") + b"T1 a two\n"


@pytest.mark.parametrize("written", [0, 1])
def test_a_new_file_does_not_begin_with_the_newline_for_the_old_one(
    recorded: RecordedFile, path: Path, disk: ScriptedDisk, written: int
) -> None:
    write(recorded, 1, b"half")
    recorded.batch.add(2, b"line\n")
    disk.writes = [*([written] if written else []), 0]
    assert not recorded.flush()
    path.rename(path.with_suffix(".1"))
    assert recorded.flush()
    assert path.read_bytes() == b"line\n"


def test_what_is_not_written_is_known_without_what_is_added(
    recorded: RecordedFile, disk: ScriptedDisk
) -> None:
    write(recorded, 1, b"half")
    assert (recorded.batch.unwritten, recorded.size) == (0, 4)
    recorded.batch.add(2, b"line\n")
    assert recorded.batch.unwritten == 5
    for written, left in ((0, 5), (1, 5), (1, 4), (3, 1)):
        disk.writes = [*([written] if written else []), 0]
        assert not recorded.flush()
        assert recorded.batch.unwritten == left
    assert recorded.flush()
    assert (recorded.batch.unwritten, recorded.size) == (0, 10)
    recorded.sync(recorded.fd)


def test_a_half_line_can_be_gone_on_with(path: Path) -> None:
    path.write_bytes(b"old\nhalf")
    with opened(path) as recorded:
        assert recorded.size == 8
        recorded.go_on(1)
        write(recorded, 1, b" done\n")
    assert path.read_bytes() == b"old\nhalf done\n"


def test_who_feeds_it_is_told_before_anything_is_written_behind_a_change(path: Path) -> None:
    told: list[tuple[str, int]] = []

    class Synced(Disk):
        def fdatasync(self, fd: int) -> None:
            told.append(("synced", os.fstat(fd).st_size))

    recorded = RecordedFile(
        str(path), Said(), Synced(), lambda goes_on: told.append(("touched", path.stat().st_size))
    )
    recorded.open()
    write(recorded, 1, b"line\n")
    assert told == []
    os.truncate(path, 2)
    write(recorded, 1, b"next\n")
    assert told == [("touched", 2)]
    path.unlink()
    write(recorded, 1, b"last\n")
    assert told[1:] == [("synced", 8), ("touched", 0)]
    recorded.close()


def test_failing_to_leave_the_old_file_does_not_lock_us_out(path: Path) -> None:
    failures = [OSError(errno.EIO, "Input/output error")]

    class Failing(Disk):
        def fdatasync(self, fd: int) -> None:
            if failures:
                raise failures.pop()

    recorded = RecordedFile(str(path), Said(), Failing())
    recorded.open()
    path.unlink()
    recorded.batch.add(1, b"line\n")
    recorded.flush()
    assert recorded.flush()
    assert path.read_bytes() == b"line\n"
    recorded.close()


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


@examples(200)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from([b"", b"T "])), max_size=3
            ),
            st.lists(st.sampled_from([0, 1, 2, 3, 5, 8, 13]), max_size=3),
            st.sampled_from(["", "", "rotate", "replace", "remove", "truncate", "add_line", "add_half_line"]),
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
        disk = ScriptedDisk()
        with opened(path, disk=disk) as recorded:
            for adds, limits, deed in rounds:
                for who, count, stamp in adds:
                    lines = [b"[%d:%d]\n" % (who, len(sent[who]) + number) for number in range(count)]
                    recorded.batch.add(who, b"".join(lines), stamp)
                    sent[who] += [stamp + line for line in lines]
                disk.writes = [*limits, 0] if limits else []
                recorded.flush()
                disk.writes = []
                if deed and path.exists():
                    getattr(others, deed)()
            assert recorded.flush()
        # The file may be gone: removed, with nothing to write after it.
        others.held += [path.read_bytes()] if path.exists() else []
    whole = [line + b"\n" for text in others.held for line in text.split(b"\n")[:-1]]
    for lines in sent:
        assert [line for line in whole if line in lines] == lines
