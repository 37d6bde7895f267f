"""What is shown of a recording while one stays with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from reclog.look.foreground import _summary
from reclog.recordings.registry import Recording, Registry


def counting(tmp_path: Path, **counters: Any) -> Recording:
    recording = Registry(tmp_path).new("local-1", {"port": 1})
    (recording.folder / "counters.json").write_text(json.dumps(counters))
    return recording


@pytest.mark.parametrize("last_line", ["y" * 500, "\u6f22" * 500, "", "short"])
def test_the_last_row_has_room_for_a_ctrl_c(tmp_path: Path, last_line: str) -> None:
    recording = counting(tmp_path, lines=1, bytes=5, senders=1, last_line=last_line)
    head, last = _summary(recording, width=80).split("\n")
    assert head == "dead, 1 line, 5 B, 1 sender"
    assert cell_len(last) <= 80 - len("^C^C")
    assert last_line.startswith(last)


@pytest.mark.parametrize("wrong", [None, "\x1b[31m", [], {}, -1, True])
def test_counters_that_make_no_sense_are_shown_as_none(tmp_path: Path, wrong: Any) -> None:
    names = ("lines", "bytes", "senders", "last_line", "state")
    shown = _summary(counting(tmp_path, **dict.fromkeys(names, wrong)), width=80)
    assert shown.replace("\n", "").isprintable()
    assert "0 B, 0 senders" in shown
    shown = _summary(counting(tmp_path, paused_for=wrong))
    assert shown.isprintable()
