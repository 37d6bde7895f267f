"""Rotation with real processes: killed at each point of it, here and through a tremplin; asked for anew."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from bench import Home, Running, wait_until
from tremplin_bench import Tremplin

from reclog.engine.stores.index.reader import IndexReader
from reclog.engine.stores.pieces import base, index_folder, path_of, pieces
from reclog.engine.system.faultpoints import VARIABLE
from reclog.recordings.launch import launch
from reclog.recordings.registry import Recording

MIB = 1024 * 1024
#: In the order in which a rotation comes by them.
LAN = (
    *("journal.before-create", "journal.after-write", "new.after-create", "file.after-sync"),
    *("piece.after-link", "file.after-replace", "index.after-replace", "folder.after-sync"),
)
THROUGH = ("piece.after-link", "file.after-replace", "folder.after-sync", "checkpoint.json.before-replace")


class Rotation:
    """A recording that is cut at a MiB, its numbered lines, and the points at which its daemon dies."""

    def __init__(self, role: str, running: Running, points: Path) -> None:
        self._role = role
        self.running = running
        self.folder, self.file = str(running.folder), str(running.file)
        self.sent = b""
        self._lines = 0
        self._points = points
        self._started: list[subprocess.Popen[bytes]] = []

    def whole(self) -> bytes:
        """Return what the recording holds."""
        paths = [path_of(self.file, piece) for piece in pieces(self.folder)]
        return b"".join(Path(path).read_bytes() for path in [*paths, self.file])

    def say(self, size: int) -> None:
        """Have so many bytes said, and recorded."""
        text = b""
        while len(text) < size:
            self._lines += 1
            text += b"line %09d %s\n" % (self._lines, b"." * (self._lines % 900))
        self.sent += text
        self.running.send(text)

    def is_there(self) -> bool:
        return base(self.folder) + os.path.getsize(self.file) == len(self.sent)

    def fill(self) -> None:
        """Have the file nearly so large that it is cut."""
        self.say(base(self.folder) + MIB - 2000 - len(self.sent))
        wait_until(self.is_there, what="all is recorded")

    def die_at(self, point: str) -> None:
        """Have the daemon die there, and start it again."""
        self.fill()
        before = len(pieces(self.folder))
        daemon = self.running.daemon
        (self._points / point).write_text("kill")
        self.say(3000)
        wait_until(lambda: not daemon.is_running() or daemon.status() == "zombie", what=f"it dies at {point}")
        for process in self._started:
            process.wait(20)
        process, answer = launch(self._role, Recording(self.running.folder))
        assert answer.get("ready"), answer
        self._started = [process]
        wait_until(lambda: self.is_there() and len(pieces(self.folder)) > before, what=f"{point} is mended")

    def check(self) -> None:
        """See that all is there once, that only what is listed is beside it, and who said it."""
        assert self.whole() == self.sent
        listed = pieces(self.folder)
        names = [piece.name for piece in listed]
        assert names == sorted(names)
        beside = {path.name for path in Path(self.file).parent.glob("*.log*")}
        assert beside == {*names, os.path.basename(self.file)}
        known = 0
        parts = [(index_folder(self.folder, piece), path_of(self.file, piece)) for piece in listed]
        for folder, file in [*parts, (self.folder, self.file)]:
            for run in IndexReader(folder, file).runs(0, os.path.getsize(file)):
                assert run.sender in ("127.0.0.1", None)
                known += run.end - run.begin if run.sender else 0
        assert known > 0.8 * len(self.sent)


@pytest.fixture
def points(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    points = tmp_path / "points"
    points.mkdir()
    home.env[VARIABLE] = str(points)
    monkeypatch.setenv(VARIABLE, str(points))
    return points


def test_a_kill_at_each_point_loses_and_doubles_nothing(home: Home, points: Path) -> None:
    rotation = Rotation("recorder", home.local("--rotate", "1MiB", "--listener", "builtin"), points)
    for point in LAN:
        rotation.die_at(point)
    assert rotation.running.kill().returncode == 0
    rotation.check()
    assert len(pieces(rotation.folder)) == len(LAN)


def test_a_kill_at_each_point_loses_and_doubles_nothing_through_a_tremplin(
    trem: Tremplin, points: Path
) -> None:
    rotation = Rotation("collector", trem.open("--rotate", "1MiB"), points)
    rotation.sent = rotation.running.read()  # the probe's line
    for point in THROUGH:
        rotation.die_at(point)
    assert rotation.running.kill().returncode == 0
    rotation.check()


def test_what_is_said_anew_is_so_from_then_on(home: Home, points: Path) -> None:
    recording = home.local()
    rotation = Rotation("recorder", recording, points)
    rotation.say(3 * MIB // 2)
    wait_until(rotation.is_there)
    (points / "new.before-create").write_text("fail ENOSPC")
    assert home.inv(*recording.words, "--rotate", "1MiB").returncode == 0
    wait_until(lambda: recording.status()["not_rotated"] == "No space left on device")
    assert "can't be cut (No space left on device): see that" in " ".join(home.inv("status").stderr.split())
    done = home.inv(*recording.words, "--rotate", "1MiB", "--rotate", "1d")
    assert (done.returncode, "Changed: --rotate 1MiB --rotate 1d" in done.stdout) == (0, True), done.stderr
    wait_until(lambda: recording.status()["pieces"] == 1)
    status = recording.status()
    assert status["pieces_bytes"] == len(rotation.sent)
    assert (status["rotates_at_bytes"], status["rotates_at"] > 0) == (MIB, True)
    assert [one["bytes"] for one in recording.events("rotated")] == [len(rotation.sent)]
    for words, said in ((("--raw", "--rotate", "1d"), "leave --raw out"), (("--keep", "x"), "--keep 'x'")):
        done = home.inv(*recording.words, *words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Changed: --no-rotate" in home.inv(*recording.words, "--no-rotate").stdout
    rotation.say(3 * MIB // 2)
    wait_until(rotation.is_there)
    assert json.loads((recording.folder / "config.json").read_text())["rotate"] == []
    done = home.inv(*recording.words, "--keep", "5")
    assert (done.returncode, "add that, as --rotate 100MiB" in done.stderr) == (2, True), done.stderr
    assert recording.kill().returncode == 0
    assert rotation.whole() == rotation.sent
    assert len(pieces(rotation.folder)) == 1
