"""What is known of a spool: packed and unpacked, kept beside it, told again; and nothing that is not so."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from scripted import ScriptedDisk

from reclog.engine.intake.noted import Notes
from reclog.engine.stores.index.format import Runs
from reclog.engine.stores.index.packet import LONGEST, pack, unpack
from reclog.engine.stores.index.spooled import ENOUGH, Spooled, Teller

NAMES = st.sampled_from([None, "10.0.0.1", "10.0.0.2", "fe80::1%eth0", "x" * 128])
TIMES = st.one_of(st.none(), st.integers(0, 1 << 40), st.integers(1 << 40, (1 << 40) + 1000))
SAID = st.lists(st.tuples(st.integers(1, 9), TIMES, NAMES), min_size=1, max_size=30)


def noted(said: List[Tuple[int, Optional[int], Optional[str]]]) -> Notes:
    """Return the notes of that."""
    found = Notes()
    for size, ms, who in said:
        found.extend([size], [ms], ["" if ms is None or who is None else who])
    return found


@examples(60)
@given(st.integers(0, 1 << 60), SAID)
def test_what_is_packed_comes_back(first: int, said: List[Tuple[int, Optional[int], Optional[str]]]) -> None:
    runs = Runs(first)
    earliest = min((ms for _, ms, _ in said if ms is not None), default=0)
    for size, ms, who in said:
        late = ms is not None and ms - earliest > LONGEST  # so long a packet can't be
        runs.add(size, None if late else ms, who)
    assert list(unpack(first, pack(noted(said)))) == list(runs)


@examples(100)
@given(
    st.binary(max_size=60)
    | st.builds(lambda said, at, bit: (said, at, bit), SAID, st.integers(0), st.integers(0, 7))
)
def test_of_what_makes_no_sense_nothing_comes(damaged: object) -> None:
    if isinstance(damaged, tuple):
        said, at, bit = damaged
        data = bytearray(pack(noted(said)))
        data[at % len(data)] ^= 1 << bit
        damaged = bytes(data)
    assert isinstance(damaged, bytes)
    try:
        runs = unpack(5, damaged)
    except ValueError:
        return
    at = 5
    for run in runs:  # a lie, and no more than that
        assert run.begin == at < run.end
        assert run.sender is None or (run.sender.isascii() and run.sender.isprintable())
        at = run.end


class Bench:
    """A spool's runs, who is told of them, and what they should be."""

    def __init__(self, folder: str, disk: ScriptedDisk) -> None:
        self.folder, self.disk = folder, disk
        self.end = 0
        self.right: Dict[int, Tuple[int, str]] = {}
        self.start()

    def start(self) -> None:
        self.spooled = Spooled(self.folder, self.disk)
        self.spooled.limit = 1 << 20
        self.spooled.open(0, self.end)

    def say(self, *said: Tuple[int, str]) -> None:
        begin = self.end
        notes = Notes()
        for size, who in said:
            ms = 1000 + len(self.right)
            self.right.update((at, (ms, who)) for at in range(self.end, self.end + size))
            self.end += size
            notes.add(size, ms, who)
        self.spooled.told(begin, self.end, notes)

    def told(self, teller: Teller, end: int) -> Dict[int, Tuple[int, str]]:
        """Return what is told of each byte, each checked."""
        found: Dict[int, Tuple[int, str]] = {}
        for packet in teller.up_to(end):
            for run in unpack(packet.begin, packet.data):
                assert run.ms is not None
                found.update((at, (run.ms, str(run.sender))) for at in range(run.begin, run.end))
        assert all(self.right[at] == one for at, one in found.items())
        return found


@pytest.mark.parametrize("count", [1, 3, ENOUGH, ENOUGH + 1, 3 * ENOUGH])
def test_of_datagrams_read_at_once_each_is_told(tmp_path: Path, count: int) -> None:
    bench = Bench(str(tmp_path), ScriptedDisk())
    whos = ["abc"[number % 3] for number in range(count)]
    bench.right = {at: (1000, whos[at // 2]) for at in range(2 * count)}
    bench.end = 2 * count
    notes = Notes()
    notes.extend([2] * count, [1000] * count, whos)
    bench.spooled.told(0, bench.end, notes)
    assert bench.told(Teller(bench.spooled, 0), bench.end) == bench.right


STEPS = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(1, 20), st.sampled_from("abc")), min_size=1, max_size=5),
        st.sampled_from(["keep", "close", "kill", "tell", "fail"]),
    ),
    max_size=40,
)


@examples(80)
@given(STEPS)
def test_all_that_was_kept_is_told_and_told_right(steps: List[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = ScriptedDisk()
        bench = Bench(folder, disk)
        live = Teller(bench.spooled, 0)
        heard: Dict[int, Tuple[int, str]] = {}
        lost = 0
        for step in steps:
            if isinstance(step, list):
                bench.say(*step)
            elif step == "keep":
                bench.spooled.keep(0)
            elif step == "close":
                bench.spooled.close(0)
            elif step == "fail":
                disk.writes, lost = [5, 0], 1 << 60
            elif step == "tell":
                heard.update(bench.told(live, bench.end))
            elif step == "kill":
                lost = max(lost, bench.end)
                bench.spooled._close()
                bench.start()
                live = Teller(bench.spooled, bench.end)
        late = Teller(bench.spooled, 0)
        again: Dict[int, Tuple[int, str]] = {}
        for end in range(7, bench.end + 7, 7):  # in small steps, each before its bytes
            again.update(bench.told(late, min(end, bench.end)))
            assert all(at in again for at in range(lost, min(end, bench.end)))
        bench.spooled.close(0)


def test_what_does_not_get_to_the_disk_is_unknown_and_nothing_else(tmp_path: Path) -> None:
    disk = ScriptedDisk()
    bench = Bench(str(tmp_path), disk)
    teller = Teller(bench.spooled, 0)
    for number in range(6):
        bench.say((10, "abc"[number % 3]))
        disk.writes = [5, 0] if number in (1, 3) else []
        bench.spooled.keep(0)
    assert sorted(bench.told(teller, 60)) == [at for at in range(60) if at // 10 not in (1, 3)]


def test_no_more_is_kept_than_a_share_and_none_that_is_acked(tmp_path: Path) -> None:
    bench = Bench(str(tmp_path), ScriptedDisk())
    bench.spooled.limit = 300
    for _ in range(100):
        bench.say((10, "a"))
        bench.spooled.keep(bench.end)
    assert not os.listdir(tmp_path)
    for _ in range(100):
        bench.say((10, "a"))
        bench.spooled.keep(0)
    assert 200 < sum(file.stat().st_size for file in tmp_path.iterdir()) <= 300


def test_files_go_with_the_segments_that_they_are_about(tmp_path: Path) -> None:
    bench = Bench(str(tmp_path), ScriptedDisk())
    for _ in range(4):
        bench.say((10, "a"))
        bench.spooled.close(0)
    (tmp_path / "00000000000000000030.seg").touch()
    bench.spooled.forget(20)
    assert sorted(os.listdir(tmp_path)) == [
        f"{start:020d}{end}" for start, end in ((20, ".runs"), (30, ".runs"), (30, ".seg"))
    ]
    bench.spooled.open(30, 40)
    assert sorted(os.listdir(tmp_path)) == [f"{30:020d}.runs", f"{30:020d}.seg"]
