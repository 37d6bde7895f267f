"""A recorded file on a disk that a test scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import opened
from scripted import Said, ScriptedDisk

from reclog.engine.stores.file import RecordedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.log"


@pytest.fixture
def report() -> Said:
    return Said()


@pytest.fixture
def recorded(path: Path, report: Said, disk: ScriptedDisk) -> Iterator[RecordedFile]:
    with opened(path, report, disk) as recorded:
        yield recorded


@pytest.fixture
def disk() -> ScriptedDisk:
    return ScriptedDisk()
