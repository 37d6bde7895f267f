"""What is shown of a recording while one stays with it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from reclog.errors import NotDrainedError
from reclog.look.foreground import _Screen, _summary, stay_with
from reclog.recordings.recording import Recording
from reclog.recordings.registry import Registry


def counting(tmp_path: Path, **counters: Any) -> Recording:
    recording = Registry(tmp_path).new("local-1", {"port": 1})
    (recording.folder / "counters.json").write_text(json.dumps(counters))
    return recording


@pytest.mark.parametrize("reason", ["y" * 500, "\u6f22" * 500, "no " * 100, "\u6f22 " * 100, "full"])
def test_the_row_below_is_one_row_with_room_for_a_ctrl_c(
    reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    screen = _Screen()
    assert screen.show([], f"paused ({reason}), 1 line, 5 B, 1 sender")
    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[7mpaused (")
    row = shown.removeprefix("\x1b[7m").removesuffix("\x1b[m")
    assert cell_len(row) <= 80 - len("^C^C")
    assert (row.isprintable(), "1 sender" in row) == (True, " " not in reason)


def test_lines_come_above_the_row_and_the_row_goes_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    screen = _Screen()
    screen.show(["one"], "1 line")
    screen.show([], "1 line")  # nothing new is nothing drawn
    screen.show(["two", "three"], "3 lines")
    screen.show([], "")
    shown = capsys.readouterr().out
    assert shown == "one\n\x1b[7m1 line\x1b[m\r\x1b[Ktwo\nthree\n\x1b[7m3 lines\x1b[m\r\x1b[K"


def test_where_no_row_can_be_there_are_the_lines_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not _Screen().live
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert not _Screen().live


@pytest.mark.parametrize("wrong", [None, "\x1b[31m", [], {}, -1, True])
def test_counters_that_make_no_sense_are_shown_as_none(tmp_path: Path, wrong: Any) -> None:
    names = ("lines", "bytes", "senders", "last_line", "state", "lines_per_second", "paused_for")
    shown = _summary(counting(tmp_path, **dict.fromkeys(names, wrong)))
    assert shown.isprintable()
    assert "0 B, 0 senders" in shown


class Ended:
    """A daemon that has ended when it is looked at."""

    returncode = 0

    def poll(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("facts", "over", "trouble"),
    [
        ({"lines": 2, "bytes": 8, "drained": True}, True, ""),
        ({"lines": 2, "bytes": 8, "left_bytes": 5, "left_senders": 1}, True, "5 B of 1 sender could not be"),
        ({}, True, "it is not known whether all"),
        # The relay has it, and goes on.
        ({"lines": 2, "bytes": 8, "drained": False, "left_bytes": 5}, False, ""),
    ],
)
def test_what_could_not_be_recorded_is_an_error(
    facts: dict[str, Any],
    over: bool,
    trouble: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("reclog.recordings.stopped.LastWord.facts", lambda word: facts)
    recording = counting(tmp_path)
    with pytest.raises(NotDrainedError, match=trouble) if trouble else contextlib.nullcontext():
        stay_with(recording, Ended(), 0, over)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ("Stopped: 2 lines, 8 B recorded.\n" if facts else "")
    assert (recording.folder / "config.json").exists() == (not over)
