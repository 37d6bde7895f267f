"""What runs, as the folders of the state directory tell."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from reclog.engine.system.identity import Identity
from reclog.errors import StateError
from reclog.recordings.logs import last_event
from reclog.recordings.registry import Recording, Registry

ME = Identity.of(os.getpid())


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "reclog")


def announce(recording: Recording, identity: Identity = ME, **facts: Any) -> Recording:
    state = {"identity": identity._asdict(), "port": 1234, "file": "/tmp/x.log", **facts}
    (recording.folder / "state.json").write_text(json.dumps(state))
    return Recording(recording.folder)


def test_an_empty_registry(registry: Registry) -> None:
    assert registry.recordings() == []
    assert list(registry.here()) == []


def test_a_new_recording_is_private(registry: Registry) -> None:
    recording = registry.new("local-1", {"port": 1, "file": "/x"})
    assert recording.name == "local-1"
    assert recording.facts == {"port": 1, "file": "/x", "name": "local-1", "called": ""}
    for folder in (recording.folder, registry.folder, registry.root):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert stat.S_IMODE((recording.folder / "config.json").stat().st_mode) == 0o600


def test_a_name_that_is_taken_gets_a_number(registry: Registry) -> None:
    names = [registry.new("local-1", {}).name for _ in range(3)]
    assert names == ["local-1", "local-1-2", "local-1-3"]
    assert [recording.name for recording in registry.recordings()] == names


def test_a_folder_of_history_alone_is_no_recording_and_its_name_is_free(registry: Registry) -> None:
    recording = registry.new("local-1", {})
    (recording.folder / "events.log").write_text("{}\n")
    recording.clean()
    assert registry.recordings() == []
    assert (recording.folder / "events.log").exists()
    assert registry.new("local-1", {}).name == "local-1"


def test_clean_removes_a_folder_without_history(registry: Registry) -> None:
    recording = announce(registry.new("local-1", {}))
    for name in ("counters.json", "lock", "senders", "daemon.log"):
        (recording.folder / name).touch()
    recording.clean()
    assert not recording.folder.exists()


def test_its_process_runs(registry: Registry) -> None:
    recording = announce(registry.new("local-1", {}))
    assert recording.is_alive()
    assert recording.corrupt == ""
    assert (recording.state, recording.port, recording.file) == ("recording", 1234, "/tmp/x.log")
    (recording.folder / "counters.json").write_text('{"state": "paused"}')
    assert Recording(recording.folder).state == "paused"


@pytest.mark.parametrize(
    "other",
    [
        ME._replace(started="1"),
        ME._replace(boot="another"),
        ME._replace(pid=2**22 + 1),
        ME._replace(pid_namespace="pid:[1]"),
        ME._replace(host="another"),
    ],
)
def test_a_process_that_only_looks_like_it_is_not_it(registry: Registry, other: Identity) -> None:
    recording = announce(registry.new("local-1", {}), other)
    assert not recording.is_alive()
    assert recording.state == "dead"
    assert not recording.is_elsewhere()  # nobody holds its lock


def test_elsewhere_is_another_place_whose_daemon_holds_the_lock(registry: Registry) -> None:
    recording = announce(registry.new("local-1", {}), ME._replace(host="another"))
    with (recording.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert recording.is_elsewhere()
        assert list(registry.here()) == []
        assert not announce(recording, ME._replace(boot="before")).is_elsewhere()
    assert [one.name for one in registry.here()] == ["local-1"]


@pytest.mark.parametrize(
    "words", ["", "{", "[]", "5", "null", "{}", '{"identity": 5}', '{"identity": {"pid": "x"}}', "\udcff"]
)
def test_a_state_file_that_is_none(registry: Registry, words: str) -> None:
    folder = registry.new("local-1", {"port": 1, "file": "/x"}).folder
    (folder / "state.json").write_text(words, "utf-8", "surrogateescape")
    recording = Recording(folder)
    assert recording.corrupt
    assert not recording.is_alive()
    assert (recording.state, recording.port, recording.file) == ("dead", 1, "/x")


def test_no_state_file(registry: Registry) -> None:
    assert "no state file" in registry.new("local-1", {}).corrupt


def test_the_newest_event(registry: Registry) -> None:
    recording = registry.new("local-1", {})
    assert last_event(recording.folder, "stopped") == {}
    (recording.folder / "events.log").write_text(
        '{"event": "stopped", "n": 1}\n{"event": "stopped", "n": 2}\n[]\n{"event": "started"}\n{"ev'
    )
    assert last_event(recording.folder, "stopped")["n"] == 2


@pytest.mark.parametrize("name", ["events.log.1", "holes.log", "holes.log.1"])
def test_the_newest_event_wherever_it_was_rotated_to(registry: Registry, name: str) -> None:
    recording = registry.new("local-1", {})
    (recording.folder / "events.log").write_text('{"event": "stopped", "time": "2026-01-01", "n": 1}\n')
    (recording.folder / name).write_text('{"event": "stopped", "time": "2026-01-02", "n": 2}\n')
    assert last_event(recording.folder, "stopped")["n"] == 2


def test_a_state_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "reclog").write_text("in the way")
    registry = Registry(tmp_path / "reclog")
    with pytest.raises(StateError, match="XDG_STATE_HOME"):
        registry.recordings()
    with pytest.raises(StateError, match="XDG_STATE_HOME"):
        registry.new("local-1", {})
