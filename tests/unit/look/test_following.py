"""What comes to a recording while somebody looks on."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from reclog.engine.records.events import timestamp
from reclog.look.following import Following
from reclog.look.query import Gap, History, Line, Question
from reclog.recordings.recording import Recording
from reclog.recordings.registry import Registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.log"


@pytest.fixture
def recording(tmp_path: Path, file: Path) -> Recording:
    return Registry(tmp_path).new("local-1", {"port": 1, "file": str(file)})


@pytest.fixture
def following(recording: Recording) -> Iterator[Following]:
    following = Following(History(recording), Question(), 0)
    yield following
    following.close()


def texts(found: Iterator[Line | Gap]) -> list[bytes | str]:
    return [one.text if isinstance(one, Line) else one.sentence for one in found]


def add(file: Path, data: bytes) -> None:
    with file.open("ab") as open_file:
        open_file.write(data)


def test_each_line_comes_once_and_whole(file: Path, following: Following) -> None:
    assert texts(following.new()) == []  # there is no file yet
    add(file, b"one\ntw")
    assert texts(following.new()) == [b"one"]
    assert texts(following.new()) == []
    add(file, b"o")
    assert texts(following.new()) == []
    add(file, b"\nthree\n\nfo")
    assert texts(following.new()) == [b"two", b"three", b""]
    assert following.left() == 2
    assert texts(following.rest()) == [b"fo"]
    assert (texts(following.rest()), following.left()) == ([], 0)


def test_who_stops_in_between_goes_on_there(file: Path, following: Following) -> None:
    add(file, b"one\ntwo\nthree\n")
    assert texts(itertools.islice(following.new(), 2)) == [b"one", b"two"]
    add(file, b"four\n")
    assert texts(following.new()) == [b"three", b"four"]


def test_it_begins_where_it_is_told(recording: Recording, file: Path) -> None:
    add(file, b"old\nnew\n")
    assert texts(Following(History(recording), Question(), 4).new()) == [b"new"]


def test_a_long_line_is_looked_through_once(
    file: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reclog.look.lines.BLOCK", 1000)
    add(file, b"x" * 10_000)
    assert texts(following.new()) == []
    add(file, b"y" * 10)
    with mock.patch("os.pread", wraps=os.pread) as pread:
        assert texts(following.new()) == []
    assert [call.args[1:] for call in pread.call_args_list] == [(10, 10_000)]


def test_a_file_that_is_renamed_is_read_to_its_end_first(file: Path, following: Following) -> None:
    add(file, b"one\n")
    assert texts(following.new()) == [b"one"]
    add(file, b"two\nopen")
    file.rename(file.with_suffix(".1"))
    assert texts(following.new()) == [b"two"]  # another one is to come
    add(file.with_suffix(".1"), b" end\n")
    add(file, b"three\n")
    assert texts(following.new()) == [b"open end"]
    assert texts(following.new()) == [b"three"]


def test_a_file_that_is_truncated_is_read_anew(file: Path, following: Following) -> None:
    add(file, b"one\ntwo\n")
    assert texts(following.new()) == [b"one", b"two"]
    file.write_bytes(b"1\n")
    assert texts(following.new()) == [b"1"]


def test_gaps_come_when_they_are_stated(recording: Recording, file: Path) -> None:
    def say(event: str, **facts: object) -> None:
        words = json.dumps({"time": timestamp(), "event": event, **facts}) + "\n"
        add(recording.folder / "holes.log", words.encode())

    say("gap", start=0, end=1024, reason="power lost")
    following = Following(History(recording), Question(), 0)
    assert texts(following.new()) == []  # that was before
    say("paused", reason="No space left on device")
    add(file, b"one\n")
    assert texts(following.new()) == ["paused: No space left on device", b"one"]
    say("resumed", paused_seconds=4.2)
    assert texts(following.new()) == ["4.2 s: paused: No space left on device"]
    assert texts(following.rest()) == []
