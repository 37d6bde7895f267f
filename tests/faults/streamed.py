"""reclog on a LAN, published to a cluster and recorded from there again: what is judged is the copy."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import psutil
from bench import Home, wait_until
from cluster import Node, cluster
from lan import ROOM, Lan
from small_disk import SmallDisk
from swarm import runs

from reclog.engine.system.faultpoints import VARIABLE
from reclog.look.query import History, Line, Question
from reclog.recordings.recording import Recording


class Streamed(Lan):
    """`inv local`, `inv publish`, three servers and `inv subscribe`."""

    #: How far it was published.
    leaves = frozenset({"stream.json", "stream.lock"})

    def __init__(self, home: Home) -> None:
        super().__init__(home, "builtin", "--no-udp")
        self.name = "stream"
        self.copy_disk = SmallDisk(home.path / f"copies-{self.port}", ROOM)
        self.copy = self.copy_disk.path / "copy.log"
        self.files = [self.copy]
        # Of the subscriber's alone.
        self.points = {VARIABLE: str(self.faultpoints)}
        del home.env[VARIABLE]
        self._held = contextlib.ExitStack()
        self._held.callback(self.copy_disk.close)
        self.nodes: list[Node] = []
        self._within: list[str] = []

    def start(self) -> None:
        """Start it all."""
        hub, self.nodes = self._held.enter_context(cluster(self.home.path / "cluster"))
        self._within = hub.within
        self.again()

    def again(self) -> None:
        """Run all three commands again; fine where one runs already."""
        super().again()
        self.publish_again()
        self.subscribe_again()

    def publish_again(self) -> None:
        """Run `inv publish` again."""
        self._command("publish", *self._servers("--to"), f"local-{self.port}")

    def subscribe_again(self) -> None:
        """Run `inv subscribe` again."""
        self._command("subscribe", *self._servers("--from"), "--file", str(self.copy), env=self.points)

    def stop(self) -> None:
        """Stop all in the order of the bytes; see that the copy is what was recorded, and its index, too."""
        super().stop()
        wait_until(self.is_equal, 60, "the copy is as long as what was recorded")
        recorded, copied = (self._known(name) for name in (f"local-{self.port}", self.name_of("subscriber")))
        done = self.home.inv("kill")
        assert done.returncode == 0, done.stderr
        assert _hash(self.copy) == _hash(self.file), "the copy is not what was recorded"
        _see_known_alike(recorded, copied)

    def close(self) -> None:
        """End whatever is left of it."""
        for role in ("publisher", "subscriber"):
            for process in self.processes(role):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        super().close()
        self._held.close()

    def post(self) -> None:
        """Return None: there are no datagrams."""

    def dropped(self) -> int:
        """Return 0."""
        return 0

    def processes(self, role: str) -> list[psutil.Process]:
        """Return its recorder, publisher or subscriber; or the servers."""
        if role == "node":
            return [psutil.Process(node.pid) for node in self.nodes if node.runs]
        if role not in ("publisher", "subscriber"):
            return super().processes(role)
        found = []
        for process in self.home.processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words[3:4] == [role] and "-I" in words and runs(process):
                    found.append(process)
        return found

    # -- what its faults look at and use ----------------------------------------------------------

    def is_equal(self) -> bool:
        """Tell whether the copy is as long as what was recorded."""
        return self.copy.exists() and self.copy.stat().st_size == self.file.stat().st_size

    def name_of(self, role: str) -> str:
        """Return what the daemon of that role is called."""
        (daemon,) = self.processes(role)
        words = daemon.cmdline()
        return Path(words[words.index("--folder") + 1]).name

    def _known(self, name: str) -> list[Line]:
        """Return each line, when it came, and from whom."""
        history = History(Recording(self.home.recordings / name))
        return [one for one in history.forward(Question(probes=True), 0) if isinstance(one, Line)]

    def _servers(self, option: str) -> list[str]:
        return [word for node in self.nodes for word in (option, node.url)]

    def _command(self, *words: str, env: dict[str, str] | None = None) -> None:
        self.home.within = self._within
        try:
            done = self.home.inv(*words, env=env)
        finally:
            self.home.within = []
        assert done.returncode == 0 or "already" in done.stderr + done.stdout, done.stderr


def _see_known_alike(recorded: list[Line], copied: list[Line]) -> None:
    """See that of each line the same is known, or nothing: a late index is waited for, but not for ever."""
    unknown = 0
    for one, two in zip(recorded, copied, strict=True):
        if one != two:
            assert (two.time, two.sender) == (None, None), f"who said what when differs: {one}, {two}"
            unknown += 1
    assert unknown <= len(recorded) // 1000, f"of {unknown} lines nothing is known in the copy alone"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
