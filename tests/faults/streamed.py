"""reclog published to a cluster and recorded from there again: what is judged is the copy.

The copy has to be the recording, byte for byte, but for stretches that rotation let go of before they were
published: each of these is stated by both sides. Of each line that the recording still holds, the copy's
index has to tell what the recording's tells; or nothing, of what a recorder had written and not told of yet
when it was made to stand still for longer than a publisher waits for that, or a collector when it was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from bench import Home, wait_until
from cluster import Node, cluster
from lan import ROOM, Lan
from netns import Namespace
from set_aside import SetAside
from small_disk import SmallDisk
from swarm import runs
from through import Through
from through_points import arm

from reclog.engine.system.faultpoints import VARIABLE
from reclog.look.known import Known
from reclog.look.query import History, Line, Question
from reclog.look.text import Text
from reclog.recordings.recording import Recording

#: What a start says while there is no leader, and the seconds within which there is one.
AWAY, ELECTED_WITHIN = re.compile("does not answer|temporarily unavailable"), 60.0
#: Bytes of one comparison.
_BLOCK = 1 << 20


class Stretch(NamedTuple):
    """A part of the recording, by its offsets."""

    begin: int
    end: int


class Published(Lan):
    """`inv local`, of which is kept how far it was published."""

    #: How far it was published.
    leaves = frozenset({"stream.json", "stream.lock"})


class Streamed:
    """`inv local` or `fab tremplin`, `inv publish`, three servers and `inv subscribe`."""

    def __init__(self, home: Home, recorded: Lan | Through, disks: bool = True) -> None:
        """`disks`: whether servers and the copy have file systems of their own, that can be full."""
        self.name = f"stream, {recorded.name}"
        self.home, self.recorded = home, recorded
        #: How the recording is rotated; the copy is not.
        self.set_aside = SetAside()
        self._held = contextlib.ExitStack()
        copies = home.path / "copies"
        copies.mkdir()
        self.copy_disk = SmallDisk(copies, ROOM) if disks else None
        if self.copy_disk is not None:
            self._held.callback(self.copy_disk.close)
        self.copy = copies / "copy.log"
        self.files = [self.copy]
        #: Where points of the subscriber are armed.
        self.points = home.path / "points"
        self.points.mkdir()
        self.nodes: list[Node] = []
        # What was written and not told of when who records stood still.
        self._untold: list[Stretch] = []
        self._disks = disks
        self._within: list[str] = []

    def start(self) -> None:
        """Start it all."""
        if isinstance(self.recorded, Through):
            hub = self.recorded.laptop
        else:
            hub = Namespace("hub")
            self._held.callback(hub.remove)
        self.nodes = self._held.enter_context(cluster(self.home.path / "cluster", hub, self._disks))
        self._within = hub.within
        self.recorded.set_aside.words = self.set_aside.words
        self.recorded.start()
        self.publish_again()
        self.subscribe_again()

    def again(self) -> None:
        """Run all three commands again; fine where one runs already."""
        for role in ("recorder", "publisher", "subscriber"):
            self.begin_again(role)

    def begin_again(self, role: str) -> None:
        """Run the command again that starts a daemon; the relay's, and ssh's, is the collector's."""
        if isinstance(self.recorded, Through) and not self.recorded.processes("collector"):
            self.stands_still()  # the next one tells of what this one wrote, once the relay says it again
        again = {"publisher": self.publish_again, "subscriber": self.subscribe_again}
        again.get(role, self.recorded.again)()

    def publish_again(self) -> None:
        """Run `inv publish` again."""
        self._command("publish", *self._servers("--to"), self.folder.name)

    def subscribe_again(self) -> None:
        """Run `inv subscribe` again."""
        self._command("subscribe", *self._servers("--from"), "--file", str(self.copy))

    def stop(self, within: float = 60.0) -> None:
        """Stop all in the order of the bytes; see that the copy is what was recorded, and its index, too.

        `within` so many seconds all has to be there.
        """
        done = self.home.inv("kill", self.folder.name)
        assert done.returncode == 0, done.stderr
        publisher, copying = (self.folder_of(role) for role in ("publisher", "subscriber"))
        wait_until(lambda: self.is_whole(copying), within, "all is in the copy, or stated")
        done = self.home.inv("kill")
        assert done.returncode == 0, done.stderr
        gaps = _gaps(copying, "start")
        _see_published(gaps, _gaps(publisher, "offset"))
        recorded = self.recorded.files[-1]
        self.recorded.see_stopped()
        _see_equal(self.recorded.files, self.copy, gaps)
        _see_known_alike(self.folder, copying, recorded, self._untold)
        self.files = self.recorded.files

    def close(self) -> None:
        """End whatever is left of it."""
        for role in ("publisher", "subscriber"):
            for process in self.processes(role):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        with self._held:
            self.recorded.close()

    def connect(self) -> socket.socket:
        """Connect as a sender."""
        return self.recorded.connect()

    def post(self) -> socket.socket | None:
        """Return a socket that datagrams can be sent on."""
        return self.recorded.post()

    def dropped(self) -> int:
        """Return how many datagrams its recording says were dropped."""
        return self.recorded.dropped()

    def processes(self, role: str) -> list[psutil.Process]:
        """Return its publisher or subscriber; or the servers; or who records."""
        if role == "node":
            return [psutil.Process(node.pid) for node in self.nodes if node.runs]
        if role not in ("publisher", "subscriber"):
            return self.recorded.processes(role)
        found = []
        for process in self.home.processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words[3:4] == [role] and "-I" in words and runs(process):
                    found.append(process)
        return found

    # -- what its faults look at and use ----------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The recording's state folder."""
        return self.recorded.folder if isinstance(self.recorded, Lan) else self.recorded.recording.folder

    def is_whole(self, copying: Path) -> bool:
        """Tell whether the copy ends where the recording does."""
        with contextlib.closing(Text(str(self.folder), str(self.recorded.files[-1]))) as text:
            missing = sum(gap.end - gap.begin for gap in _gaps(copying, "start"))
            return self.copy.exists() and self.copy.stat().st_size + missing >= text.end

    def stands_still(self) -> None:
        """Take note of what is not told of, now that who records stands still."""
        with contextlib.closing(Text(str(self.folder), str(self.recorded.files[-1]))) as text:
            self._untold.append(Stretch(Known(Recording(self.folder)).indexed(text), text.end))

    def folder_of(self, role: str) -> Path:
        """Return the folder of the publisher or the subscriber; its name is what that is called."""
        (daemon,) = self.processes(role)
        words = daemon.cmdline()
        return Path(words[words.index("--folder") + 1])

    def arm(self, point: str, words: str) -> Path:
        """Arm a point of the subscriber; return the file that is there once it is reached."""
        return arm(self.points, point, words)

    def arm_recorded(self, point: str) -> Path:
        """Have the recorder, or the collector, killed at a point."""
        if isinstance(self.recorded, Lan):
            return self.recorded.arm(point, "kill")
        return arm(self.recorded.points_here, point, "kill")

    def _servers(self, option: str) -> list[str]:
        return [word for node in self.nodes for word in (option, node.url)]

    def _command(self, *words: str) -> None:
        """Run a command, again while servers that have just come back still elect a leader."""
        until = time.monotonic() + ELECTED_WITHIN
        while True:
            before, self.home.within = self.home.within, self._within
            try:
                done = self.home.inv(*words, env={VARIABLE: str(self.points)})
            finally:
                self.home.within = before
            if done.returncode == 0 or "already" in done.stderr + done.stdout:
                return
            assert AWAY.search(done.stderr), done.stderr
            assert time.monotonic() < until, done.stderr


def on_a_lan(home: Home) -> Streamed:
    """Return what `inv local` records."""
    return Streamed(home, Published(home, "builtin"))


def through_a_tremplin(home: Home) -> Streamed:
    """Return what a relay and a collector record."""
    return Streamed(home, Through(home, home.path / "hosts"))


def _gaps(folder: Path, begin: str) -> list[Stretch]:
    """Return the gaps that a daemon has stated, each once, by their beginnings."""
    found = set()
    for name in ("holes.log.1", "holes.log"):
        path = folder / name
        for line in path.read_bytes().splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):  # a line that was cut
                one: dict[str, Any] = json.loads(line)
                if one["event"] == "gap":
                    found.add(Stretch(one[begin], one["end"] if "end" in one else one[begin] + one["bytes"]))
    return sorted(found)


def _see_published(gaps: list[Stretch], stated: list[Stretch]) -> None:
    """See that the publisher has stated what is missing in the copy."""
    for gap in gaps:
        at = gap.begin
        for one in stated:
            at = max(at, one.end) if one.begin <= at else at
        assert at >= gap.end, f"the publisher does not say that it lacks {gap}: {stated}"


def _see_equal(recorded: list[Path], copy: Path, gaps: list[Stretch]) -> None:
    """See that the copy's SHA-256 is that of what was recorded, but for the gaps."""
    one, two = hashlib.sha256(), hashlib.sha256()
    for data in _without(recorded, gaps):
        one.update(data)
    for data in _stretch([copy], 0, copy.stat().st_size):
        two.update(data)
    assert one.digest() == two.digest(), f"the copy is not what was recorded, without {gaps}"


def _without(paths: list[Path], gaps: list[Stretch]) -> Iterator[bytes]:
    """Yield what is not in a gap; behind one it begins on a line of its own."""
    at, last = 0, b"\n"
    end = sum(path.stat().st_size for path in paths)
    for gap in [*gaps, Stretch(end, end)]:
        if at < gap.begin and last != b"\n":
            yield b"\n"
        for data in _stretch(paths, at, gap.begin):
            yield data
            last = data[-1:]
        at = gap.end


def _stretch(paths: list[Path], begin: int, end: int) -> Iterator[bytes]:
    """Yield what stands between two offsets in some files, taken as one."""
    base = 0
    for path in paths:
        size = path.stat().st_size
        at, until = max(begin - base, 0), min(end - base, size)
        with path.open("rb") as file:
            file.seek(at)
            while at < until and (data := file.read(min(_BLOCK, until - at))):
                yield data
                at += len(data)
        base += size


def _see_known_alike(recording: Path, copying: Path, file: Path, untold: list[Stretch]) -> None:
    """See that of each line that the recording still holds both know the same, but for what is `untold`."""
    with contextlib.closing(Text(str(recording), str(file))) as text:
        held = text.end - text.begin
    with contextlib.closing(Text(str(copying), Recording(copying).file)) as text:
        begin = text.end - held
    wrong = [
        (one, two)
        for one, two in itertools.zip_longest(_lines(recording, 0), _lines(copying, begin))
        if one is None or two is None or (one[2:] != two[2:] and not _may_differ(one, two, untold))
    ]
    assert not wrong, f"who said what when differs of {len(wrong)} lines: {wrong[0]}"


def _may_differ(one: Line, two: Line, untold: list[Stretch]) -> bool:
    is_untold = any(stretch.begin <= one.offset < stretch.end for stretch in untold)
    return is_untold and two == two._replace(text=one.text, time=None, sender=None)


def _lines(folder: Path, begin: int) -> Iterator[Line]:
    """Yield each line that a recording holds, with when it came, and from whom."""
    history = History(Recording(folder))
    return (one for one in history.forward(Question(probes=True), begin) if isinstance(one, Line))
