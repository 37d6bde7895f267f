"""A file that is recorded to, for as long as a test needs it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from scripted import Said

from reclog.engine.stores.file import RecordedFile
from reclog.engine.system.disk import DISK, Disk


@contextmanager
def opened(path: Path, report: Optional[Said] = None, disk: Disk = DISK) -> Iterator[RecordedFile]:
    recorded = RecordedFile(str(path), report or Said(), disk)
    recorded.open()
    try:
        yield recorded
    finally:
        recorded.close()


def write(recorded: RecordedFile, who: int, text: bytes, stamp: bytes = b"") -> None:
    recorded.add(who, text, stamp)
    assert recorded.flush()
