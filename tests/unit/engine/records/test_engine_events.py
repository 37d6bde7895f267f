from __future__ import annotations

import errno
import json
import os
import stat
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from reclog.engine.records.events import EventLog, Rotated, timestamp


def events_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.log"


class Disk:
    """os, with a disk that takes so many more bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(fd, data[: self.room])
        self.room -= written
        return written


def test_each_event_is_a_line_of_json(path: Path) -> None:
    log = EventLog(str(path))
    log.say("connect", sender="192.0.2.7:4000")
    log.say("paused", reason="No space left on device\n", bytes=12)
    first, second = events_in(path)
    assert first["event"] == "connect"
    assert first["sender"] == "192.0.2.7:4000"
    assert (second["event"], second["reason"], second["bytes"]) == ("paused", "No space left on device\n", 12)
    assert datetime.strptime(first["time"], "%Y-%m-%dT%H:%M:%S.%fZ") <= datetime.strptime(
        second["time"], "%Y-%m-%dT%H:%M:%S.%fZ"
    )


def test_only_its_owner_may_read_it(path: Path) -> None:
    EventLog(str(path)).say("started")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_is_no_text_can_be_said(path: Path) -> None:
    EventLog(str(path)).say("started", file=os.fsdecode(b"caf\xe9"))
    assert os.fsencode(events_in(path)[0]["file"]) == b"caf\xe9"


def test_an_old_log_is_appended_to(path: Path) -> None:
    EventLog(str(path)).say("started")
    EventLog(str(path)).say("stopped")
    assert [event["event"] for event in events_in(path)] == ["started", "stopped"]


def test_what_can_not_be_written_is_kept_for_later(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "events.log"
    log = EventLog(str(path))
    log.say("one")
    log.say("two")
    path.parent.mkdir()
    log.say("three")
    assert [event["event"] for event in events_in(path)] == ["one", "two", "three"]


def test_what_can_not_be_written_is_owed(tmp_path: Path) -> None:
    path, owed = tmp_path / "folder" / "events.log", []
    log = EventLog(str(path), owes=lambda: owed.append(True))
    log.mention("listener full")
    assert owed == [True]
    log.pay()
    assert owed == [True, True]
    path.parent.mkdir()
    log.pay()
    assert [event["event"] for event in events_in(path)] == ["listener full"]
    assert owed == [True, True]


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "events.log"
    log = EventLog(str(path))
    for number in range(Rotated.KEPT + 10):
        log.say("event", number=number)
    path.parent.mkdir()
    log.say("event", number=Rotated.KEPT + 10)
    assert [event["number"] for event in events_in(path)] == list(range(11, Rotated.KEPT + 11))


@pytest.mark.parametrize("room", [1, 30, 60, 75, 100])
def test_a_disk_that_fills_tears_no_event(path: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(str(path))
    with monkeypatch.context() as patch:
        patch.setattr("reclog.engine.records.events.os", Disk(room))
        log.say("paused", reason="No space left on device")
        log.say("listener full", senders=3)
    log.say("resumed", paused_seconds=1.5)
    assert [event["event"] for event in events_in(path)] == ["paused", "listener full", "resumed"]


def test_a_full_log_is_set_aside(path: Path) -> None:
    log = EventLog(str(path))
    log.events.ROTATE_AT = 500
    for number in range(40):
        log.say("event", number=number)
        assert not path.exists() or path.stat().st_size <= 500
    aside = Path(str(path) + ".1")
    assert 500 < aside.stat().st_size < 700
    kept = events_in(aside) + (events_in(path) if path.exists() else [])
    assert [event["number"] for event in kept] == list(range(40))[-len(kept) :]


def test_no_stranger_rotates_a_hole_away(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "events.log"), str(tmp_path / "holes.log"))
    log.events.ROTATE_AT = 500
    log.say("gap", lost_bytes=7)
    for number in range(40):
        log.mention("connect", number=number)
    assert "gap" not in {event["event"] for event in events_in(tmp_path / "events.log.1")}
    assert [event["event"] for event in events_in(tmp_path / "holes.log")] == ["gap"]


def test_no_stranger_crowds_out_a_hole_that_can_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    log = EventLog(str(folder / "events.log"), str(folder / "holes.log"))
    log.say("gap", lost_bytes=7)
    for number in range(Rotated.KEPT):
        log.mention("connect", number=number)
    folder.mkdir()
    log.say("resumed")
    assert [event["event"] for event in events_in(folder / "holes.log")] == ["gap", "resumed"]


@examples(300)
@given(st.integers(0, 4_000_000_000_000))
def test_a_time_is_given_in_utc_with_milliseconds(milliseconds: int) -> None:
    # Half a millisecond in: a float of seconds can't hold most milliseconds exactly.
    seen = datetime.strptime(timestamp(milliseconds / 1000 + 0.0005), "%Y-%m-%dT%H:%M:%S.%fZ")
    assert seen.replace(tzinfo=timezone.utc).timestamp() == milliseconds / 1000


def test_a_time_just_before_the_full_second() -> None:
    assert timestamp(1_699_999_999.9999998) == "2023-11-14T22:13:19.999Z"
    assert timestamp(1_700_000_000.0) == "2023-11-14T22:13:20.000Z"
    assert timestamp(0.0) == "1970-01-01T00:00:00.000Z"


def test_now_is_now() -> None:
    before = datetime.now(timezone.utc).timestamp()
    seen = datetime.strptime(timestamp(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()
    after = datetime.now(timezone.utc).timestamp()
    assert before - 0.001 <= seen <= after


def test_what_much_sending_causes_washes_no_hole_away(tmp_path: Path) -> None:
    events, holes = tmp_path / "events.log", tmp_path / "holes.log"
    log = EventLog(str(events), str(holes))
    log.say("gap", bytes=1)
    log.say("rotated", piece="file.20261126T041500.123Z.log")
    assert [event["event"] for event in events_in(events)] == ["gap", "rotated"]
    assert [event["event"] for event in events_in(holes)] == ["gap"]
