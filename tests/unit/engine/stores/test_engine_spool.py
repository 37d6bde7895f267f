from __future__ import annotations

import errno
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import examples
from scripted import Said, ScriptedDisk, fails

from reclog.engine.intake.batch import STRANGER
from reclog.engine.stores import mark as module
from reclog.engine.stores.segments import Jump
from reclog.engine.stores.spool import Spool, SpoolUnusable
from reclog.engine.system.aside import AtOnce
from reclog.engine.system.disk import DISK, Disk

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
LIMIT, SEGMENT, RESERVE = 400, 60, 150


class Machine:
    """A machine on which spools live and die, and what they should hold."""

    def __init__(self, folder: str, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.boot = 0
        #: Every byte ever written, by its offset.
        self.written: Dict[int, int] = {}
        #: Offsets whose bytes went with the power.
        self.lost: Dict[int, int] = {}
        #: Bytes that are taken and wait for room.
        self.pending = b""
        self.end = 0
        self.acked = 0
        self.open_by: Optional[object] = None
        patch.setattr(module, "RESERVE", RESERVE)
        self.said = Said()
        self.start()

    def start(self, expect: Optional[Tuple[int, bool]] = None) -> None:
        """Open the spool; `expect` is where its bytes end, and whether power was lost."""
        self.spool = Spool(self.folder, LIMIT, self.said, boot=f"boot-{self.boot}")
        self.spool._segment_size = SEGMENT
        jumps = self.spool.open()
        if expect is None:
            assert jumps == ()
            assert self.spool.end == 0
            return
        found, power_lost = expect
        end = self.spool.end
        assert end >= self.end, "an offset would be used twice"
        if not power_lost:
            assert jumps == ()
            assert end == self.end
        else:
            begin = max(found, self.spool.acked)
            assert jumps == ((Jump(begin, end),) if end > begin else ())
        self.end = end
        self.open_by = STRANGER if not jumps and self.written.get(end - 1, 10) != 10 else None

    # -- what happens ---------------------------------------------------------------------------

    def append(self, who: int, text: bytes) -> None:
        closing = b"\n" if self.open_by is not None and self.open_by != who else b""
        self.open_by = None if text.endswith(b"\n") else who
        self.pending += closing + text
        self.spool.batch.add(who, text)
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
        self.spool._let_go()
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
        cursor = self.spool.cursor(self.spool.acked)
        while True:
            offset, piece = cursor.offset, cursor.read(most=37)
            if isinstance(piece, Jump):
                assert piece.start == offset < piece.end
            elif piece:
                readable.update(zip(range(offset, offset + len(piece)), piece))
            else:
                break
        cursor.close()
        assert offset == self.spool.end == self.end
        assert all(self.written.get(at) == byte for at, byte in readable.items())
        assert self.spool.acked <= max(
            self.acked, self.spool._segments[0][0] if self.spool._segments else self.end
        )
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


@examples(300)
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


def opened(folder: Path, limit: int = 1 << 20, segment: int = 100, disk: Disk = DISK) -> Spool:
    spool = Spool(str(folder), limit, Said(), disk)
    spool.open()
    spool._segment_size = segment
    return spool


def fill(spool: Spool, count: int) -> None:
    for number in range(count):
        spool.batch.add(1, b"%09d\n" % number)
    assert spool.flush()


def segments(folder: Path) -> List[Path]:
    return sorted(folder.glob("*.seg"))


def test_the_crc_is_of_all_bytes_since_it_began(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    fill(spool, 50)
    assert spool.crc == zlib.crc32(b"".join(b"%09d\n" % n for n in range(50)))
    assert spool.begun == 0
    spool.close()
    spool = opened(tmp_path)
    assert (spool.crc, spool.begun) == (0, 500)
    spool.close()


def test_a_full_disk_does_not_let_bytes_pass_the_reserved_offsets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESERVE", 20)
    disk = ScriptedDisk()
    spool = opened(tmp_path, disk=disk)
    fill(spool, 1)
    disk.before["write"] = fails(errno.ENOSPC, ending=".new")
    for _ in range(3):
        spool.batch.add(1, b"x" * 30 + b"\n")
        assert not spool.flush()
    assert json.loads((tmp_path / "spool.json").read_text())["mark"] >= spool.end
    disk.before.clear()
    assert spool.flush()
    assert json.loads((tmp_path / "spool.json").read_text())["mark"] >= spool.end == 103
    spool.close()


def test_acks_make_room_on_a_full_disk(tmp_path: Path) -> None:
    disk = ScriptedDisk()
    spool = opened(tmp_path, disk=disk)
    fill(spool, 50)
    disk.before["write"] = fails(errno.ENOSPC)
    spool.batch.add(1, b"more\n")
    assert not spool.flush()
    spool.ack(spool.end)
    assert spool.size == 0
    assert sum(path.stat().st_size for path in segments(tmp_path)) == 0
    # Nothing could be saved, and all bytes are gone: the offsets are known all the same.
    again = opened(tmp_path, disk=disk)
    assert again.end == again.acked == 500
    again.batch.add(1, b"more\n")
    assert not again.flush()
    disk.before.clear()
    again = opened(tmp_path, disk=disk)
    assert again.end == again.acked == 500


def test_what_was_acked_before_the_disk_was_full_makes_room_too(tmp_path: Path) -> None:
    disk = ScriptedDisk()
    spool = opened(tmp_path, segment=10_000, disk=disk)
    fill(spool, 50)
    spool.ack(500)
    assert spool.size == 500
    disk.before["write"] = fails(errno.ENOSPC)
    spool.batch.add(1, b"more\n")
    assert not spool.flush()
    assert not spool.flush()
    assert spool.size == 0
    disk.before.clear()
    assert spool.flush()
    assert spool.cursor(500).read() == b"more\n"
    spool.close()


def test_a_spool_whose_last_bytes_are_gone_does_not_join_lines(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit=100)
    spool.batch.add(1, b"x" * 60)
    assert spool.flush()
    spool.ack(60)
    assert spool.size == 0
    spool._mark.save(clean=False)
    os.close(spool._fd)
    spool = opened(tmp_path, limit=100)
    spool.batch.add(1, b"another line\n")
    assert spool.flush()
    assert spool.cursor(60).read() == b"\nanother line\n"
    spool.close()


def test_a_chunk_ends_in_a_newline_where_there_is_one(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment=10_000)
    spool.batch.add(1, b"one\ntwo\nthree")
    assert spool.flush()
    assert spool.cursor(0).read(9) == b"one\ntwo\n"
    assert spool.cursor(8).read(3) == b"thr"
    assert spool.cursor(8).read() == b"three"
    assert spool.cursor(13).read() == b""
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


# -- what is done beside the loop ------------------------------------------------------------------------


class Later(AtOnce):
    """Work that is done when a test says so, or somebody waits for it."""

    def start(self, work: Any, done: Any) -> None:
        assert not self.busy
        self.busy = True
        self._work, self._done = work, done

    def wait(self) -> None:
        if self.busy:
            super().start(self._work, self._ended)

    def _ended(self, error: Optional[OSError]) -> None:
        self.busy = False
        self._done(error)


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """Return a spool with segments of 100 bytes and 200 offsets reserved."""
    monkeypatch.setattr(module, "RESERVE", 200)
    spool = Spool(str(tmp_path), 1 << 20, Said(), ScriptedDisk(), "this", Later)
    spool.open()
    spool._segment_size = 100
    fill(spool, 1)
    return spool


def mark_on_disk(spool: Spool) -> int:
    return int(json.loads(Path(spool.folder, "spool.json").read_text())["mark"])


def test_the_next_mark_is_saved_beside_the_loop_before_it_is_needed(later: Spool) -> None:
    mark = later._mark.offset
    fill(later, 11)
    assert later._mark._aside.busy
    assert later._mark.offset == mark == mark_on_disk(later)  # not used before it is on disk
    later._mark._aside.wait()
    assert later._mark.offset == mark_on_disk(later) > mark


def test_a_write_waits_for_the_mark_when_none_is_left(later: Spool) -> None:
    fill(later, 11)
    later.batch.add(1, b"x" * 300 + b"\n")
    assert later.flush()
    assert mark_on_disk(later) >= later.end


def test_a_save_that_fails_beside_the_loop_leaves_the_mark_where_it_was(later: Spool) -> None:
    fill(later, 11)
    mark = later._mark.offset
    later.disk.before["write"] = fails(errno.ENOSPC, ending=".new")  # type: ignore[attr-defined]
    later._mark._aside.wait()
    assert later._mark.offset == mark == mark_on_disk(later)


def test_a_segment_is_left_unsynced_but_not_two(later: Spool) -> None:
    fill(later, 10)
    fill(later, 10)
    assert later._syncing.busy  # with the first, which was left
    assert later.synced == 0
    fill(later, 1)
    assert later.synced == 210
    later._syncing.wait()
    later.close()


def test_what_a_power_cut_took_before_what_it_left_is_stated_once(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    fill(spool, 25)
    spool._let_go()
    for path, size in zip(segments(tmp_path), (30, 0)):
        os.truncate(str(path), size)
    spool = Spool(str(tmp_path), 1 << 20, Said(), boot="another")
    assert spool.open() == (Jump(30, 200), Jump(250, spool.end))
    cursor = spool.cursor(0)
    pieces = [cursor.read() for _ in range(4)]
    assert pieces[1] == Jump(30, 200)
    assert pieces[3] == Jump(250, spool.end)
    spool._let_go()
    assert Spool(str(tmp_path), 1 << 20, Said(), boot="a third").open() == ()
