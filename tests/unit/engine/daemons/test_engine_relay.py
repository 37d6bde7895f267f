from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted import ScriptedDisk

from reclog.engine.daemons import relay as module
from reclog.engine.daemons.config import RelayConfig
from reclog.engine.daemons.daemon import Daemon
from reclog.engine.daemons.relay import Relay
from reclog.engine.sources.tcp import Builtin
from reclog.engine.stores import mark

CONFIG = {
    "name": "0",
    "kind": "relay",
    "port": 0,
    "port_remote_out": 0,
    "bind": "127.0.0.1",
    "listener": "builtin",
    "stamp": False,
    "allow": [],
    "partial_after": 0.2,
    "spool_max": 1 << 24,
    "secret": "ab" * 32,
}


class Bench:
    """A relay on a slow disk, and one sender."""

    def __init__(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps(CONFIG))
        self.events = folder / "events.log"
        self.asked, self.answer = threading.Event(), threading.Event()
        self.error: OSError | None = None
        self.disk = ScriptedDisk()
        self.disk.before["sync"] = self.sync
        daemon = Daemon(str(folder))
        daemon.disk = self.disk
        self.relay = Relay(daemon, daemon.told(RelayConfig))
        self.relay.start()
        (source,) = self.relay.entrance.sources
        assert isinstance(source, Builtin)
        assert source.queue is not None
        self.sender = socket.create_connection(source.queue.sock.getsockname(), timeout=5)

    def sync(self, path: str) -> None:
        """Sync no segment until that is answered."""
        if path.endswith(".seg"):
            self.asked.set()
            assert self.answer.wait(10)
            if self.error is not None:
                raise self.error

    def send(self, text: bytes) -> None:
        """Have `text` spooled."""
        end = self.relay.spool.end + len(text)
        self.sender.sendall(text)
        self.until(lambda: self.relay.spool.end == end)

    def until(self, seen: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + 5
        while not seen():
            assert time.monotonic() < give_up_at, "not seen in time"
            self.relay.loop.turn(at_most=0.01)

    def close(self) -> None:
        self.answer.set()
        self.sender.close()
        self.relay.stop()
        self.relay.loop.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(module, "SYNC_EVERY", 0.01)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    handlers = [signal.getsignal(number) for number in numbers]
    bench = Bench(tmp_path)
    yield bench
    bench.close()
    for number, handler in zip(numbers, handlers):
        signal.signal(number, handler)


def test_lines_go_on_while_the_disk_syncs(bench: Bench) -> None:
    spool = bench.relay.spool
    bench.sender.sendall(b"first\n")
    bench.until(bench.asked.is_set)
    assert (spool.end, spool.synced) == (6, 0)
    bench.sender.sendall(b"second\n")
    bench.until(lambda: spool.end == 13)
    assert spool.synced == 0
    bench.answer.set()
    # The sync was of what was there when it was asked for; the rest is another's.
    bench.until(lambda: spool.synced == 6)
    bench.until(lambda: spool.synced == 13)


def test_lines_go_on_while_a_mark_and_a_segment_are_on_their_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark, "RESERVE", 4000)
    spool = bench.relay.spool
    spool._segment_size = 2000
    bench.send(b"first\n")
    bench.disk.before["fsync"] = lambda path: bench.sync(f"{path}.seg")  # the state's, too
    for count in (1500, 1500, 500):
        bench.send(b"x" * (count - 1) + b"\n")
    assert len(spool._segments) == 2
    assert spool._mark._aside.busy
    assert spool.synced == 0
    bench.answer.set()
    bench.until(lambda: spool.synced == spool.end and spool._mark.offset > 4006)


def test_a_sync_that_fails_is_said_and_tried_again(bench: Bench) -> None:
    spool = bench.relay.spool
    bench.error = OSError(5, "Input/output error")
    bench.answer.set()
    bench.sender.sendall(b"line\n")
    bench.until(lambda: '"sync failed"' in bench.events.read_text())
    assert spool.synced == 0
    bench.error = None
    bench.until(lambda: spool.synced == 5)


def test_a_segment_that_is_gone_needs_no_sync(bench: Bench) -> None:
    spool = bench.relay.spool
    bench.error = FileNotFoundError(2, "No such file or directory")
    bench.answer.set()
    bench.sender.sendall(b"line\n")
    bench.until(lambda: spool.synced == 5)
    assert '"sync failed"' not in bench.events.read_text()
