"""What recordings say, printed: last lines, new ones, several recordings, and every form of them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from recordings import THEN, events, indexed, recorded

import reclog.look.tail
from reclog.engine.stores.index.format import Run
from reclog.look.following import Following
from reclog.look.forms import Form, Json, Plain, Stamped, when
from reclog.look.query import History, Line, Question
from reclog.look.tail import not_known, show


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reclog.look.tail, "LOOK_EVERY", 0.0)


def shown(
    histories: list[History],
    *steps: Callable[[], object],
    count: int | None = 10,
    question: Question | None = None,
    form: Form | None = None,
) -> list[str]:
    """Return what is shown when each of `steps` happens once the one before was seen."""
    left, looks, out = list(steps), 0, io.StringIO()

    def goes_on() -> bool:
        nonlocal looks
        looks += 1
        if steps and looks % 3:  # time to notice, before the next step
            return True
        if left:
            left.pop(0)()
            return True
        return False

    show(histories, question or Question(), count, form or Plain(histories), out, goes_on)
    return out.getvalue().splitlines()


def append(history: History, data: bytes) -> Callable[[], object]:
    def write() -> None:
        with open(history.file, "ab") as file:
            file.write(data)

    return write


@pytest.mark.parametrize(
    ("data", "count", "lines"),
    [
        (b"", 10, []),
        (b"a\nb\nc\n", 2, ["b", "c"]),
        (b"a\nb\nc", 2, ["b", "c"]),
        (b"a\nb\n", 0, []),
        (b"\n\n\n", 2, ["", ""]),
        (b"a\r\nb\r\n", 1, ["b"]),
        (b"50%\r100%\r\ndone\n", 2, [r"50%\x0d100%", "done"]),
        (b"\x1b[2J\xff\n", 1, [r"\x1b[2J\xff"]),
        (b"\x1b[31mred\n\xe2\x80\xae\n", 2, ["\x1b[31mred\x1b[0m", r"\u202e"]),
    ],
)
def test_last_lines(tmp_path: Path, data: bytes, count: int, lines: list[str]) -> None:
    assert shown([recorded(tmp_path, data)], count=count) == lines


def test_it_begins_with_the_last_lines_and_goes_on(tmp_path: Path) -> None:
    history = recorded(tmp_path, b"1\n2\n3\n")
    assert shown([history], append(history, b"4\n5"), append(history, b"5\n"), count=2) == [
        "2",
        "3",
        "4",
        "55",
    ]


def test_what_is_not_whole_yet_is_shown_when_it_is_or_at_the_end(tmp_path: Path) -> None:
    history = recorded(tmp_path, b"whole\nha")
    assert shown([history], append(history, b"lf")) == ["whole", "half"]


def test_rotation_joins_no_half_line_to_the_new_file(tmp_path: Path) -> None:
    history = recorded(tmp_path, b"old\nhalf")
    file = Path(history.file)

    def rotate() -> None:
        append(history, b"\nlast")()
        file.rename(file.with_suffix(".1"))
        file.write_bytes(b"new\n")

    assert shown([history], rotate) == ["old", "half", "last", "new"]


def test_truncation(tmp_path: Path) -> None:
    history = recorded(tmp_path, b"old\na half line")
    assert shown([history], lambda: os.truncate(history.file, 0), append(history, b"new\n")) == ["old", "new"]


def test_of_a_line_without_an_end_the_beginning_is_shown(tmp_path: Path) -> None:
    history = recorded(tmp_path, b"x" * 3_000_000 + b"\nlast\n")
    cut, last = shown([history])
    assert (cut[:1_048_576], cut[1_048_576:], last) == ("x" * 1_048_576, " [... 1.9 MiB more]", "last")


def test_several_recordings_are_named_and_in_the_order_of_time(tmp_path: Path) -> None:
    one = recorded(tmp_path / "one", b"1\n2\n?\n", [Run(0, 2, THEN, "a"), Run(2, 4, THEN + 2000, "a")])
    two = recorded(tmp_path / "two", b"3\n4\n", [Run(0, 4, THEN + 1000, "a")])
    assert shown([one, two]) == ["one 1", "two 3", "two 4", "one 2", "one ?"]


def test_senders_are_named_once_there_are_several(tmp_path: Path) -> None:
    names = {"names": ["10.0.0.1=kitchen"]}
    alone = recorded(tmp_path / "one", b"1\n2\n", [Run(0, 2, THEN, "10.0.0.1")], **names)
    assert shown([alone]) == ["1", "2"]
    runs = [Run(0, 2, THEN, "10.0.0.1"), Run(2, 4, THEN, "10.0.0.2")]
    several = recorded(tmp_path / "two", b"1\n2\n3\n", runs, **names)
    assert shown([several]) == ["kitchen 1", "10.0.0.2 2", "unknown 3"]
    coloured = shown([several], form=Plain([several], coloured=True))
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == ["kitchen 1", "10.0.0.2 2", "unknown 3"]
    assert len({line.split("m")[0] for line in coloured}) == 3


def test_gaps_stand_in_their_places(tmp_path: Path) -> None:
    runs = [Run(0, 2, THEN, "a"), Run(2, 4, THEN + 9000, "a")]
    history = recorded(tmp_path / "x", b"1\n2\n", runs)
    paused = (THEN / 1000 + 1, "paused", {"reason": "disk full\x1b[2J"})
    events(history.recording.folder, paused, (THEN / 1000 + 5.2, "resumed", {"paused_seconds": 4.2}))
    assert shown([history]) == ["1", "── 4.2 s: paused: disk full\\x1b[2J ──", "2"]
    assert shown([history], form=Stamped([history], "--")) == [
        "2026-09-21T14:13:20.000Z a 1",
        "2026-09-21T14:13:21.000Z -- 4.2 s: paused: disk full\\x1b[2J --",
        "2026-09-21T14:13:29.000Z a 2",
    ]
    assert [json.loads(line)["text"] for line in shown([history], form=Json())] == ["1", "2"]


def test_a_gap_behind_the_last_line_is_shown_when_it_is_stated(tmp_path: Path) -> None:
    history = recorded(tmp_path, b"1\n", [Run(0, 2, THEN, "a")])
    state = (THEN / 1000 + 1, "paused", {"reason": "disk full"})
    assert shown([history], lambda: events(tmp_path, state)) == ["1", "── paused: disk full ──"]
    assert shown([history]) == ["1", "── paused: disk full ──"]


def test_a_line_waits_for_the_index_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("reclog.look.following.time.monotonic", lambda: now[0])
    history = recorded(tmp_path, b"1\n", [Run(0, 2, THEN, "a")])
    with contextlib.closing(Following(history, Question(), 0)) as following:

        def new() -> list[tuple[bytes, str | None]]:
            return [(one.text, one.sender) for one in following.new() if isinstance(one, Line)]

        assert new() == [(b"1", "a")]
        append(history, b"2\n")()
        assert new() == []
        append(history, b"half")()
        indexed(history, [Run(0, 2, THEN, "a"), Run(2, 4, THEN + 1, "b")])
        assert new() == [(b"2", "b")]
        append(history, b" 3\n")()
        assert new() == []
        now[0] += 0.3  # the index comes no further
        assert new() == [(b"half 3", None)]
        append(history, b"4\n")()
        assert new() == [(b"4", None)]


def test_milliseconds_stay_what_they_are() -> None:
    for ms in range(THEN, THEN + 1000):
        assert str(when(Line(0, 1, b"", ms / 1000, None))).endswith(f".{ms % 1000:03d}Z")


def test_json(tmp_path: Path) -> None:
    history = recorded(tmp_path / "x", b"caf\xc3\xa9 \xff\0\x1b\r\nb", [Run(0, 3, THEN + 123, "10.0.0.1")])
    one, two = shown([history], form=Json())
    assert one.isascii()
    assert one.isprintable()
    said = {"recording": "x", "time": "2026-09-21T14:13:20.123Z", "sender": "10.0.0.1", "offset": 0}
    assert json.loads(one) == {**said, "text": "caf\xe9 \\xff\0\x1b"}
    assert json.loads(two) == {"recording": "x", "time": None, "sender": None, "offset": 11, "text": "b"}


def test_a_stamp_that_is_there_is_not_repeated(tmp_path: Path) -> None:
    line = b"2026-09-21T14:13:20.123Z 10.0.0.1:4711 hello\n"
    assert shown([recorded(tmp_path, line, stamp=True)]) == [line.decode().strip()]
    history = recorded(tmp_path, line, stamp=True)
    assert shown([history], form=Stamped([history])) == ["2026-09-21T14:13:20.123Z 10.0.0.1 hello"]


def test_what_nobody_can_know_is_said_once(tmp_path: Path) -> None:
    question, nothing = Question(since=1.0), recorded(tmp_path / "x", b"1\n2\n")
    assert [*not_known([nothing], question)] == [
        "x: nothing tells when its lines came or who said them: --since and --sender find none."
    ]
    known = recorded(tmp_path / "y", b"1\n2\n", [Run(0, 2, THEN, "b")])
    assert [*not_known([known], Question(senders=frozenset({"b"})))] == [
        "y: of 2 B it is not known who said them; --sender leaves those out."
    ]
    assert [*not_known([known], Question(senders=frozenset({"c"})))][1:] == [
        "y: nobody called c has said anything yet."
    ]
    assert [*not_known([known], Question())] == []
