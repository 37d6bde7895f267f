"""The plan in docs/scale.md is what its program makes of what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.planning.plan import RATES, kept, markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def test_the_tables_are_the_programs() -> None:
    for table in markdown(kept()).split("\n\n"):
        assert table in PAGE.read_text("utf-8")


@pytest.mark.parametrize("part", ["relay", "server"])
def test_a_share_is_what_was_measured_and_grows_from_there(part: str) -> None:
    found = kept()
    recordings = 3 if part == "server" else 1
    for one, rate in zip(found.calm, RATES, strict=True):
        assert found.share(part, rate) == pytest.approx(one.cpu[part] / recordings / one.seconds)
    further = found.flood.cpu[part] / recordings / found.flood.lines
    assert found.share(part, RATES[1] + 500) - found.share(part, RATES[1]) == pytest.approx(500 * further)
    # Fewer lines than were measured are not taken to cost less.
    assert found.share(part, 1) == found.share(part, RATES[0])
