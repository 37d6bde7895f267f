from __future__ import annotations

import errno
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reclog.engine.intake.batch import STRANGER
from reclog.engine.stores import spool as module
from reclog.engine.stores.spool import Jump, Spool, SpoolUnusable
from reclog.engine.system.disk import DISK, Data, Disk

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
LIMIT, SEGMENT, RESERVE = 400, 60, 150

Event = Tuple[str, Dict[str, Any]]


class Machine:
    """A machine on which spools live and die, and what they should hold."""

    def __init__(self, folder: str, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.boot = 0
        self.events: List[Event] = []
        #: Every byte ever written, by its offset.
        self.written: Dict[int, int] = {}
        #: Offsets whose bytes went with the power.
        self.lost: Dict[int, int] = {}
        #: Bytes that are taken and wait for room.
        self.pending = b""
        self.end = 0
        self.acked = 0
        self.open_by: Optional[object] = None
        patch.setattr(module, "boot_id", lambda: f"boot-{self.boot}")
        patch.setattr(module, "RESERVE", RESERVE)
        self.spool = Spool(folder, LIMIT, self._report)
        self.start()

    def start(self, expect: Optional[Tuple[int, bool]] = None) -> None:
        """Open the spool; `expect` is where its bytes end, and whether power was lost."""
        self.spool = Spool(self.folder, LIMIT, self._report)
        self.spool._segment_size = SEGMENT
        jump = self.spool.open()
        if expect is None:
            assert jump is None
            assert self.spool.end == 0
            return
        found, power_lost = expect
        end = self.spool.end
        assert end >= self.end, "an offset would be used twice"
        if not power_lost:
            assert jump is None
            assert end == self.end
        else:
            begin = max(found, self.spool.acked)
            assert jump == (Jump(begin, end) if end > begin else None)
        self.end = end
        self.open_by = STRANGER if jump is None and self.written.get(end - 1, 10) != 10 else None

    def _report(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    # -- what happens ---------------------------------------------------------------------------

    def append(self, who: int, text: bytes) -> None:
        closing = b"\n" if self.open_by is not None and self.open_by != who else b""
        self.open_by = None if text.endswith(b"\n") else who
        self.pending += closing + text
        self.spool.add(who, text)
        self.flush()

    def flush(self) -> None:
        done = self.spool.flush()
        assert done == (not self.spool.queued)
        assert bool(self.spool.paused) == (not done)
        count = self.spool.end - self.end
        for byte in self.pending[:count]:
            assert self.end not in self.written, "an offset was used twice"
            self.written[self.end] = byte
            self.end += 1
        self.pending = self.pending[count:]
        assert done == (not self.pending)

    def ack(self, offset: int) -> None:
        self.spool.ack(offset)
        if offset <= self.end:
            self.acked = max(self.acked, offset)
        self.flush()

    def close(self, power_lost: bool) -> None:
        self.spool.close()
        self.pending = b""
        self.boot += int(power_lost)
        self.start((self.end, False))

    def process_crash(self) -> None:
        self._drop()
        self.start((self.end, False))

    def machine_crash(self, kept: int) -> None:
        """Lose what was not synced; some of it, `kept`, may be on disk all the same."""
        synced = min(self.spool.synced + kept, self.end)
        self._drop()
        self.boot += 1
        found = 0
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".seg"):
                path = os.path.join(self.folder, name)
                start, size = int(name[:-4]), os.path.getsize(path)
                os.truncate(path, max(0, min(size, synced - start)))
                found = start + os.path.getsize(path)
        self.lost.update({at: byte for at, byte in self.written.items() if at >= synced})
        self.start((found, True))

    def _drop(self) -> None:
        for fd in (self.spool._fd, self.spool._read_fd):
            if fd >= 0:
                os.close(fd)
        self.pending = b""

    # -- what must hold -------------------------------------------------------------------------

    def check(self) -> None:
        self._check_room()
        self._check_bytes()

    def _check_room(self) -> None:
        sizes = [p.stat().st_size for p in Path(self.folder).glob("*.seg")]
        assert sum(sizes) == self.spool.size <= LIMIT

    def _check_bytes(self) -> None:
        """All that was written, is not lost and is not acked can be read, and is what it was."""
        readable: Dict[int, int] = {}
        offset = self.spool.acked
        while True:
            piece = self.spool.read(offset, most=37)
            if isinstance(piece, Jump):
                assert piece.start == offset < piece.end
                offset = piece.end
            elif piece:
                readable.update(zip(range(offset, offset + len(piece)), piece))
                offset += len(piece)
            else:
                break
        assert offset == self.spool.end == self.end
        assert all(self.written.get(at) == byte for at, byte in readable.items())
        assert self.spool.acked <= max(self.acked, self.spool.start)
        missing = [at for at in self.written if at >= self.spool.acked and at not in readable]
        assert all(at in self.lost or at < self.acked for at in missing)


TEXTS = st.one_of(
    st.text(alphabet="ab\n", min_size=1, max_size=40).map(str.encode),
    st.integers(41, 150).map(lambda size: b"x" * size + b"\n"),
)
OPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3), TEXTS),
    st.tuples(st.just("append"), st.integers(1, 3), TEXTS),
    st.tuples(st.just("ack"), st.integers(0, 110)),
    st.tuples(st.just("ack"), st.just(100)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("close"), st.booleans()),
    st.tuples(st.just("process crash")),
    st.tuples(st.just("machine crash"), st.integers(0, 100)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPS, max_size=30))
@example([("append", 1, b"a" * 40)] * 9 + [("ack", 100), ("process crash",), ("append", 1, b"b\n")])
@example([("append", 1, b"a\n" * 40), ("ack", 100), ("machine crash", 0), ("append", 2, b"b\n")])
@example([("append", 1, b"a" * 70)] * 6 + [("ack", 100), ("close", True), ("append", 1, b"b")])
def test_whatever_happens_offsets_are_used_once_and_bytes_stay(ops: List[Any]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, pytest.MonkeyPatch.context() as patch:
        machine = Machine(folder, patch)
        for name, *words in ops:
            if name == "append":
                machine.append(*words)
            elif name == "ack":
                machine.ack(machine.spool.acked + (machine.end - machine.spool.acked) * words[0] // 100)
            elif name == "sync":
                machine.spool.sync()
                assert machine.spool.synced == machine.end
            elif name == "close":
                machine.close(*words)
            elif name == "process crash":
                machine.process_crash()
            else:
                machine.machine_crash(*words)
            machine.check()
        machine.ack(machine.end)
        assert not machine.pending, "all is acked, and the spool takes no more"
        machine._drop()


# -- single cases --------------------------------------------------------------------------------------


class Report:
    def __init__(self) -> None:
        self.names: List[str] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.names.append(event)


def opened(folder: Path, limit: int = 1 << 20, segment: int = 100, disk: Disk = DISK) -> Spool:
    spool = Spool(str(folder), limit, Report(), disk)
    spool.open()
    spool._segment_size = segment
    return spool


def fill(spool: Spool, count: int) -> None:
    for number in range(count):
        spool.add(1, b"%09d\n" % number)
    assert spool.flush()


def segments(folder: Path) -> List[Path]:
    return sorted(folder.glob("*.seg"))


class FullDisk(Disk):
    """A disk without room while `full`; with `states_only` it has room for all but states."""

    def __init__(self, states_only: bool = False) -> None:
        self.full = False
        self._states_only = states_only
        self._states: Set[int] = set()

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        fd = super().open(path, flags, mode)
        (self._states.add if path.endswith(".new") else self._states.discard)(fd)
        return fd

    def write(self, fd: int, data: Data) -> int:
        if self.full and (fd in self._states or not self._states_only):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)


def test_the_crc_is_of_all_bytes_since_it_began(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    fill(spool, 50)
    assert spool.crc == zlib.crc32(b"".join(b"%09d\n" % n for n in range(50)))
    assert spool.crc_from == 0
    spool.close()
    spool = opened(tmp_path)
    assert (spool.crc, spool.crc_from) == (0, 500)
    spool.close()


def test_a_full_disk_does_not_let_bytes_pass_the_reserved_offsets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESERVE", 20)
    disk = FullDisk(states_only=True)
    spool = opened(tmp_path, disk=disk)
    fill(spool, 1)
    disk.full = True
    for _ in range(3):
        spool.add(1, b"x" * 30 + b"\n")
        assert not spool.flush()
    assert json.loads((tmp_path / "spool.json").read_text())["mark"] >= spool.end
    disk.full = False
    assert spool.flush()
    assert json.loads((tmp_path / "spool.json").read_text())["mark"] >= spool.end == 103
    spool.close()


def test_acks_make_room_on_a_full_disk(tmp_path: Path) -> None:
    disk = FullDisk()
    spool = opened(tmp_path, disk=disk)
    fill(spool, 50)
    disk.full = True
    spool.add(1, b"more\n")
    assert not spool.flush()
    spool.ack(spool.end)
    assert spool.size == 0
    assert sum(path.stat().st_size for path in segments(tmp_path)) == 0
    # Nothing could be saved, and all bytes are gone: the offsets are known all the same.
    again = opened(tmp_path, disk=disk)
    assert again.end == again.acked == 500
    again.add(1, b"more\n")
    assert not again.flush()
    disk.full = False
    again = opened(tmp_path, disk=disk)
    assert again.end == again.acked == 500


def test_what_was_acked_before_the_disk_was_full_makes_room_too(tmp_path: Path) -> None:
    disk = FullDisk()
    spool = opened(tmp_path, segment=10_000, disk=disk)
    fill(spool, 50)
    spool.ack(500)
    assert spool.size == 500
    disk.full = True
    spool.add(1, b"more\n")
    assert not spool.flush()
    assert not spool.flush()
    assert spool.size == 0
    disk.full = False
    assert spool.flush()
    assert spool.read(500) == b"more\n"
    spool.close()


def test_a_spool_whose_last_bytes_are_gone_does_not_join_lines(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit=100)
    spool.add(1, b"x" * 60)
    assert spool.flush()
    spool.ack(60)
    assert spool.size == 0
    spool._save(clean=False)
    os.close(spool._fd)
    spool = opened(tmp_path, limit=100)
    spool.add(1, b"another line\n")
    assert spool.flush()
    assert spool.read(60) == b"\nanother line\n"
    spool.close()


def test_a_chunk_ends_in_a_newline_where_there_is_one(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment=10_000)
    spool.add(1, b"one\ntwo\nthree")
    assert spool.flush()
    assert spool.read(0, most=9) == b"one\ntwo\n"
    assert spool.read(8, most=3) == b"thr"
    assert spool.read(8) == b"three"
    assert spool.read(13) == b""
    spool.close()


@pytest.mark.parametrize("content", ["", "[]", '{"version": 99}', "not json"])
def test_a_state_that_makes_no_sense_is_said(tmp_path: Path, content: str) -> None:
    spool = opened(tmp_path)
    fill(spool, 1)
    spool.close()
    (tmp_path / "spool.json").write_text(content)
    with pytest.raises(SpoolUnusable, match="can't be used"):
        opened(tmp_path)


def test_segments_without_their_state_are_not_taken_for_a_new_spool(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    fill(spool, 1)
    spool.close()
    (tmp_path / "spool.json").unlink()
    with pytest.raises(SpoolUnusable, match="state is missing"):
        opened(tmp_path)


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = opened(folder)
    fill(spool, 1)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    spool.remove()
    assert not folder.exists()
