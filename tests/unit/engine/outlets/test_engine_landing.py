"""Where a feed lands, as its file is cut and its process killed meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List

import pytest
from scripted import Said

from reclog.engine.outlets.landing import Landing
from reclog.engine.stores import rotated as rotated_module
from reclog.engine.stores.pieces import path_of, pieces
from reclog.engine.stores.rotation import Rotating
from reclog.engine.system.aside import AtOnce
from reclog.engine.system.disk import DISK, Disk
from reclog.engine.system.loop import Loop


class Killed(BaseException):
    """The process ends here."""


class Dies(Disk):
    """A disk on which the process is killed as it comes to a file the next time but `number`."""

    def __init__(self, ending: str, number: int) -> None:
        self._ending, self._left = ending, number

    def _reach(self, path: str) -> None:
        if path.endswith(self._ending):
            self._left -= 1
            if self._left < 0:
                raise Killed

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if flags & os.O_APPEND:
            self._reach(path)
        return super().open(path, flags, mode)

    def replace(self, path: str, by: str) -> None:
        self._reach(by)
        super().replace(path, by)


class Collected:
    """A recording of a spool's bytes, as often as it is begun."""

    def __init__(self, root: Path, path: Path) -> None:
        self.folder, self.path = root / "folder", path
        self.folder.mkdir()
        self.loop = Loop()
        self.said = Said()
        self.landings: List[Landing] = []

    def open(self, disk: Disk = DISK) -> Landing:
        landing = Landing(self.loop, str(self.path), str(self.folder), self.said, disk, Rotating(100))
        self.landings.append(landing)
        landing.open()
        return landing

    def begun(self, disk: Disk = DISK) -> Landing:
        landing = self.open(disk)
        landing.begin("spool", 0)
        self.settle(landing)
        return landing

    def settle(self, landing: Landing) -> None:
        settling = landing.settle()
        assert settling is not None
        settling.sync()
        assert settling.end()

    def killed(self) -> None:
        os.close(self.landings[-1].file.fd)  # its lock goes, as with the process

    def again(self, stream: bytes, disk: Disk = DISK) -> Landing:
        """Have another process take what its checkpoint leaves of the stream."""
        landing = self.open(disk)
        landing.take(landing.offset, stream[landing.offset :])
        landing.flush()
        return landing

    def texts(self) -> List[bytes]:
        paths = [path_of(str(self.path), piece) for piece in pieces(str(self.folder))]
        return [Path(path).read_bytes() for path in [*paths, str(self.path)]]


@pytest.fixture(params=["file", "link", "folder"])
def collected(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collected]:
    """The file by its name, by a link to it, or through a link to its folder."""
    monkeypatch.setattr(rotated_module, "Aside", lambda loop: AtOnce())
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "file.log"
    if request.param == "link":
        path = tmp_path / "link.log"
        path.symlink_to("there/file.log")
    elif request.param == "folder":
        (tmp_path / "here").symlink_to("there")
        path = tmp_path / "here" / "file.log"
    collected = Collected(tmp_path, path)
    yield collected
    collected.landings[-1].close()
    collected.loop.close()


@pytest.mark.parametrize("stream", [b"0123456789abcde\n" * 10, b"half" * 60])
def test_killed_before_the_checkpoint_of_the_file_behind_a_cut(collected: Collected, stream: bytes) -> None:
    landing = collected.begun(Dies("checkpoint.json", 1))
    landing.take(0, stream)
    with pytest.raises(Killed):
        landing.flush()
    assert [len(text) for text in collected.texts()] == [len(stream), 0]
    collected.killed()
    landing = collected.again(stream + b"more\n")
    assert collected.texts() == [stream, b"more\n"]
    assert "file changed" not in collected.said.names


def test_killed_twice_before_a_piece_is_noted_inside_a_line(collected: Collected) -> None:
    stream = b"half" * 60
    landing = collected.begun(Dies("journal", 3))
    landing.take(0, stream)
    with pytest.raises(Killed):
        landing.flush()
    collected.killed()
    with pytest.raises(Killed):
        collected.again(stream + b" goes", Dies("journal", 0))
    collected.killed()
    collected.again(stream + b" goes on\n")
    assert collected.texts() == [stream, b" goes on\n"]
