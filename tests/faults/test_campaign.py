"""The campaign itself: its rounds can be run again, and it charges lines to the fault that they met."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from typing import Any

from bench import Home
from campaign import FAULTS_A_ROUND, Lane, Row, _names, rounds
from lan import Lan
from stage import Stage

FAULTS: dict[str, Any] = {f"fault {number}": None for number in range(50)}


def made(faults: dict[str, Any]) -> Lane:
    return Lane("lane", lambda home: Lan(home, "builtin"), faults)


def test_a_round_can_be_run_again_alone() -> None:
    assert _names(made(FAULTS), 7, 4, "") == _names(made(FAULTS), 7, 4, "")
    assert _names(made(FAULTS), 7, 4, "") != _names(made(FAULTS), 8, 4, "")
    assert _names(made(FAULTS), 7, 4, "") != _names(made(FAULTS), 7, 1, "")


def test_each_fault_has_its_turn_before_any_has_another() -> None:
    a_turn = math.ceil(len(FAULTS) / FAULTS_A_ROUND)
    for turn in range(3):
        rounds = [_names(made(FAULTS), 7, turn * a_turn + part, "") for part in range(a_turn)]
        assert sorted(name for names in rounds for name in names) == sorted(FAULTS)


def test_only_faults_that_are_asked_for() -> None:
    assert sorted(_names(made(FAULTS), 7, 0, "fault 1")) == sorted(n for n in FAULTS if "fault 1" in n)
    assert _names(made(FAULTS), 7, 0, "nothing like it") == []


def test_rows_are_summed_but_for_the_longest_recovery() -> None:
    row = Row(times=1, sent=10, recorded=9, lost=1, recovery=2.0)
    row.add(Row(times=2, sent=5, recorded=5, recovery=1.0))
    assert row == Row(times=3, sent=15, recorded=14, lost=1, recovery=2.0)


def quietly_truncated(stage: Stage) -> None:
    """What no promise allows: lines are taken, and nobody says so."""
    os.truncate(stage.system.files[-1], 0)


def test_a_broken_promise_is_seen_and_charged_to_its_fault() -> None:
    bad = Lane("bad", lambda home: Lan(home, "builtin"), {"quietly truncated": quietly_truncated})
    result = next(rounds(bad, seed=1, until=time.monotonic() + 60, single=0))
    assert "lost: " in result["failure"]
    assert sum(row["lost"] for row in result["rows"].values()) > 0
    assert result["rows"]["quietly truncated"]["times"] == 1
    shutil.rmtree(result["failure"].rpartition("what is left of it: ")[2])


def test_inv_faults_shows_a_table(home: Home) -> None:
    words = ["--round", "0", "--system", "lan-builtin", "--fault", "recorder frozen", "--seed", "3"]
    out = home.path / "results.json"
    done = home.inv("dev.faults", *words, "--json", str(out))
    assert done.returncode == 0, done.stderr + done.stdout
    assert re.search(r"│ recorder frozen\s*│\s*1 │", done.stdout)
    assert "seed 3: 2 faults, every promise was kept" in done.stdout
    row = json.loads(out.read_text())["systems"]["lan-builtin"]["recorder frozen"]
    assert row["sent"] == row["recorded"] > 0


def test_wrong_words_of_inv_faults_are_refused(home: Home) -> None:
    for words in (
        ["--minutes", "soon"],
        ["--system", "nothing"],
        ["--system", "lan-builtin", "--fault", "x?"],
    ):
        done = home.inv("dev.faults", *words)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()
