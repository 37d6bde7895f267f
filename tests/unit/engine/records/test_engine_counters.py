from __future__ import annotations

import json
import os
from pathlib import Path

from reclog.engine.records.counters import EVERY, CountersFile
from reclog.engine.system.loop import Loop


def test_changes_are_written_soon_and_not_more_often(loop: Loop, tmp_path: Path) -> None:
    path, lines, now = tmp_path / "counters.json", 0, 1000.0
    loop.now = lambda: now
    CountersFile(loop, str(path), lambda: lines, lambda: {"lines": lines})

    def seen(after: float) -> int:
        nonlocal now
        now += after
        for _ in range(2):  # what a turn finds changed is due in the next
            loop.turn(at_most=0)
        return int(json.loads(path.read_text())["lines"])

    lines = 1
    assert seen(0) == 1
    lines = 2
    assert seen(EVERY * 0.9) == 1
    lines = 3
    assert seen(EVERY * 0.1) == 3
    written = path.stat().st_ino
    assert seen(1000) == 3
    assert path.stat().st_ino == written  # an idle daemon writes nothing
    os.rename(path, tmp_path / "away")
    path.mkdir()  # as on a full disk: it can't be replaced
    lines = 4
    loop.turn(at_most=0)
    now += 1
    loop.turn(at_most=0)
    path.rmdir()
    lines = 5
    assert seen(EVERY) == 5
