"""Runs: what is packed comes back, and of what is not whole nothing does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import pack, unpack
from properties import examples

from reclog.engine.stores.index.format import LAST_MS, Head, Run, Runs, blocks_in, names_of

SENDERS = st.one_of(st.none(), st.from_regex(r"[!-~]{1,128}", fullmatch=True))
SIZES = st.one_of(st.integers(1, 200), st.integers(1, 1 << 40))
TIMES = st.one_of(st.none(), st.integers(0, LAST_MS), st.integers(1_700_000_000_000, 1_700_000_100_000))


@st.composite
def some_runs(draw: st.DrawFn) -> list[Run]:
    """Return runs without a hole; who said what came at no known time is not known."""
    runs: list[Run] = []
    at = draw(st.integers(0, 1 << 50))
    for size, ms, sender in draw(st.lists(st.tuples(SIZES, TIMES, SENDERS), min_size=1, max_size=40)):
        runs.append(Run(at, at + size, ms, sender if ms is not None else None))
        at += size
    return runs


@examples(60)
@given(some_runs(), st.integers(0, 1))
def test_runs_come_back(runs: list[Run], level: int) -> None:
    block = pack(runs, level, witness=7)
    head = Head.at(block)
    assert unpack(block) == runs
    assert (head.size, head.first, head.last, head.witness) == (len(block), runs[0].begin, runs[-1].end, 7)
    times = [run.ms for run in runs if run.ms is not None]
    assert (head.first_ms, head.largest_ms) == ((times[0], max(times)) if times else (0, 0))
    said = {run.sender: 0 for run in runs if run.sender}
    for run in runs:
        if run.sender:
            said[run.sender] += run.end - run.begin
    assert names_of(block[: head.size - 1]) == said


@examples(60)
@given(some_runs(), some_runs(), st.data())
def test_of_what_is_not_whole_nothing_comes(one: list[Run], other: list[Run], data: st.DataObject) -> None:
    shift = max(0, one[-1].end - other[0].begin)
    other = [run._replace(begin=run.begin + shift, end=run.end + shift) for run in other]
    block = bytearray(pack(one) + pack(other))
    assert unpack(bytes(block)) == one + other
    at = data.draw(st.integers(0, len(block) - 1))
    cut = bytes(block[:at])
    assert [unpack(part) for _, part in blocks_in(cut)] == ([one] if at >= len(pack(one)) else [])
    block[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="block"):
        unpack(bytes(block))


@examples(60)
@given(st.binary(max_size=300))
def test_bytes_of_somebody_else_are_no_runs(data: bytes) -> None:
    with pytest.raises(ValueError, match="block"):
        Runs.of(data)
    assert list(blocks_in(data)) == []


def test_what_lies_between_runs_is_unknown() -> None:
    runs = [Run(10, 20, 1000, "10.0.0.1"), Run(30, 40, 900, "10.0.0.2")]
    assert unpack(pack(runs)) == [runs[0], Run(20, 30, None, None), runs[1]]


def test_a_name_that_is_none_and_a_time_that_is_none_are_unknown() -> None:
    runs = [Run(0, 1, -1, "10.0.0.1"), Run(1, 2, LAST_MS + 1, "10.0.0.1"), Run(2, 3, 5, "two words\n")]
    assert unpack(pack(runs)) == [Run(0, 1, None, None), Run(1, 2, None, None), Run(2, 3, 5, None)]
