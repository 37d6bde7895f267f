"""What is kept of recordings that have ended, taken up again, and forgotten."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reclog.engine.daemons.config import RecorderConfig
from reclog.engine.daemons.daemon import Daemon
from reclog.engine.records import past as record
from reclog.engine.stores import pieces
from reclog.engine.system.identity import Identity
from reclog.errors import NoSuchRecordingError, ReclogError
from reclog.recordings import past
from reclog.recordings.choice import named
from reclog.recordings.logs import all_events, first_event
from reclog.recordings.recording import Recording
from reclog.recordings.registry import Registry

STARTED, ENDED = "2026-11-26T10:00:00.000Z", "2026-11-26T11:00:00.000Z"
FACTS = {"kind": "local", "port": 1, "started": STARTED, "secret": "s", "token": "t"}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "reclog")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "a.log"
    file.write_text("said\n")
    return file


def dead(registry: Registry, file: Path, name: str = "local-1", **facts: Any) -> Recording:
    """Return a recording whose daemon was killed."""
    recording = registry.new(name, {"file": str(file), **facts})
    nobody = Identity.of(os.getpid())._replace(started="1")._asdict()
    state = {**FACTS, "file": str(file), "identity": nobody, **facts}
    (recording.folder / "state.json").write_text(json.dumps(state))
    (recording.folder / "counters.json").write_text('{"lines": 5, "bytes": 50}')
    (recording.folder / "events.log").write_text(f'{{"time": "{STARTED}", "event": "started"}}\n')
    return Recording(recording.folder)


def ended(registry: Registry, file: Path, name: str = "local-1", **facts: Any) -> Recording:
    recording = dead(registry, file, name, **facts)
    recording.clean()
    return Recording(recording.folder)


def test_what_it_was_is_known_and_no_secret(registry: Registry, file: Path) -> None:
    recording = ended(registry, file)
    assert (recording.is_past, recording.state, recording.corrupt) == (True, "past", "")
    assert (recording.file, recording.port, recording.count("lines")) == (str(file), 1, 5)
    assert recording.fact("started") == STARTED
    assert {"secret", "token", "identity"}.isdisjoint(recording.facts)
    assert registry.recordings() == []
    assert [one.name for one in registry.known()] == ["local-1"]
    assert {path.name for path in recording.folder.iterdir()} == {"past.json", "events.log"}


def test_what_a_daemon_told_as_it_ended_stands(registry: Registry, file: Path) -> None:
    recording = dead(registry, file)
    record.keep(str(recording.folder), recording.facts, {"lines": 7}, ENDED)
    recording.clean()  # it was killed before it had removed the rest
    now = Recording(recording.folder)
    assert (now.is_past, now.count("lines"), now.fact("ended")) == (True, 7, ENDED)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(7))
def test_a_daemon_that_is_killed_as_it_leaves_is_dead_or_past(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    told = {"bind": "::", "listener": "builtin", "allow": [], "stamp": False, "partial_after": 2}
    folder = registry.new("local-1", {**told, "port": 1, "file": str(file)}).folder
    daemon = Daemon(str(folder))
    daemon.lock()
    daemon.told(RecorderConfig)
    daemon.announce(listener="builtin")
    daemon.log.say("started")
    daemon.stopped(lines=3, bytes=15)
    left = [step]

    def dies(way: Callable[..., None]) -> Callable[..., None]:
        def die(*words: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            way(*words)

        return die

    for name in ("replace", "unlink"):
        monkeypatch.setattr(os, name, dies(getattr(os, name)))
    with contextlib.suppress(Killed):
        daemon.leave()
    monkeypatch.undo()
    os.close(daemon._lock_fd)
    daemon._control.close()
    for recording in registry.recordings():
        assert not recording.is_past
        recording.clean()
    (recording,) = registry.past()
    assert (recording.file, recording.fact("listener")) == (str(file), "builtin")
    assert recording.fact("ended") >= recording.fact("started")
    assert registry.recordings() == []


def test_what_an_earlier_run_told_does_not_stand_for_a_later_one(registry: Registry, file: Path) -> None:
    first = dead(registry, file)
    record.keep(str(first.folder), first.facts, {"lines": 7}, ENDED)
    first.clean()
    again = ended(registry, file, started="2026-11-26T12:00:00.000Z", port=2)
    assert (again.name, again.port, again.count("lines"), again.fact("ended")) == ("local-1", 2, 5, "")


def test_a_start_that_failed_leaves_what_was_there_before(registry: Registry, file: Path) -> None:
    was = ended(registry, file).facts
    failed = registry.new("local-1", {"file": str(file), "port": 9})
    assert not failed.is_past
    assert registry.past() == []
    failed.clean(began=False)
    assert Recording(failed.folder).facts == was
    fresh = registry.new("local-5", {"file": "/another.log"})
    fresh.clean(began=False)
    assert not fresh.folder.exists()


@pytest.mark.parametrize("lost", ["state.json", "counters.json", "config.json"])
def test_what_of_it_is_lost_keeps_it_from_nothing(registry: Registry, file: Path, lost: str) -> None:
    recording = dead(registry, file)
    (recording.folder / lost).unlink()
    recording.clean()
    assert Recording(recording.folder).is_past
    assert Recording(recording.folder).file == str(file)


def test_a_full_disk_has_room_for_another_name(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "write_json", full)
    recording = ended(registry, file)
    assert (recording.is_past, recording.file, recording.fact("started")) == (True, str(file), STARTED)


def test_a_file_has_one_folder_and_a_folder_one_file(registry: Registry, file: Path, tmp_path: Path) -> None:
    first = ended(registry, file)
    (first.folder / "index").write_text("of a.log")
    other = ended(registry, tmp_path / "b.log")
    assert (first.name, other.name) == ("local-1", "local-1-2")
    linked = tmp_path / "link.log"
    linked.symlink_to(file)
    again = registry.new("local-1", {"file": str(linked)})
    assert again.name == "local-1"
    again.clean(began=False)
    # By another way it has another name: its history goes along.
    moved = registry.new("tremplin-x-1", {"file": str(file)})
    assert (moved.folder / "index").read_text() == "of a.log"
    assert not first.folder.exists()
    assert [one.name for one in registry.past()] == ["local-1-2"]
    # Who records into it at the same time, a device as it must be, does not have it.
    assert registry.new("local-1", {"file": str(file)}).name == "local-1"


def test_a_name_is_found_or_said_to_be_none(registry: Registry, file: Path) -> None:
    recording = ended(registry, file)
    assert named(registry.known(), "local-1").folder == recording.folder
    with pytest.raises(NoSuchRecordingError, match=r"'local-2' is no recording: there is local-1; `inv hist"):
        named(registry.known(), "local-2")


def test_to_forget_touches_no_recorded_file(registry: Registry, file: Path) -> None:
    token = registry.root / "tokens" / "local-1"
    token.parent.mkdir(parents=True)
    token.write_text('{"token": "secret"}')
    past.forget(ended(registry, file), registry)
    assert registry.known() == []
    assert list(registry.folder.iterdir()) == []
    assert not token.exists()
    assert file.read_text() == "said\n"
    inside = registry.folder / "local-1"
    inside.mkdir()
    (inside / "x.log").write_text("said")
    recording = ended(registry, inside / "x.log")
    with pytest.raises(ReclogError, match=r"x\.log is in its folder"):
        past.forget(recording, registry)
    assert (inside / "x.log").read_text() == "said"


def test_what_has_not_ended_is_not_forgotten(registry: Registry, file: Path) -> None:
    recording = dead(registry, file)
    with pytest.raises(ReclogError, match="local-1 has not ended: `inv kill` ends it"):
        past.forget(recording, registry)
    assert recording.folder.exists()


def test_a_death_while_it_is_forgotten_leaves_nothing_for_long(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(past, "_sweep", lambda registry: None)
        past.forget(ended(registry, file), registry)
    assert registry.known() == []
    assert len(list(registry.folder.iterdir())) == 1
    past.forget(ended(registry, file), registry)
    assert list(registry.folder.iterdir()) == []


def test_the_oldest_are_forgotten(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        recording = ended(registry, tmp_path / f"{number}.log", f"local-{number}")
        (recording.folder / "index").write_bytes(bytes(1000))
        os.utime(recording.folder / "past.json", (number, number))
    monkeypatch.setattr(past, "MOST", 3)
    assert past.forget_the_oldest(registry) == ["local-1", "local-0"]
    assert [one.name for one in registry.past()] == ["local-4", "local-3", "local-2"]
    monkeypatch.setattr(past, "MOST_BYTES", 2900)
    assert past.forget_the_oldest(registry) == ["local-2"]
    monkeypatch.setattr(past, "MOST_BYTES", 10)
    past.forget_the_oldest(registry)
    assert [one.name for one in registry.past()] == ["local-4"]


def test_each_event_is_told_once_and_in_its_order(tmp_path: Path) -> None:
    def line(second: int, event: str) -> str:
        return json.dumps({"time": f"2026-11-26T10:00:{second:02d}.000Z", "event": event}) + "\n"

    (tmp_path / "holes.log.1").write_text(line(1, "started"))
    (tmp_path / "holes.log").write_text(line(3, "paused") + "{cut")
    (tmp_path / "events.log.1").write_text(line(2, "connect") + line(2, "connect") + "[]\n\xff\n")
    (tmp_path / "events.log").write_text(line(3, "paused") + line(3, "connect") + line(4, "stopped"))
    told = [facts["event"] for facts in all_events(tmp_path)]
    assert told == ["started", "connect", "paused", "connect", "stopped"]
    assert first_event(tmp_path)["event"] == "started"


def test_a_file_that_was_set_aside_is_known_again_though_its_record_is_lost(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "file.log"
    file.write_bytes(b"before\n")
    first = registry.new("local-1", {"file": str(file), "kind": "local"})
    (first.folder / "pieces").mkdir()
    journal = pieces.Journal(str(first.folder))
    journal.begin(pieces.Piece("file.20261126T201610.188Z.log", 0, 7, 1, file.stat().st_ino), str(file))
    file.rename(tmp_path / "file.20261126T201610.188Z.log")
    file.write_bytes(b"behind\n")
    journal.made()
    (first.folder / "config.json").unlink()
    (first.folder / "past.json").write_text('{"counters": {}, "ended": ""}')
    again = registry.new("local-1", {"file": str(file), "kind": "local"})
    assert again.folder == first.folder
    assert [piece.size for piece in pieces.pieces(str(again.folder))] == [7]
    assert registry.new("local-1", {"file": str(tmp_path / "other"), "kind": "local"}).name == "local-1-2"
