"""The recorded file as it is cut: what becomes of it, and of what somebody does, or refuses, meanwhile."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from scripted import Said, TurnUntil

from reclog.engine.stores import rotated as rotated_module
from reclog.engine.stores.index.reader import IndexReader
from reclog.engine.stores.pieces import Piece, base, index_folder, journal_of, path_of, pieces
from reclog.engine.stores.retention import Keeping
from reclog.engine.stores.rotated import AGAIN, RotatedFile
from reclog.engine.stores.rotation import NOT_AT_ALL, Rotating
from reclog.engine.system.aside import AtOnce
from reclog.engine.system.disk import DISK, Disk
from reclog.engine.system.loop import Loop

SMALL = Rotating(100)
#: 2026-11-26T04:15:00.123Z.
MOMENT = 1795666500.123


class NoLinks(Disk):
    """A file system without links, as vfat."""

    def link(self, path: str, by: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


class Recording:
    """A recording's folder, its file, and clocks that only a test moves."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "folder"
        self.folder.mkdir()
        self.path = root / "file.log"
        self.said = Said()
        self.time, self.now = MOMENT, 1000.0
        self.loop = Loop(lambda: self.now)
        self.file: RotatedFile
        self.touched: List[object] = []

    def open(self, rotating: Rotating = SMALL, disk: Disk = DISK) -> RotatedFile:
        self.file = RotatedFile(
            self.loop,
            str(self.path),
            str(self.folder),
            self.said,
            rotating,
            disk,
            touched=self.touched.append,
            clock=lambda: self.time,
        )
        self.file.open()
        return self.file

    def write(self, text: bytes, who: str = "10.0.0.1") -> None:
        self.file.batch.add(who, text)
        self.file.batch.note(who, int(self.time * 1000))
        assert self.file.flush()

    def passes(self, seconds: float) -> None:
        """Have time go by, on all clocks."""
        while seconds > 0:
            step = min(seconds, 30.0)
            self.time, self.now, seconds = self.time + step, self.now + step, seconds - step
            self.loop.turn(at_most=0)

    @property
    def pieces(self) -> List[Piece]:
        return pieces(str(self.folder))

    def texts(self) -> List[bytes]:
        """Return what the pieces hold, and the file."""
        paths = [path_of(str(self.path), piece) for piece in self.pieces]
        return [Path(path).read_bytes() for path in [*paths, str(self.path)]]


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    monkeypatch.setattr(rotated_module, "Aside", lambda loop: AtOnce())
    recording = Recording(tmp_path)
    yield recording
    recording.file.close()
    recording.loop.close()


def line(number: int) -> bytes:
    return b"%09d\n" % number


def test_it_is_cut_by_its_size_where_a_message_ends(recording: Recording) -> None:
    recording.open()
    for number in range(25):
        recording.write(line(number))
    assert [len(text) for text in recording.texts()] == [100, 100, 50]
    assert b"".join(recording.texts()) == b"".join(map(line, range(25)))
    assert [(piece.begin, piece.size) for piece in recording.pieces] == [(0, 100), (100, 100)]
    assert base(str(recording.folder)) == recording.file.base == 200
    assert [piece.name for piece in recording.pieces] == [
        "file.20261126T041500.123Z.log",
        "file.20261126T041500.124Z.log",
    ]
    rotated = [facts for event, facts in recording.said.events if event == "rotated"]
    assert rotated[1] == {"piece": recording.pieces[1].name, "bytes": 100, "begin": 100}
    assert recording.said.names == ["rotated", "rotated"]
    facts = recording.file.facts()
    assert (facts["pieces"], facts["pieces_bytes"], facts["rotates_at_bytes"]) == (2, 200, 100)


def test_a_clock_set_back_leaves_names_in_order(recording: Recording) -> None:
    recording.open()
    for number in range(40):
        recording.time -= 3600
        recording.write(line(number))
    names = [piece.name for piece in recording.pieces]
    assert names == sorted(set(names))
    assert len(names) == 4


def test_nobodys_file_is_replaced(recording: Recording) -> None:
    for name in ("file.20261126T041500.123Z.log", "file.20261126T041500.124Z.log.gz"):
        recording.path.with_name(name).write_bytes(b"of somebody")
    recording.open()
    recording.write(line(1) * 10)
    assert recording.pieces[0].name == "file.20261126T041500.125Z.log"
    assert recording.path.with_name("file.20261126T041500.123Z.log").read_bytes() == b"of somebody"


def test_it_is_cut_at_midnight_idle_or_not_and_never_empty(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    recording.open(Rotating(0, True))
    recording.write(b"a\n")
    recording.passes(86400)
    assert recording.texts() == [b"a\n", b""]
    assert recording.pieces[0].name.startswith("file.20261127T0000")
    recording.passes(3 * 86400)
    recording.write(b"b\n")
    assert recording.texts() == [b"a\n", b"b\n"]
    recording.file.close()
    os.utime(recording.path, (recording.time, recording.time))
    recording.passes(86400)  # nobody recorded at midnight
    recording.open(Rotating(0, True))
    recording.passes(1)
    assert recording.texts() == [b"a\n", b"b\n", b""]
    assert recording.file.facts()["rotates_at"] % 86400 == 0


def test_what_can_not_be_cut_waits_and_what_has_to_be_goes_on(recording: Recording) -> None:
    recording.open()
    recording.write(b"half" * 30)
    assert not recording.pieces
    recording.write(b"half" * 20)
    assert recording.touched == ["10.0.0.1"]
    recording.write(b" goes on\n")
    assert recording.texts() == [b"half" * 50, b" goes on\n"]
    recording.file.hold_still(True)
    recording.write(line(1) * 20)
    recording.passes(1)
    assert len(recording.pieces) == 1
    recording.file.hold_still(False)
    recording.passes(1)
    assert len(recording.pieces) == 2
    assert recording.touched == ["10.0.0.1", None]


def test_a_line_that_was_cut_is_closed_for_another_sender(recording: Recording) -> None:
    recording.open()
    recording.write(b"half" * 50)
    recording.write(b"other\n", "10.0.0.2")
    assert recording.texts() == [b"half" * 50, b"\nother\n"]


def test_a_line_that_was_cut_is_closed_by_who_begins_again_and_once(recording: Recording) -> None:
    recording.open()
    recording.write(b"half" * 50)
    recording.file.close()
    recording.open()
    recording.write(b"a\n")
    recording.path.rename(f"{recording.path}.1")
    recording.write(b"b\n")
    os.truncate(recording.path, 0)
    recording.write(b"c\n")
    assert recording.texts() == [b"half" * 50, b"c\n"]
    assert Path(f"{recording.path}.1").read_bytes() == b"\na\n"


@pytest.mark.parametrize("disk", [DISK, NoLinks()])
def test_the_index_goes_with_its_piece(recording: Recording, disk: Disk) -> None:
    recording.open(disk=disk)
    for number in range(23):
        recording.time += 1
        recording.write(line(number), f"10.0.0.{number % 3}")
    recording.file.close()
    folders = [index_folder(str(recording.folder), piece) for piece in recording.pieces]
    paths = [path_of(str(recording.path), piece) for piece in recording.pieces]
    found = []
    for folder, path in [*zip(folders, paths), (str(recording.folder), str(recording.path))]:
        found += list(IndexReader(folder, path).runs(0, os.path.getsize(path)))
    assert [run.sender for run in found] == [f"10.0.0.{number % 3}" for number in range(23)]
    assert b"".join(recording.texts()) == b"".join(map(line, range(23)))


def test_the_new_file_is_like_the_old_one_behind_the_same_link(recording: Recording) -> None:
    there = recording.folder.parent / "there"
    there.mkdir()
    recording.path.symlink_to(there / "real.log")
    (there / "real.log").write_bytes(b"old\n")
    (there / "real.log").chmod(0o640)
    recording.open()
    recording.write(line(1) * 10)
    assert recording.path.is_symlink()
    assert (there / "real.log").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in there.iterdir()) == ["real.20261126T041500.123Z.log", "real.log"]
    assert recording.texts() == [b"old\n" + line(1) * 10, b""]


class Meddling(Disk):
    """Somebody else's logrotate comes right before a call."""

    def __init__(self, path: Path, call: str) -> None:
        self._path, self._call = path, call

    def _meddle(self, call: str) -> None:
        if call == self._call:
            self._call = ""
            self._path.rename(f"{self._path}.1")
            self._path.write_bytes(b"")

    def fdatasync(self, fd: int) -> None:
        self._meddle("fdatasync")
        super().fdatasync(fd)

    def link(self, path: str, by: str) -> None:
        self._meddle("link")
        super().link(path, by)

    def replace(self, path: str, by: str) -> None:
        if by == str(self._path):
            self._meddle("replace")
        super().replace(path, by)


@pytest.mark.parametrize("call", ["fdatasync", "link", "replace"])
def test_somebody_elses_logrotate_loses_nothing(recording: Recording, call: str) -> None:
    recording.open(disk=Meddling(recording.path, call))
    for number in range(25):
        recording.write(line(number))
    recording.file.close()
    texts = recording.texts()
    moved = Path(f"{recording.path}.1")
    if call == "replace":  # our piece was there already: theirs is another name of it
        assert os.path.samefile(moved, path_of(str(recording.path), recording.pieces[0]))
    else:
        texts.insert(0, moved.read_bytes())
    assert b"".join(texts) == b"".join(map(line, range(25)))
    assert {path.suffix for path in recording.path.parent.iterdir()} == {"", ".log", ".1"}


class Full(Disk):
    """A disk on which a call fails for a while."""

    def __init__(self, call: str, ending: str) -> None:
        self.call, self._ending = call, ending

    def _fail(self, call: str, path: str) -> None:
        if call == self.call and path.endswith(self._ending):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._fail("open", path)
        return super().open(path, flags, mode)

    def makedirs(self, path: str) -> None:
        self._fail("makedirs", path)
        super().makedirs(path)

    def link(self, path: str, by: str) -> None:
        self._fail("link", by)
        super().link(path, by)

    def replace(self, path: str, by: str) -> None:
        self._fail("replace", by)
        super().replace(path, by)


@pytest.mark.parametrize(
    ("call", "ending"), [("makedirs", "pieces"), ("open", ".new"), ("link", ".log"), ("replace", "file.log")]
)
def test_what_fails_is_said_once_and_tried_again(recording: Recording, call: str, ending: str) -> None:
    disk = Full(call, ending)
    recording.open(disk=disk)
    for number in range(15):
        recording.write(line(number))
    recording.passes(2 * AGAIN)
    assert recording.said.names == ["not rotated"]
    assert recording.file.facts()["not_rotated"] == "No space left on device"
    assert recording.texts() == [b"".join(map(line, range(15)))]
    disk.call = ""
    recording.passes(2 * AGAIN)
    recording.write(b"more\n")
    assert recording.texts() == [b"".join(map(line, range(15))), b"more\n"]
    assert recording.said.names == ["not rotated", "rotated"]
    assert recording.file.facts()["not_rotated"] == ""
    assert len(list(recording.path.parent.iterdir())) == 3


class Late(Disk):
    """A disk that tells of what went wrong as a file is closed, as a network's does."""

    def close(self, fd: int) -> None:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
        super().close(fd)
        if name.endswith(" (deleted)"):  # it has another name by now
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_pieces_of_which_the_journal_is_lost_are_told_of_and_left_alone(recording: Recording) -> None:
    recording.open()
    for _ in range(2):
        recording.write(b"x" * 99 + b"\n")
        recording.loop.turn(at_most=0)
    names = [piece.name for piece in recording.pieces]
    recording.file.close()
    recording.open().close()
    assert "pieces not listed" not in recording.said.names
    Path(journal_of(str(recording.folder))).unlink()
    recording.path.with_name("file.20261126T041500.123Z.txt").touch()  # somebody's, by its name
    recording.open(SMALL._replace(keeping=Keeping(1)))
    told = [facts for event, facts in recording.said.events if event == "pieces not listed"]
    assert told == [{"pieces": 2, "first": names[0], "last": names[1]}]
    assert all(recording.path.with_name(name).exists() for name in names)


def test_a_cut_is_one_whatever_is_told_as_the_old_file_is_closed(recording: Recording) -> None:
    recording.open(disk=Late())
    recording.write(b"half" * 50)
    recording.write(b" goes on\n")
    assert recording.touched == ["10.0.0.1"]
    assert recording.texts() == [b"half" * 50, b" goes on\n"]


def test_it_can_be_asked_for_while_it_runs_and_undone(recording: Recording) -> None:
    recording.open(NOT_AT_ALL)
    recording.write(line(1) * 20)
    recording.passes(86400)
    assert recording.texts() == [line(1) * 20]
    recording.file.rotate_as(SMALL)
    recording.passes(1)
    assert recording.texts() == [line(1) * 20, b""]
    recording.file.rotate_as(NOT_AT_ALL)
    recording.write(line(2) * 20)
    assert recording.texts() == [line(1) * 20, line(2) * 20]


def test_what_was_cut_is_synced_beside_the_loop(tmp_path: Path, loop: Loop, turn_until: TurnUntil) -> None:
    recording = Recording(tmp_path)
    recording.loop = loop
    recording.open()
    for number in range(12):
        recording.write(line(number))
    turn_until(lambda: bool(recording.pieces))
    recording.write(b"more\n")
    assert b"".join(recording.texts()) == b"".join(map(line, range(12))) + b"more\n"
    recording.write(line(1) * 10)
    recording.file.close()  # while a sync is under way


def test_a_name_that_no_piece_can_have_is_said(recording: Recording) -> None:
    recording.path = recording.path.with_name("n" * 240)
    recording.open()
    recording.write(line(1) * 20)
    assert recording.file.facts()["not_rotated"] == "File name too long"
    assert recording.texts() == [line(1) * 20]


def test_what_is_in_the_way_of_the_new_file_is_nobodys_to_take(recording: Recording) -> None:
    theirs = recording.path.with_name("file.20261126T041500.123Z.log.new")
    theirs.write_bytes(b"of somebody")
    recording.open()
    recording.write(line(1) * 10)
    assert recording.texts() == [line(1) * 10, b""]
    assert theirs.read_bytes() == b"of somebody"
