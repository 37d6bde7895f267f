from __future__ import annotations

import errno
import os
import stat
import tempfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from simdisk import AFTER, BEFORE, WITHIN, Died, SimDisk

from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.system.disk import Disk

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
NAMES = st.sampled_from(["a", "b", "folder", "folder/a", "none/a", "a/b"])
FDS = st.integers(0, 2)
FLAGS = st.sampled_from(
    [
        os.O_RDONLY,
        os.O_RDWR,
        os.O_WRONLY | os.O_APPEND,
        os.O_RDWR | os.O_APPEND | os.O_CREAT,
        os.O_WRONLY | os.O_CREAT,
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("open"), NAMES, FLAGS),
    st.tuples(st.just("open"), NAMES, FLAGS),
    st.tuples(st.just("close"), FDS),
    st.tuples(st.just("write"), FDS, st.binary(max_size=6)),
    st.tuples(st.just("write"), FDS, st.binary(max_size=6)),
    st.tuples(st.just("pread"), FDS, st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("fstat"), FDS),
    st.tuples(st.just("lock"), FDS),
    st.tuples(st.sampled_from(["fsync", "fdatasync"]), FDS),
    st.tuples(st.sampled_from(["stat", "unlink", "rmdir", "listdir"]), NAMES),
    st.tuples(st.just("makedirs"), st.just("folder")),  # one that is moved is not simulated
    st.tuples(st.just("replace"), st.sampled_from(["a", "b"]), st.sampled_from(["a", "b", "folder"])),
)


class Side:
    """One of the two disks, and what is open on it."""

    def __init__(self, disk: Disk, folder: str) -> None:
        self.disk = disk
        self.folder = folder
        self.fds: list[int] = []

    def do(self, name: str, words: list[Any]) -> Any:
        """Do a step; return what comes of it, in words that both have."""
        try:
            return self._do(name, words)
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def _do(self, name: str, words: list[Any]) -> Any:
        if isinstance(words[0], str):
            words = [os.path.join(self.folder, word) if isinstance(word, str) else word for word in words]
            found = getattr(self.disk, name)(*words)
            if name == "open":
                self.fds.append(found)
                return "open"
            return sorted(found) if name == "listdir" else self._seen(found)
        if not self.fds:
            return None
        place = words[0] % len(self.fds)
        fd = self.fds.pop(place) if name == "close" else self.fds[place]
        return self._seen(getattr(self.disk, name)(fd, *words[1:]))

    def _seen(self, found: Any) -> Any:
        if not isinstance(found, os.stat_result):
            return found
        kind = stat.S_IFMT(found.st_mode)
        return kind, found.st_size if kind == stat.S_IFREG else 0


@examples(200)
@given(st.lists(STEPS, max_size=25))
def test_it_does_what_the_real_disk_does(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        simulated = SimDisk()
        simulated.makedirs(folder)
        one, other = Side(Disk(), folder), Side(simulated, folder)
        try:
            for name, *words in steps:
                assert one.do(name, words) == other.do(name, words), (name, words)
        finally:
            for fd in one.fds:
                os.close(fd)


def test_inodes_tell_files_apart() -> None:
    disk = SimDisk()
    for path in ("/a", "/b"):
        disk.close(disk.open(path, os.O_WRONLY | os.O_CREAT))
    assert disk.stat("/a").st_ino != disk.stat("/b").st_ino
    number = disk.stat("/a").st_ino
    disk.replace("/a", "/b")
    assert disk.stat("/b").st_ino == number


def make(disk: SimDisk, path: str, text: bytes, sync: bool = False) -> int:
    fd = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    disk.write_all(fd, text)
    if sync:
        disk.fdatasync(fd)
    return fd


@given(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=9), st.integers(0, 9))
def test_a_power_cut_leaves_what_was_synced_and_a_beginning_of_the_rest(
    synced: bytes, more: bytes, kept: int
) -> None:
    disk = SimDisk()
    fd = make(disk, "/a", synced, sync=True)
    disk.sync("/")
    disk.write_all(fd, more)
    disk.power_cut(lambda most: min(kept, most))
    assert disk.read_all("/a") == synced + more[:kept]
    with pytest.raises(OSError, match="Bad file"):
        disk.write(fd, b"x")


def test_a_name_is_lost_until_its_folder_is_synced() -> None:
    disk = SimDisk()
    make(disk, "/a", b"text", sync=True)
    disk.power_cut()
    assert disk.listdir("/") == []
    make(disk, "/a", b"text", sync=True)
    disk.sync("/")
    disk.replace("/a", "/b")
    make(disk, "/a", b"new", sync=True)
    left = iter([1])  # the renaming came to the platter, the new file's name did not
    disk.power_cut(lambda most: next(left, 0))
    assert disk.listdir("/") == ["b"]
    assert disk.read_all("/b") == b"text"


def test_a_removed_file_is_back_if_that_was_not_synced() -> None:
    disk = SimDisk()
    make(disk, "/a", b"text", sync=True)
    disk.sync("/")
    disk.shorten("/a")
    disk.unlink("/a")
    disk.power_cut()
    assert disk.read_all("/a") == b"text"


def test_a_process_that_dies_leaves_what_it_wrote_and_no_lock() -> None:
    disk = SimDisk()
    fd = make(disk, "/a", b"text")
    disk.lock(fd)
    other = disk.open("/a", os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        disk.lock(other)
    disk.crash()
    assert disk.read_all("/a") == b"text"
    disk.lock(disk.open("/a", os.O_RDONLY))


@pytest.mark.parametrize(("when", "left"), [(BEFORE, b"text"), (WITHIN, b"textmo"), (AFTER, b"textmore")])
def test_a_death_is_exact_and_final(when: str, left: bytes) -> None:
    disk = SimDisk()
    fd = make(disk, "/a", b"text")
    disk.die_at(1, when)
    with pytest.raises(Died):
        disk.write(fd, b"more")
    for call in (lambda: disk.unlink("/a"), lambda: disk.write(fd, b"x"), lambda: disk.close(fd)):
        with pytest.raises(Died):
            call()
    disk.crash()
    assert disk.read_all("/a") == left


def test_what_catches_everything_does_nothing_after_a_death() -> None:
    disk = SimDisk()
    disk.makedirs("/state")
    write_json("/state/a.json", {"is": "old"}, sync=True, disk=disk)
    for nth in range(1, 20):
        disk.die_at(nth)
        try:
            write_json("/state/a.json", {"is": "new"}, sync=True, disk=disk)
        except Died:
            disk.power_cut()
            assert read_json("/state/a.json", disk) in ({"is": "old"}, {"is": "new"})
        else:
            assert nth > 4
            disk.power_cut()
            assert read_json("/state/a.json", disk) == {"is": "new"}
            break


def test_room_is_limited_and_comes_back() -> None:
    disk = SimDisk()
    fd = make(disk, "/a", b"1234")
    disk.give_room(3)
    assert disk.write(fd, b"56789") == 3
    with pytest.raises(OSError, match="No space"):
        disk.write(fd, b"8")
    with pytest.raises(OSError, match="No space"):
        disk.open("/b", os.O_WRONLY | os.O_CREAT)
    disk.shorten("/a", 2)
    assert disk.write(fd, b"3") == 1
    disk.give_room(None)
    assert disk.write(fd, b"456789") == 6


def test_failures_and_short_writes_come_once() -> None:
    disk = SimDisk()
    fd = make(disk, "/a", b"")
    disk.fail_at(2, errno.EIO)
    disk.short = 2
    assert disk.write(fd, b"1234") == 2
    with pytest.raises(OSError, match="Input/output"):
        disk.write(fd, b"34")
    assert disk.write(fd, b"34") == 2
    disk.fail_at(1, errno.EIO, reads=True)
    with pytest.raises(OSError, match="Input/output"):
        disk.pread(fd, 4, 0)
    assert disk.pread(fd, 4, 0) == b"1234"
