"""What a stop says: of each recording how it went, whatever else goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from reclog.boot import here
from reclog.errors import BootError
from reclog.local import stop
from reclog.recordings.registry import Registry
from reclog.recordings.stopped import Stopped


def test_what_could_not_be_recorded_is_told_where_a_unit_can_not_be_taken_away_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(one: object) -> str:
        raise BootError("r.service can't be removed")

    left = Stopped("local-7", "/a.log", 1, left_bytes=9, left_senders=1, reason="")
    recording = Registry(tmp_path).new("local-7", {"kind": "local", "port": 7})
    monkeypatch.setattr(stop, "stop", lambda recordings, registry: [left])
    monkeypatch.setattr(here, "_unit_of", lambda one: "r.service")
    monkeypatch.setattr(here, "off", off)
    said: list[str] = []
    problems = stop.stop_local([recording], Registry(tmp_path), said.append)
    assert said == ["local-7 stopped, 1 line recorded: /a.log"]
    assert [problem.partition(":")[0] for problem in problems] == ["local-7", "r.service can't be removed"]
