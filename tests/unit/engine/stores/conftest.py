"""A recorded file on a disk that a test scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Said, ScriptedDisk

from reclog.engine.stores.file import RecordedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.log"


@pytest.fixture
def report() -> Said:
    return Said()


@pytest.fixture
def sink(path: Path, report: Said, disk: ScriptedDisk) -> Iterator[RecordedFile]:
    sink = RecordedFile(str(path), report, disk)
    sink.open()
    yield sink
    sink.close()


@pytest.fixture
def disk() -> ScriptedDisk:
    return ScriptedDisk()
