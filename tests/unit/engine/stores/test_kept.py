"""What becomes of pieces: those that are too many go, others are compressed, nobody else's is touched."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from scripted import Said

from reclog.engine.stores.kept import LOOK_EVERY, Kept
from reclog.engine.stores.packing import bytes_on_disk, compress
from reclog.engine.stores.pieces import Journal, Piece, index_folder, path_of, read
from reclog.engine.stores.retention import Keeping
from reclog.engine.system.aside import AtOnce
from reclog.engine.system.disk import DISK, Data, Disk
from reclog.engine.system.loop import Loop

TEXT = b"0123456789 some text\n" * 5_000
SIZE = len(TEXT)


class Recording:
    """A recording's folder with pieces, and clocks that only a test moves."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "folder"
        self.folder.mkdir()
        self.file = root / "file.log"
        self.file.touch()
        self.said = Said()
        self.time, self.now, self.takes = 1000.0, 1000.0, 0
        self.loop = Loop(lambda: self.now)
        self.journal = Journal(str(self.folder))

    def add(self, text: bytes = TEXT) -> Piece:
        """Have one more piece, with an index of a hundred bytes."""
        number = len(self.journal.listed.pieces) + len(self.journal.listed.gone)
        plain = self.file.with_name(f"file.{number}.log")
        plain.write_bytes(text)
        begin = self.journal.listed.base
        piece = Piece(plain.name, begin, len(text), int(self.time * 1000), plain.stat().st_ino)
        self.journal.begin(piece, str(self.file))
        self.journal.made()
        Path(index_folder(str(self.folder), piece)).mkdir()
        Path(index_folder(str(self.folder), piece), "index.heads").write_bytes(b"i" * 100)
        return piece

    def kept(self, keeping: Keeping, disk: Disk = DISK) -> Kept:
        kept = Kept(
            self.loop,
            str(self.folder),
            self.journal,
            self.said,
            lambda: self.takes,
            disk,
            clock=lambda: self.time,
            aside=AtOnce(),
        )
        kept.keep(keeping)
        return kept

    def passes(self, seconds: float) -> None:
        self.time, self.now = self.time + seconds, self.now + seconds
        self.loop.turn(at_most=0)

    def events(self, event: str) -> List[Dict[str, Any]]:
        return [facts for said, facts in self.said.events if said == event]

    def there(self) -> List[str]:
        return sorted(path.name for path in self.file.parent.glob("file.*.*"))

    def restarted(self) -> None:
        self.journal = Journal(str(self.folder))


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


@pytest.mark.parametrize(
    ("keeping", "left"),
    [
        (Keeping(), 5),
        (Keeping(pieces=3), 3),
        (Keeping(pieces=9), 5),
        (Keeping(bytes=2 * (SIZE + 100)), 2),
        (Keeping(bytes=2 * (SIZE + 100) - 1), 1),  # the index counts
        (Keeping(bytes=1), 0),
        (Keeping(seconds=25), 2),
        (Keeping(pieces=4, bytes=3 * (SIZE + 100), seconds=25), 2),
        (Keeping(pieces=1, bytes=3 * (SIZE + 100), seconds=25), 1),
    ],
)
def test_the_strictest_bound_counts_and_the_oldest_go(
    recording: Recording, keeping: Keeping, left: int
) -> None:
    for _ in range(5):
        recording.add()
        recording.time += 10
    recording.kept(keeping)
    names = [f"file.{number}.log" for number in range(5)]
    assert recording.there() == names[5 - left :]
    assert [piece.name for piece in recording.journal.listed.pieces] == names[5 - left :]
    assert [event["piece"] for event in recording.events("piece removed")] == names[: 5 - left]
    indexes = [path.name for path in (recording.folder / "pieces").iterdir() if path.is_dir()]
    assert sorted(indexes) == names[5 - left :]


def test_the_file_counts_too_and_bounds_are_looked_at_by_the_clock(recording: Recording) -> None:
    recording.add()
    kept = recording.kept(Keeping(bytes=2 * SIZE, seconds=1000))
    recording.takes = SIZE
    recording.passes(LOOK_EVERY + 1)
    assert recording.there() == []
    recording.takes = 0
    recording.add()
    recording.passes(1001)
    assert (recording.there(), kept.facts()["pieces_removed"]) == ([], 2)


def test_pieces_are_compressed_whole_and_what_they_were_is_gone(recording: Recording) -> None:
    pieces = [recording.add(TEXT * number) for number in (1, 30)]
    (recording.file.parent / pieces[0].name).chmod(0o640)
    kept = recording.kept(Keeping(compress=True))
    assert recording.there() == ["file.0.log.gz", "file.1.log.gz"]
    path = Path(path_of(str(recording.file), pieces[1]))
    assert gzip.decompress(path.read_bytes()) == TEXT * 30
    assert path.with_name("file.0.log.gz").stat().st_mode & 0o777 == 0o640
    events = recording.events("piece compressed")
    assert [(event["piece"], event["bytes"]) for event in events] == [
        ("file.1.log", 30 * SIZE),
        ("file.0.log", SIZE),
    ]
    assert events[0]["to_bytes"] == path.stat().st_size + 100
    recording.takes = 10**9
    kept.keep(Keeping(bytes=10**9, compress=True))
    assert recording.there() == []


@pytest.mark.parametrize("where", ["", ".gz", ".gz.tmp"])
@pytest.mark.parametrize("keeping", [Keeping(compress=True), Keeping(bytes=1)])
def test_nobody_elses_file_is_overwritten_or_removed(
    recording: Recording, where: str, keeping: Keeping
) -> None:
    piece = recording.add()
    theirs = recording.file.with_name(piece.name + where)
    if not where:
        theirs.rename(theirs.with_name("moved"))
    theirs.write_bytes(gzip.compress(TEXT))
    recording.kept(keeping)
    assert gzip.decompress(theirs.read_bytes()) == TEXT
    assert len(recording.events("pieces not compressed")) == (1 if where and keeping.compress else 0)


def test_a_piece_that_grew_a_name_by_hand_is_theirs(recording: Recording) -> None:
    piece = recording.add()
    plain = recording.file.with_name(piece.name)
    plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(TEXT))
    plain.unlink()
    recording.kept(Keeping(bytes=1))
    assert (recording.there(), recording.journal.listed.pieces) == (["file.0.log.gz"], [])


class Fails(Disk):
    """A disk on which one operation fails, each time, or once; or dies there, as a kill does."""

    def __init__(self, operation: str, number: int, error: Callable[[], BaseException]) -> None:
        self.left = {operation: number}
        self.error = error
        self.done: Dict[str, int] = {}

    def _reach(self, operation: str) -> None:
        self.done[operation] = self.done.get(operation, 0) + 1
        if self.left.get(operation) == self.done[operation]:
            raise self.error()

    def write(self, fd: int, data: Data) -> int:
        self._reach("write")
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._reach("fsync")
        super().fsync(fd)

    def fdatasync(self, fd: int) -> None:
        self._reach("fdatasync")
        super().fdatasync(fd)

    def link(self, path: str, by: str) -> None:
        self._reach("link")
        super().link(path, by)
        self._reach("linked")

    def unlink(self, path: str) -> None:
        self._reach("unlink")
        super().unlink(path)
        self._reach("unlinked")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("keeping", [Keeping(compress=True), Keeping(bytes=SIZE // 2, compress=True)])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("operation", ["write", "fsync", "link", "linked", "unlink", "unlinked", "fdatasync"])
def test_a_kill_anywhere_leaves_one_of_each_piece_and_nothing_else(
    recording: Recording, operation: str, number: int, keeping: Keeping
) -> None:
    for _ in range(2):
        recording.add()
    disk = Fails(operation, number, Killed)
    try:
        recording.journal = Journal(str(recording.folder), disk)
        recording.kept(keeping, disk)
    except Killed:
        pass
    recording.restarted()
    for piece in recording.journal.listed.pieces:
        assert path_of(str(recording.file), piece)
    recording.kept(keeping)
    left = [] if keeping.bytes else ["file.0.log.gz", "file.1.log.gz"]
    assert recording.there() == left
    assert [f"{piece.name}.gz" for piece in recording.journal.listed.pieces] == left
    for name in left:
        assert gzip.decompress(recording.file.with_name(name).read_bytes()) == TEXT


def test_without_compress_what_was_half_compressed_is_mended(recording: Recording) -> None:
    for _ in range(2):
        recording.add()
    with pytest.raises(Killed):
        recording.kept(Keeping(compress=True), Fails("linked", 1, Killed))
    assert recording.there() == ["file.0.log", "file.1.log", "file.1.log.gz", "file.1.log.gz.tmp"]
    recording.restarted()
    recording.kept(Keeping())
    assert recording.there() == ["file.0.log", "file.1.log.gz"]


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_what_is_too_much_goes_although_nothing_can_be_noted(recording: Recording) -> None:
    for _ in range(3):
        recording.add()
    disk = Fails("write", 1, full)
    recording.journal = Journal(str(recording.folder), disk)
    recording.kept(Keeping(pieces=1), disk)
    assert recording.there() == ["file.2.log"]
    assert [piece.name for piece in read(str(recording.folder)).pieces] == ["file.2.log"]


def test_what_is_removed_is_not_looked_for_at_the_next_start(recording: Recording) -> None:
    for _ in range(3):
        recording.add()
    recording.kept(Keeping(pieces=1))
    recording.restarted()
    assert recording.journal.listed.gone == []
    assert [piece.name for piece in recording.journal.listed.pieces] == ["file.2.log"]


def test_one_that_can_not_be_removed_holds_up_no_other(recording: Recording) -> None:
    for _ in range(4):
        recording.add()
    disk = Fails("unlink", 1, lambda: OSError(errno.EPERM, os.strerror(errno.EPERM)))
    recording.kept(Keeping(pieces=1), disk)
    assert recording.there() == ["file.0.log", "file.3.log"]
    assert [event["reason"] for event in recording.events("pieces not removed")] == [
        "Operation not permitted"
    ]
    recording.restarted()
    recording.kept(Keeping(pieces=1))
    assert recording.there() == ["file.3.log"]


def test_on_a_full_disk_nothing_is_compressed_until_there_is_room(recording: Recording) -> None:
    recording.add()
    disk = Fails("write", 1, full)
    recording.kept(Keeping(compress=True), disk)
    assert recording.there() == ["file.0.log"]
    (event,) = recording.events("pieces not compressed")
    assert event["reason"] == "No space left on device"
    recording.passes(LOOK_EVERY + 1)
    assert recording.there() == ["file.0.log.gz"]


def test_on_a_file_system_without_links_nothing_is_overwritten_either(recording: Recording) -> None:
    disk = Fails("link", 1, lambda: OSError(errno.EPERM, ""))
    recording.add()
    recording.kept(Keeping(compress=True), disk)
    assert recording.there() == ["file.0.log.gz"]
    second, disk.done = recording.add(), {}
    recording.file.with_name(f"{second.name}.gz").write_bytes(b"theirs")
    recording.kept(Keeping(compress=True), disk)
    assert recording.file.with_name(f"{second.name}.gz").read_bytes() == b"theirs"


def test_a_stop_leaves_no_more_than_is_to_be_kept(recording: Recording) -> None:
    kept = recording.kept(Keeping(pieces=1))
    for _ in range(3):
        recording.add()
    kept.close()
    assert recording.there() == ["file.2.log"]


class AddedTo(Disk):
    """A disk on which somebody adds to a file right before another is synced, or before all else."""

    def __init__(self, path: Path, at_once: bool) -> None:
        self._path = path
        if at_once:
            self.fsync(-1)

    def fsync(self, fd: int) -> None:
        if fd < 0 or self._path.stat().st_size == SIZE:
            with open(self._path, "ab") as file:
                file.write(b"of somebody who had it open\n")
        if fd >= 0:
            super().fsync(fd)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_piece_that_somebody_added_to_stays_plain(recording: Recording, at_once: bool) -> None:
    plain = recording.file.with_name(recording.add().name)
    recording.kept(Keeping(compress=True), AddedTo(plain, at_once))
    recording.restarted()
    recording.kept(Keeping(compress=True))
    assert plain.read_bytes() == TEXT + b"of somebody who had it open\n"
    recording.kept(Keeping(bytes=1))
    assert recording.there() == []


def test_a_compression_is_given_up_and_leaves_nothing(recording: Recording) -> None:
    piece = recording.add()
    with pytest.raises(InterruptedError):
        compress(str(recording.file), piece, DISK, lambda: True)
    assert recording.there() == ["file.0.log"]
    assert bytes_on_disk(str(recording.file), str(recording.folder), piece) == SIZE + 100
