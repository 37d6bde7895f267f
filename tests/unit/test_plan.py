"""The plan in docs/scale.md is what its program makes of what was measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.plan import RESULTS, costs, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def test_the_table_is_the_programs() -> None:
    made = table(costs(json.loads(RESULTS.read_text("utf-8"))))
    assert "\n".join(made) in PAGE.read_text("utf-8")
