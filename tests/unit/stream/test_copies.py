"""Which recording goes into which file, and what becomes of one that can't be opened."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from reclog.engine.daemons.daemon import Daemon
from reclog.engine.errors import EngineError
from reclog.engine.stores.rotation import NOT_AT_ALL
from reclog.errors import ReclogError
from reclog.stream.copies import MOST, NOT_NOW, Copies, NotTaken


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Copies]:
    folder = tmp_path / "state" / "recordings" / "subscriber"
    folder.mkdir(parents=True)
    daemon = Daemon(str(folder))
    files = f"{tmp_path}/logs/{{machine}}/{{recording}}.log"
    (tmp_path / "logs").mkdir()
    copies = Copies(daemon, "", files, True, NOT_AT_ALL, lambda: None)
    yield copies
    copies.close()
    daemon.loop.close()


def test_a_file_that_somebody_has_holds_up_and_leaves_nothing_behind(copies: Copies, tmp_path: Path) -> None:
    recordings, file = tmp_path / "state" / "recordings", tmp_path / "logs" / "a" / "r.log"
    file.parent.mkdir()
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _ in range(3):
            with pytest.raises(EngineError, match="locked"):
                copies.of("reclog.a.r")
            assert [one.name for one in recordings.iterdir()] == ["subscriber"]
    assert copies.of("reclog.a.r").landing.path == str(file)


def test_a_state_directory_that_can_not_be_used_holds_up_too(copies: Copies, tmp_path: Path) -> None:
    (tmp_path / "state" / "recordings" / "subscriber.a-r").touch()
    with pytest.raises(ReclogError, match="can't be used") as raised:
        copies.of("reclog.a.r")
    assert isinstance(raised.value, NOT_NOW)


def test_names_are_made_at_will_and_files_are_not(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reclog.stream.copies.MOST", 2)
    assert MOST == 100
    for subject in ("reclog.a.b.c", "reclog.a", "other.a.b", "reclog...", "reclog.a.\x1b", "reclog.a/..b.c"):
        with pytest.raises(NotTaken, match="names no recording"):
            copies.of(subject)
    for subject in ("reclog.a.r", "reclog.b.r"):
        copies.of(subject)
    with pytest.raises(NotTaken, match="there are 2 recordings already"):
        copies.of("reclog.c.r")
