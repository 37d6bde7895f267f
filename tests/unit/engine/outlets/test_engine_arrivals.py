from __future__ import annotations

from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.feed.protocol import FeedError
from reclog.engine.intake.noted import Notes
from reclog.engine.outlets import arrivals as module
from reclog.engine.outlets.arrivals import Arrivals
from reclog.engine.stores.index.packet import pack


def packet(first: int, *sizes: int) -> bytes:
    """Return one about bytes whose sender and time tell which they are."""
    told = Notes()
    for size in sizes:
        told.add(size, 1000 + first, f"s{first}")
        first += size
    return pack(told)


@examples(80)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=5)), max_size=8),
    st.lists(st.integers(1, 20), max_size=12),
)
def test_whatever_is_heard_each_byte_is_answered_once_and_not_with_another(
    heard: List[Tuple[int, List[int]]], taken: List[int]
) -> None:
    arrivals = Arrivals()
    at = 0
    for number, size in enumerate(taken):
        if number < len(heard):
            arrivals.hear(heard[number][0], packet(heard[number][0], *heard[number][1]))
        for run in arrivals.about(at, at + size):
            assert run.begin == at < run.end
            if run.sender is not None:
                said_first = int(run.sender[1:])
                assert run.ms == 1000 + said_first
                assert said_first <= run.begin < said_first + 9
            at = run.end
    assert at == sum(taken)


def test_what_is_told_before_its_bytes_is_known_of_them_in_any_pieces() -> None:
    arrivals = Arrivals()
    arrivals.hear(10, packet(10, 4, 6))
    arrivals.hear(20, packet(20, 5))
    found = [(run.begin, run.end, run.sender) for at in range(8, 28, 3) for run in arrivals.about(at, at + 3)]
    assert found == [
        *[(8, 10, None), (10, 11, "s10"), (11, 14, "s10"), (14, 17, "s14"), (17, 20, "s14")],
        *[(20, 23, "s20"), (23, 25, "s20"), (25, 26, None), (26, 29, None)],
    ]


@pytest.mark.parametrize("nonsense", [b"", b"\0", b"\1x", b"\2", packet(0, 1)[:-1], packet(0, 1) + b"x"])
def test_nonsense_ends_the_connection(nonsense: bytes) -> None:
    with pytest.raises(FeedError, match="no sense"):
        Arrivals().hear(0, nonsense)


def test_of_more_than_can_wait_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD", 10)
    arrivals = Arrivals()
    for first in range(0, 40, 8):
        arrivals.hear(first, packet(first, *[1] * 8))
    assert len(arrivals._runs) <= 10 + 8
    assert [run.sender is not None for run in arrivals.about(0, 24)] == [True] * 16 + [False]
    arrivals.hear(40, packet(40, 5))
    assert arrivals.about(24, 45)[-1].sender == "s40"
    arrivals.hear(45, packet(45, 5))
    arrivals.forget()
    assert arrivals.about(45, 50)[0].sender is None
