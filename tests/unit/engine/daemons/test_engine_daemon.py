from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Callable

import pytest
from scripted import ScriptedDisk, fails

from reclog.engine.daemons import daemon as module
from reclog.engine.daemons.config import RecorderConfig
from reclog.engine.daemons.daemon import ConfigUnusable, Daemon
from reclog.engine.system.loop import Loop


@pytest.fixture
def daemon(tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setattr(module, "Loop", lambda: loop)
    return Daemon(str(tmp_path))


def test_a_full_disk_keeps_no_daemon_from_its_work(
    daemon: Daemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    turn_until: Callable[[Callable[[], bool]], None],
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
