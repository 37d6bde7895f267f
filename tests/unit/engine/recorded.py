"""A file that is recorded to, for as long as a test needs it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, List, Optional

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
    recorded.batch.add(who, text, stamp)
    assert recorded.flush()


def held(folder: Path) -> List[int]:
    """Return the inodes of what this process has open on the file system of `folder`, in order.

    So sockets and pipes are left out: those that another test left to the garbage collector come and go.
    """
    found = []
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):  # that of the listing is gone
            status = os.fstat(int(descriptor))
            if status.st_dev == folder.stat().st_dev:
                found.append(status.st_ino)
    return sorted(found)
