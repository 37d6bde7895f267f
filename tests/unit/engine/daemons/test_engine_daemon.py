from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path

import pytest
from scripted import ScriptedDisk, TurnUntil, fails

from reclog.engine.daemons import daemon as module
from reclog.engine.daemons.config import RecorderConfig
from reclog.engine.daemons.daemon import ConfigUnusable, Daemon
from reclog.engine.errors import ListenerUnusable
from reclog.engine.system.loop import Loop


@pytest.fixture
def daemon(tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setattr(module, "Loop", lambda: loop)
    return Daemon(str(tmp_path))


def test_a_full_disk_keeps_no_daemon_from_its_work(
    daemon: Daemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    turn_until: TurnUntil,
) -> None:
    (tmp_path / "config.json").write_text('{"file": "a.log", "unknown": 1}')
    with pytest.raises(ConfigUnusable, match="it has no port"):
        daemon.told(RecorderConfig)
    monkeypatch.setattr(module, "STATE_AGAIN", 0.01)
    daemon.disk = disk = ScriptedDisk()
    disk.before["write"] = fails(errno.ENOSPC)
    daemon.announce(listener="builtin")
    assert not (tmp_path / "state.json").exists()
    reading, daemon._ready_fd = os.pipe()
    daemon.ready(notes=["Another."])
    with open(reading, "rb") as answer:
        notes = json.loads(answer.read())["notes"]
    assert notes[0] == "Another."
    assert "full disk" in notes[1]
    disk.before.clear()
    turn_until((tmp_path / "state.json").exists)
    state = json.loads((tmp_path / "state.json").read_text())
    assert (state["unknown"], state["listener"]) == (1, "builtin")
    said = [json.loads(line)["event"] for line in (tmp_path / "events.log").read_text().splitlines()]
    assert said == ["state not saved"]


def test_an_event_for_which_no_descriptor_is_left_is_written_once_there_is_one(
    daemon: Daemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    turn_until: TurnUntil,
) -> None:
    monkeypatch.setattr(module, "STATE_AGAIN", 0.01)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        daemon.log.mention("listener full")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    events = tmp_path / "events.log"
    assert not events.exists()
    turn_until(events.exists)  # nothing else happens
    assert json.loads(events.read_text())["event"] == "listener full"


TOLD = {
    "port": 1,
    "bind": "::",
    "listener": "builtin",
    "allow": [],
    "stamp": False,
    "partial_after": 2,
    "file": "a",
}


@pytest.fixture
def running(daemon: Daemon, tmp_path: Path) -> Daemon:
    (tmp_path / "config.json").write_text(json.dumps({**TOLD, "name": "of the commands"}))
    daemon.told(RecorderConfig)
    daemon.announce(listener="builtin")
    return daemon


def on_disk(folder: Path) -> list[dict[str, object]]:
    return [json.loads((folder / name).read_text()) for name in ("config.json", "state.json")]


def test_what_changes_is_kept_for_the_next_start(running: Daemon, tmp_path: Path) -> None:
    adopted: list[RecorderConfig] = []
    running.show(lambda: 0, dict, adopted.append)
    wanted = {"allow": ["10.0.0.0/8"], "stamp": True, "partial_after": 2, "max_senders": 0}
    new = {"allow": ["10.0.0.0/8"], "stamp": True}
    assert running._change(wanted) == {"set": new, "notes": []}
    assert [config.listening.allow for config in adopted] == [["10.0.0.0/8"]]
    for facts in on_disk(tmp_path):
        assert {**facts, **TOLD, **new, "name": "of the commands"} == facts
    assert running._status()["state"]["stamp"] is True
    assert running._change(wanted) == {"set": {}, "notes": []}
    (said,) = [json.loads(line) for line in (tmp_path / "events.log").read_text().splitlines()]
    assert {**said, "event": "settings changed", **new} == said


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"stamp": True, "allow": ["lan"]}, "allow is ['lan'], not a list of networks"),
        ({"stamp": True, "file": "b"}, "file does not change while it runs"),
        ({"stamp": True, "max_senders": 5}, "it can't"),
    ],
)
def test_all_changes_or_nothing(running: Daemon, tmp_path: Path, wanted: dict[str, object], why: str) -> None:
    def adopt(config: RecorderConfig) -> None:
        raise ListenerUnusable("it can't")

    before = on_disk(tmp_path)
    running.show(lambda: 0, dict, adopt)
    assert running._change(wanted) == {"error": why}
    assert on_disk(tmp_path) == before
    assert not (tmp_path / "events.log").exists()


def test_on_a_full_disk_it_changes_too(
    running: Daemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    turn_until: TurnUntil,
) -> None:
    monkeypatch.setattr(module, "STATE_AGAIN", 0.01)
    running.disk = disk = ScriptedDisk()
    disk.before["write"] = fails(errno.ENOSPC)
    running.show(lambda: 0, dict)
    answer = running._change({"stamp": True})
    assert answer["set"] == {"stamp": True}
    assert "full disk" in answer["notes"][0]
    disk.before.clear()
    turn_until(lambda: all(facts["stamp"] is True for facts in on_disk(tmp_path)))
