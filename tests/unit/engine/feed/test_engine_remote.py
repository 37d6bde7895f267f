from __future__ import annotations

import time
from typing import Any

import pytest

from reclog.engine.feed.remote import Remote


@pytest.mark.parametrize(("ahead", "took"), [(0.0, 0.0), (7200.25, 0.08), (-3.0, 1.0)])
def test_how_far_its_clock_is_ahead_is_known_but_for_half_the_way(
    ahead: float, took: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000 + now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    remote = Remote()
    assert remote.ask() == {"runs": True}
    shown = round((1_700_000_000 + now[0] + took * 0.9 + ahead) * 1000)  # the way there was the longer one
    now[0] += took
    remote.answered({"runs": True, "now_ms": shown})
    facts = remote.shown()
    assert abs(facts["clock_ahead_ms"] - ahead * 1000) <= facts["clock_within_ms"] + 1
    assert facts["clock_within_ms"] <= took * 500 + 1


@pytest.mark.parametrize("answer", [{}, *({"now_ms": one} for one in (None, "1", True, 1.5, -1, 1 << 60))])
def test_of_a_clock_that_says_nothing_nothing_is_known(answer: dict[str, Any]) -> None:
    remote = Remote()
    remote.ask()
    remote.answered({"now_ms": 5})
    assert remote.clock_ahead_ms is not None
    remote.answered(answer)
    assert remote.clock_ahead_ms is remote.clock_within_ms is None
