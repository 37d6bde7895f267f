"""The short form of the benchmark: it runs, and reclog loses nothing in it. Its times are not judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench import Home

OURS = ("reclog, builtin", "reclog, socat")


@pytest.mark.timeout(240)
def test_the_quick_benchmark_runs_and_reclog_keeps_every_line(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Of what stands beside it the campaign of the whole benchmark tells.
    words = ["--quick", "--folder", str(tmp_path), "--out", str(out), "--work", "1", "--system", "reclog"]
    done = home.inv("dev.bench", *words, timeout=220, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads((out / "results.json").read_text("utf-8"))
    assert "1" in results["works"]
    assert results["quick"]
    assert results["reclog_lost"] == []
    rows = [row for work in results["works"].values() for row in work["rows"]]
    ours = [row for row in rows if row["system"] in OURS]
    assert {row["system"] for row in ours} == set(OURS)
    for row in rows:
        assert not row["note"].startswith("failed"), row
    for row in ours:
        assert row["runs"], row
        for run in row["runs"]:
            wrong = {name: run[name] for name in ("lost", "doubled", "torn", "disordered")}
            assert not any(wrong.values()), row
    assert list(out.glob("*.svg")) or "matplotlib is not here" in done.stderr


def test_wrong_words_are_refused(home: Home) -> None:
    done = home.inv("dev.bench", "--work", "99")
    assert done.returncode == 2
    assert "choose from" in done.stderr
