"""The index on a disk in memory: whatever dies, fails and is cut, it says what is so, or nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest
from simdisk import AFTER, BEFORE, WITHIN, Died, Opened, SimDisk

from reclog.engine.stores import kept as kept_module
from reclog.engine.stores import rotated as rotated_module
from reclog.engine.stores.index import writer as writing
from reclog.engine.stores.index.files import NAMES
from reclog.engine.stores.index.reader import IndexReader
from reclog.engine.stores.index.writer import IndexWriter
from reclog.engine.stores.pieces import base, index_folder
from reclog.engine.stores.pieces import pieces as pieces_of
from reclog.engine.stores.rotated import RotatedFile
from reclog.engine.stores.rotation import Rotating
from reclog.engine.system.aside import AtOnce
from reclog.engine.system.loop import Loop

FILE, FOLDER = "/file.log", "/"
SENDERS = ("10.0.0.1", "10.0.0.2", "fe80::1%eth0")


class Clock:
    """A loop's clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """A recorded file with its index, and what was really said: each line tells its sender and its time."""

    def __init__(self, seed: int = 0, rotate: int = 0) -> None:
        self.disk = SimDisk()
        self.disk.on_write = self._wrote
        self.rotating = Rotating(rotate)
        #: All that was written into the file, and may not be gone.
        self.text = b""
        self.dice = random.Random(seed)
        self.clock = Clock()
        self.said: list[str] = []
        self.ms = 1_700_000_000_000
        self.file: RotatedFile | None = None
        self.index: IndexWriter | None = None

    def start(self, loop: Loop) -> None:
        self.file = RotatedFile(loop, FILE, FOLDER, self._say, self.rotating, self.disk)
        self.index = self.file.index
        self.file.open()

    def _say(self, event: str, **_: object) -> None:
        if "index" in event:
            self.said.append(event)

    def _wrote(self, opened: Opened, at: int, data: bytes) -> Sequence[int]:
        if opened.path == FILE:
            self.text += data
        return [0] * len(data)

    def line(self) -> None:
        """Have somebody say a line now."""
        assert self.file is not None
        self.ms += self.dice.choice([0, 1, 40, -30, 5_000_000_000])
        sender = self.dice.choice(SENDERS)
        self.file.batch.add(
            sender, b"%s %d %s\n" % (sender.encode(), self.ms, b"x" * self.dice.randrange(90))
        )
        self.file.batch.note(sender, self.ms)

    def flush(self) -> None:
        assert self.file is not None
        assert self.index is not None
        self.file.flush()
        self.clock.now += 2.0
        self.index.flush()

    def check(self) -> int:
        """See that no line is another's, or of another time; return how many are known."""
        pieces = pieces_of(FOLDER, self.disk)
        known = [self._check(index_folder(FOLDER, piece), f"/{piece.name}") for piece in pieces]
        return sum(known) + self._check(FOLDER, FILE)

    def whole(self) -> bytes:
        """Return what the recording holds: its pieces, as they are listed, and the file."""
        whole = b""
        for piece in pieces_of(FOLDER, self.disk):
            inode = self.disk.find(f"/{piece.name}")
            assert inode is not None
            assert (piece.begin, piece.inode) == (len(whole), inode.number)
            whole += bytes(inode.cache.data[: piece.size])
        assert base(FOLDER, self.disk) == len(whole)
        inode = self.disk.find(FILE)
        return whole + bytes(inode.cache.data) if inode is not None else whole

    def _check(self, folder: str, file: str) -> int:
        inode = self.disk.find(file)
        text = bytes(inode.cache.data) if inode is not None else b""
        reader = IndexReader(folder, file, self.disk)
        runs = list(reader.runs(0, len(text)))
        assert [run.begin for run in runs] == [0, *(run.end for run in runs)][: len(runs)]
        assert not runs or runs[-1].end == len(text)
        known, at = 0, 0
        for line in text.splitlines(keepends=True):
            run = next(run for run in runs if run.begin <= at < run.end)
            words = line.split()
            if run.ms is not None or run.sender is not None:
                assert len(words) > 1, (line, run)
                assert (run.sender, run.ms) == (words[0].decode(), int(words[1])), (line, run)
                known += 1
            at += len(line)
        assert sum(reader.senders().values()) <= len(text)
        moments = [run for run in runs if run.ms is not None]
        for one in moments[:: len(moments) // 5 + 1]:
            offset = reader.seek(one.ms or 0)
            assert offset <= one.begin
            assert all((run.ms or 0) < (one.ms or 0) for run in moments if run.begin < offset)
        return known


@contextmanager
def looping(world: World) -> Iterator[Loop]:
    loop = Loop(world.clock)
    try:
        yield loop
    finally:
        loop.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PACKED", 12)
    for module in (rotated_module, kept_module):
        monkeypatch.setattr(module, "Aside", lambda loop: AtOnce())


def record(world: World, batches: int) -> None:
    for _ in range(batches):
        for _ in range(world.dice.randrange(1, 5)):
            world.line()
        world.flush()


def test_each_line_is_known() -> None:
    world = World()
    with looping(world) as loop:
        world.start(loop)
        record(world, 40)
        lines = world.file.batch.lines if world.file else 0
        assert world.check() == lines > 40
        blocks = world.disk.find("/" + NAMES[0])
        assert blocks is not None
        assert len(blocks.cache.data) > 1000  # several


@pytest.mark.parametrize(("rotate", "links"), [(0, True), (450, True), (450, False)])
def test_a_death_at_each_change_leaves_nothing_wrong(rotate: int, links: bool) -> None:
    nth = 0
    while True:
        nth += 1
        world = World(nth, rotate)
        world.disk.links = links
        world.disk.die_at(nth, (BEFORE, WITHIN, AFTER)[nth % 3])
        with looping(world) as loop:
            try:
                world.start(loop)
                record(world, 8 if rotate else 12)
                assert bool(pieces_of(FOLDER, world.disk)) == bool(rotate)
                assert world.whole() == world.text
                return
            except Died:
                pass
            if nth % 2:
                world.disk.crash()
                assert world.whole() == world.text
            else:
                world.disk.power_cut(partial(world.dice.randint, 0))
                assert world.text.startswith(world.whole())
                world.text = world.whole()
            world.check()
            world.start(loop)
            record(world, 6)
            world.check()
            assert world.whole() == world.text
            assert len(world.disk.files("/")) == 4 + len(pieces_of(FOLDER, world.disk))
            assert world.file is not None
            begin = world.file.batch.lines
            record(world, 1)
            assert world.check() > 0
            assert world.file.batch.lines > begin


def _shorten(world: World) -> None:
    inode = world.disk.find(FILE)
    assert inode is not None
    world.disk.shorten(FILE, world.dice.randrange(len(inode.cache.data) + 1))


def _add(world: World) -> None:
    with world.disk.outside() as disk:
        fd = disk.open(FILE, os.O_WRONLY | os.O_APPEND)
        disk.write(fd, b"x\n" * world.dice.randrange(1, 400))


def _shorten_and_add(world: World) -> None:
    _shorten(world)
    _add(world)


def _remove(world: World) -> None:
    with world.disk.outside() as disk:
        disk.unlink(FILE)  # the next file has its inode's number


def _write_again(world: World) -> None:
    _remove(world)
    with world.disk.outside() as disk:
        fd = disk.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        disk.write(fd, b"y y\n" * 3000)


def _garble(world: World) -> None:
    inode = world.disk.find("/" + world.dice.choice(NAMES))
    assert inode is not None
    for _ in range(3):
        inode.cache.data[world.dice.randrange(len(inode.cache.data))] ^= 1 + world.dice.randrange(255)


def _cut_index(world: World) -> None:
    name = "/" + world.dice.choice(NAMES)
    inode = world.disk.find(name)
    assert inode is not None
    world.disk.shorten(name, world.dice.randrange(len(inode.cache.data)))


def _lose_index(world: World) -> None:
    with world.disk.outside() as disk:
        disk.unlink("/" + world.dice.choice(NAMES))


BEFALLS = (_shorten, _add, _shorten_and_add, _remove, _write_again, _garble, _cut_index, _lose_index)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("befall", BEFALLS)
def test_what_somebody_does_to_the_files_makes_nothing_wrong(
    befall: Callable[[World], None], running: bool
) -> None:
    for seed in range(8):
        world = World(seed)
        with looping(world) as loop:
            world.start(loop)
            record(world, 15)
            if world.dice.randrange(2):
                world.line()
            if not running:
                world.disk.crash()
            befall(world)
            if running or befall is not _write_again:
                world.check()
            if not running:
                world.start(loop)
            record(world, 6)
            world.check()


def test_what_fails_is_stated_once_and_is_unknown() -> None:
    world = World()
    with looping(world) as loop:
        world.start(loop)
        record(world, 5)
        known = world.check()
        assert world.file is not None
        for nth in range(1, 4):
            world.disk.fail_at(nth + 1)
            record(world, 2)
        record(world, 5)
        assert world.said == ["index not written", "index written again"] * 2  # one was the file's own
        assert known < world.check() < world.file.batch.lines


def test_short_writes_shift_nothing() -> None:
    for seed in range(15):
        world = World(seed)
        with looping(world) as loop:
            world.start(loop)
            for _ in range(10):
                for _ in range(5):
                    world.line()
                world.disk.short = world.dice.randrange(1, 300)
                if world.dice.randrange(2):
                    world.disk.give_room(world.dice.randrange(200))
                    world.flush()
                    world.disk.give_room(None)
                world.flush()
            assert world.file is not None
            assert not world.file.queued
            assert world.check() > 0
