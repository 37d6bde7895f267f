"""What the page is told of who said what when; where it is served."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from recordings import THEN, events, indexed, recorded

from reclog.engine.stores.index.format import Run
from reclog.errors import PortBusyError
from reclog.look.query import Question
from reclog.look.view import lane, live, serve, stretch
from reclog.look.view.shelf import about
from reclog.tasks.view import view

LINE = b"line of ten\n"


def runs(count: int, every: int = 1000) -> list[Run]:
    """Return one for each line: a second apart, of two senders."""
    size = len(LINE)
    return [
        Run(at * size, (at + 1) * size, THEN + at * every, ("10.0.0.1", "10.0.0.2")[at % 2])
        for at in range(count)
    ]


def test_what_is_known_of_a_recording(tmp_path: Path) -> None:
    history = recorded(tmp_path / "r", LINE * 100, runs(98), names=["10.0.0.1=kitchen"])
    gap = {"reason": "No space left on device"}
    events(
        tmp_path / "r",
        (THEN / 1000 + 10.5, "paused", gap),
        (THEN / 1000 + 12, "resumed", {"paused_seconds": 1.5}),
    )
    told = about(history)
    assert told["senders"] == [("kitchen", 49 * len(LINE)), ("10.0.0.2", 49 * len(LINE))]
    assert (told["begin"], told["end"]) == (THEN, THEN + 97_000)  # the last two lines are not known of
    assert [(one["at"], one["sec"]) for one in told["gaps"]] == [(11 * len(LINE), 1.5)]
    around = stretch.onward(history, Question(), 10 * len(LINE), 2)["items"]
    assert [one.get("gap", one["at"]) for one in around] == [
        10 * len(LINE),
        "paused: No space left on device",
        11 * len(LINE),
    ]


def test_a_lane_is_counted_once_and_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = recorded(tmp_path / "r", LINE * 100, runs(50))
    counted: list[int] = []
    whole = history.timeline

    def timeline(begin: int, end: int, count: int) -> list[dict[str, int]]:
        counted.append(count)
        return whole(begin, end, count)

    monkeypatch.setattr(history, "timeline", timeline)
    mine = lane.Lane(history, THEN, 10_000)
    told = mine.until(5)
    assert told["done"]
    assert [sum(one.values()) for one in told["buckets"]] == [10 * len(LINE)] * 5
    assert mine.until(5)["buckets"] == told["buckets"]
    assert sum(counted) == 5
    with Path(history.file).open("ab") as file:
        file.write(LINE)
    indexed(history, runs(60))
    assert [sum(one.values()) for one in mine.until(6)["buckets"]] == [10 * len(LINE)] * 6
    assert sum(counted) == 5 + 3


def test_a_lane_takes_no_longer_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = recorded(tmp_path / "r", LINE * 100, runs(100))
    monkeypatch.setattr(lane, "WITHIN", 0.0)
    mine, asked = lane.Lane(history, THEN, 1000), 0
    while not mine.until(100)["done"]:
        asked += 1
        monkeypatch.setattr(lane, "WITHIN", 1e-9)
        mine._count(7)
    assert asked == 15


def test_a_line_that_the_index_does_not_tell_of_yet_is_held_back_for_a_moment(tmp_path: Path) -> None:
    history = recorded(tmp_path / "r", LINE * 4, runs(4))
    followed = live.Followed(history, Question(), 3 * len(LINE))
    followed.news()
    with Path(history.file).open("ab") as file:
        file.write(LINE)
    held = followed.news()
    assert held is not None
    assert held["items"] == []
    indexed(history, runs(5))
    told = followed.news()
    assert told is not None
    assert [one["t"] for one in told["items"]] == [THEN + 4000]
    with Path(history.file).open("ab") as file:
        file.write(LINE)
    found = [followed.news() for _ in range(live._LOOKS + 1)]  # nothing ever tells
    assert [one["t"] for some in found if some for one in some["items"]] == [None]


def test_of_a_flood_those_are_told_that_the_index_reaches(tmp_path: Path) -> None:
    history = recorded(tmp_path / "r", LINE * 1000, runs(700))
    followed = live.Followed(history, Question(), 0)
    told = followed.news()
    assert told is not None
    assert told["skipped"]
    assert [one["t"] for one in told["items"]] == [THEN + at * 1000 for at in range(500, 700)]
    indexed(history, runs(800))
    told = followed.news()
    assert told is not None
    assert told["items"][-1]["t"] == THEN + 799_000


def test_the_first_port_that_is_free_is_taken_and_one_that_is_asked_for_or_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve.listen(0) as busy:
        port = busy.getsockname()[1]
        assert busy.getsockname()[0] == "127.0.0.1"
        monkeypatch.setattr(serve, "PORT", port)
        with serve.listen(None) as other:
            assert port < other.getsockname()[1] < port + serve._TRIED
        with pytest.raises(PortBusyError, match=f"Port {port} can't be used"):
            serve.listen(port)
    assert isinstance(busy, socket.socket)


def test_without_the_extra_there_is_a_sentence_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Exit, match=r"not installed here: `sh /.*bootstrap\.sh view` brings it\.") as refused:
        view.body(Context())
    assert refused.value.code == 1
