"""A year of a recording by clocks that are passed in: all that it leaves behind stays within its bounds.

What is real: the file as it is cut, its pieces as they are kept and compressed, the index, both event logs.
Only the bounds are made smaller; docs/growth.md has them as they are.
"""

from __future__ import annotations

import gzip
import itertools
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from reclog.engine.records.events import EventLog, Rotated
from reclog.engine.stores import kept as kept_module
from reclog.engine.stores import pieces as pieces_module
from reclog.engine.stores import rotated as rotated_module
from reclog.engine.stores.index import writer as writer_module
from reclog.engine.stores.pieces import path_of, pieces
from reclog.engine.stores.retention import Keeping
from reclog.engine.stores.rotated import RotatedFile
from reclog.engine.stores.rotation import Rotating
from reclog.engine.system.aside import AtOnce
from reclog.engine.system.disk import Disk
from reclog.engine.system.loop import Loop

#: 2026-01-01, in Paris, where a year has two days of other lengths.
BEGIN, HOURS, DAYS = 1767222000.0, 12 * 3600.0, 365
CUT, KEPT, LOG, LATEST, SPARE = 20_000, 5, 10_000, 2_000, 30
#: What one write may go beyond that; and the journal of pieces, with the heads of all blocks.
MORE, SMALL = 2_000, 10_000
ROTATING = Rotating(CUT, True, Keeping(pieces=KEPT, compress=True))


class Quick(Disk):
    """The real disk, without the wait for it: no power is cut here."""

    def fsync(self, fd: int) -> None: ...

    def fdatasync(self, fd: int) -> None: ...

    def sync(self, path: str) -> None: ...


class Year:
    """One recording, its people, and their year."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root / "logs", root / "folder"
        self.root.mkdir()
        self.folder.mkdir()
        self.path = self.root / "file.log"
        self.time, self.now = BEGIN, 1000.0
        self.loop = Loop(lambda: self.now)
        self.count = itertools.count()
        self.start()

    def start(self) -> None:
        """Start, on what is there."""
        self.log = EventLog(str(self.folder / "events.log"), str(self.folder / "holes.log"))
        self.file = RotatedFile(
            self.loop,
            str(self.path),
            str(self.folder),
            self.log.say,
            ROTATING,
            Quick(),
            clock=lambda: self.time,
        )
        self.file.open()
        self.log.say("started")

    def stop(self) -> None:
        self.log.say("stopping")
        self.file.close()

    def hours(self, lines: int) -> None:
        """Have lines of some senders come, strangers, and a gap; then some hours are over."""
        for number in itertools.islice(self.count, lines):
            self.file.batch.add("sender", b"%08d %s\n" % (number, b"x" * 40))
            self.file.batch.note(f"10.0.0.{number % 7}", int(self.time * 1000))
            if number % 10 == 0:
                assert self.file.flush()
        for _ in range(5):
            self.log.mention("many connections", counts={"connect": 100_000})
        self.log.say("gap", seconds=1.5)
        assert self.file.flush()
        for seconds in (1.0, HOURS - 1):
            self.time, self.now = self.time + seconds, self.now + seconds
            self.loop.turn(at_most=0)

    def held(self) -> List[bytes]:
        """Return the lines that are still held, of pieces and of the file."""
        found = [path_of(str(self.path), piece) for piece in pieces(str(self.folder))]
        texts = [Path(path) for path in [*found, str(self.path)]]
        return b"".join(map(plain, texts)).splitlines()


def plain(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Year]:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    monkeypatch.setattr(Rotated, "ROTATE_AT", LOG)
    monkeypatch.setattr(writer_module, "LATEST_MOST", LATEST)
    monkeypatch.setattr(pieces_module, "SPARE", SPARE)
    monkeypatch.setattr(pieces_module, "LAST", KEPT)
    for module in (rotated_module, kept_module):
        monkeypatch.setattr(module, "Aside", lambda loop: AtOnce())
    year = Year(tmp_path)
    yield year
    year.stop()
    year.loop.close()
    monkeypatch.undo()
    time.tzset()


def test_a_year_leaves_what_it_was_given(year: Year) -> None:
    files: List[int] = []
    state: List[int] = []
    for day in range(DAYS):
        for part in range(2):
            year.hours(600 if day % 10 == part == 0 else 60)
        if day % 7 == 0:  # as a machine that is started anew each week
            year.stop()
            year.start()
        if day % 3 == 0:
            files.append(bytes_in(year.root))
            state.append(bytes_in(year.folder))
    assert max(files) <= (KEPT + 1) * (CUT + MORE)
    logs, index = 2 * 2 * (LOG + MORE), (KEPT + 1) * (LATEST + MORE)
    assert max(state) <= logs + index + SMALL
    assert max(state[-35:]) <= 1.1 * max(state[20:55])  # it does not grow
    # What is left is the year's end, whole, once and in order.
    numbers = [int(line[:8]) for line in year.held()]
    assert numbers == list(range(next(year.count) - len(numbers), numbers[-1] + 1))
    assert len(numbers) > KEPT * 100
    names = sorted(path.name for path in year.root.iterdir())
    assert len(names) == KEPT + 1
