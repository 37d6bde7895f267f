"""A file system of its own, whose room can be taken away while it is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench import wait_until


class SmallDisk:
    """A tmpfs mounted at `path`, which is made if need be."""

    def __init__(self, path: Path, room: str, owner: int = 0) -> None:
        self.path = path
        self._room = room
        path.mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", f"size={room},mode=700,uid={owner},gid={owner}", "reclog-test", str(path))

    def grow(self, size: str) -> None:
        """Have so much room in all."""
        mount("-o", f"remount,size={size}", str(self.path))

    def fill(self, left: int) -> None:
        """Leave room for `left` bytes, rounded up to a page."""
        wait_until(lambda: self._bound(left), 5, "its size is what is used")

    def make_room(self) -> None:
        """Have all the room again that there was."""
        self.grow(self._room)

    def close(self) -> None:
        """Unmount it; nobody should use it any more."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True, capture_output=True)

    def _bound(self, left: int) -> bool:
        now = os.statvfs(self.path)
        used = (now.f_blocks - now.f_bfree) * now.f_frsize
        try:
            self.grow(str(used + left))
        except subprocess.CalledProcessError:
            return False  # more is used already
        return True


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
