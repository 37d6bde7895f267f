"""What is told of recordings past and present."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reclog.look.history import COLUMNS, describe, events, fitted, row
from reclog.recordings.recording import Recording

STARTED, ENDED = "2026-11-26T10:00:00.000Z", "2026-11-26T23:00:00.500Z"
PAST = {"kind": "local", "port": 1, "started": STARTED, "ended": ENDED, "counters": {"lines": 5}}


def recording(tmp_path: Path, *logged: dict[str, Any], **facts: Any) -> Recording:
    folder = tmp_path / "local-1"
    folder.mkdir()
    file = tmp_path / "a.log"
    file.write_text("said\n")
    (folder / "past.json").write_text(json.dumps({**PAST, "file": str(file), **facts}))
    (folder / "holes.log").write_text("".join(json.dumps(one) + "\n" for one in logged))
    return Recording(folder)


def gap(second: int) -> dict[str, Any]:
    time = f"2026-11-26T10:00:{second:02d}.000Z"
    return {"time": time, "event": "gap", "start": 0, "end": 10, "reason": "x"}


def began(time: str = STARTED) -> dict[str, Any]:
    return {"time": time, "event": "started"}


@pytest.mark.parametrize(
    ("logged", "facts", "said"),
    [
        ([began()], {}, "2026-11-26T10:00Z to 23:00Z, 5 lines, 5 B"),
        ([began(), gap(1), gap(2)], {}, "2026-11-26T10:00Z to 23:00Z, 5 lines, 5 B, 2 gaps"),
        (
            [began("2026-11-25T09:00:00.000Z")],
            {},
            "2026-11-25T09:00Z to 2026-11-26T23:00Z, 5 lines in its last run, 5 B",
        ),
        ([began()], {"ended": ""}, "from 2026-11-26T10:00Z, until it was killed, 5 lines, 5 B"),
        ([began()], {"file": "/no/such"}, "2026-11-26T10:00Z to 23:00Z, 5 lines, its file is gone"),
        (
            [began()],
            {"file": "", "files": "/l/{recording}.log"},
            "2026-11-26T10:00Z to 23:00Z, 5 lines, its files by themselves",
        ),
        ([began()], {"counters": {"lines": None}}, "2026-11-26T10:00Z to 23:00Z, 5 B"),
        ([], {"started": 5, "ended": []}, "from an unknown time, until it was killed, 5 lines, 5 B"),
    ],
)
def test_one_that_has_ended(tmp_path: Path, logged: list[Any], facts: dict[str, Any], said: str) -> None:
    (one,) = describe([recording(tmp_path, *logged, **facts)])
    name, told = fitted(one, 200)
    assert name == f"local-1  {one['files'] or one['file']}"
    assert told == f"    {said}"
    assert len(row(one)) == len(COLUMNS)


def test_eighty_columns(tmp_path: Path) -> None:
    long = "/home/you/" + "a-folder-of-mine/" * 10 + "\x1b[2J.log"
    one = recording(tmp_path, began("2020-01-01T00:00:00.000Z"), *map(gap, range(9)), file=long)
    lines = fitted(describe([one])[0], 80)
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("local-1  /home/you/")
    assert lines[0].endswith("\\x1b[2J.log")


@pytest.mark.parametrize("width", [0, 80])
def test_events_are_whole_and_do_nothing(tmp_path: Path, width: int) -> None:
    odd = {
        "time": "\x1b]8;;x",
        "event": "\u202eev\n",
        "\x9bname": "\x1b[2J" + "w" * 200,
        "deep": {"a": ["\r"]},
    }
    one = recording(tmp_path, odd, {"no": 1}, {**gap(3), "sender": "10.0.0.1:5"})
    lines = list(events(one, width))
    assert all(map(str.isprintable, lines))
    assert max(map(len, lines)) <= (width or 1000)
    text = " ".join("".join(lines).split())
    for word in ("\\x1b]8;;x", "\\u202eev\\x0a", "\\x9bname: \\x1b[2J", "sender: 10.0.0.1:5", "start: 0"):
        assert word in text
    assert len(lines) == 3 or width
