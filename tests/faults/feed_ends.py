"""Both ends of the feed, to be fuzzed: a relay with callers, a collector whose tunnel ends at a wire."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from fuzz import ShakyDisk, Wire, bounded
from relay_end import OURS, SECRET, RelayEnd

from reclog.engine.daemons.asking import Reached
from reclog.engine.daemons.collector import Collector
from reclog.engine.daemons.config import CollectorConfig
from reclog.engine.daemons.daemon import Daemon
from reclog.engine.feed import handshake
from reclog.engine.feed.protocol import DATA, Frame
from reclog.engine.records.jsonfile import read_json
from reclog.engine.system.loop import Loop
from reclog.look.status import describe
from reclog.look.table import everything, fitted
from reclog.recordings.registry import Registry

RELAY = "0" * 32
#: No file is longer (off_t), and an ack of more would not fit into its header.
OFFSET_MAX = 2**63 - 1
#: What no stranger may ever see.
TEXT = b"".join(b"classified %d\n" % number for number in range(40))


# -- the relay's end ----------------------------------------------------------------------------


class Relay(RelayEnd):
    """What is spooled there is another's."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"{folder}/spool", Loop(), ShakyDisk())
        self.write(TEXT)
        self.owner.name, self.owner.since = "me", "then"

    def close(self) -> None:
        super().close()
        self.loop.close()


@contextmanager
def relay() -> Iterator[Relay]:
    with tempfile.TemporaryDirectory() as folder:
        relay = Relay(folder)
        try:
            yield relay
        finally:
            relay.close()


def served(relay: Relay, name: str = "me") -> list[Frame]:
    """Connect as the owner; return the frames that bring all that nobody has taken yet."""
    owner = relay.connect()
    owner.shake_hands(name, spool=None, offset=0, take_over=True)
    assert owner.answer["offset"] == relay.spool.acked
    owner.until(lambda: len(owner.data()) >= relay.spool.end - relay.spool.acked)
    assert not owner.closed
    return owner.frames()


def check_relay_goes_on(relay: Relay, most_acked: int = 0) -> None:
    """Nothing was lost: the owner gets all from the last honest ack on."""
    assert relay.spool.acked <= most_acked
    assert len(relay.feed._strangers) <= 65
    assert all(len(peer.hands.rest) <= 2 * 65536 for peer in relay.feed._strangers)
    data = b"".join(frame.payload for frame in served(relay) if frame.kind == DATA)
    assert data == TEXT[relay.spool.acked :]


# -- the collector's end ------------------------------------------------------------------------


class Here:
    """A collector whose tunnel ends at a wire."""

    def __init__(self, root: Path, before: bytes = b"") -> None:
        self.registry = Registry(root / "state")
        self.file = root / "file.log"
        self.file.write_bytes(before)
        self.before = before
        config = {"kind": "tremplin", "collector": "me", "file": str(self.file), "port_local": 1}
        config.update(secret=SECRET, ssh_command=["true"], start_command=["true"], host="there", port=1)
        self.recording = self.registry.new("tremplin-there-1", config)
        with mock.patch("reclog.engine.daemons.daemon.disk", ShakyDisk):
            self.daemon = Daemon(str(self.recording.folder))
        self.collector = Collector(self.daemon, self.daemon.told(CollectorConfig))
        self.collector.outlet.open()
        tunnel: Any = self.collector.tunnel
        self.tunnel = tunnel
        tunnel._ssh = SimpleNamespace(pid=1, listens_on=lambda port: True, signal=lambda number: None)
        tunnel._starter = SimpleNamespace(pid=1)  # it starts nothing
        self.daemon.announce()

    def dial(self, pieces: Sequence[bytes], closes: bool = True) -> Wire:
        """Connect to a relay that says `pieces`; turn until all of it was heard or the wire was cut."""
        wire = Wire(pieces, closes)
        with (
            mock.patch("socket.socket", return_value=wire),
            mock.patch.object(handshake, "nonce", return_value=OURS),
        ):
            self.tunnel._connected = False
            self.tunnel._dial()
        self.tunnel._dial_timer.off()
        bounded(lambda: bool(self.turned(wire)))
        return wire

    def turned(self, wire: Wire) -> Any:
        self.daemon.counters._written_at = 0.0
        self.daemon.loop.turn(at_most=0)
        self.tunnel._dial_timer.off()  # one call is enough
        collector = self.collector
        if self.tunnel._client is not None:
            return wire.heard_all and not wire._closes
        return collector._client is None or collector.finished or (wire.heard_all and not wire._closes)

    def written(self) -> bytes:
        self.collector.outlet.flush()
        return self.file.read_bytes()[len(self.before) :]

    def events(self) -> list[dict[str, Any]]:
        lines = (self.recording.folder / "events.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self.collector.outlet.close()
        if self.collector._client is not None:
            self.daemon.loop.unwatch(self.collector._client.sock)
            self.collector._client.close()
        self.daemon.loop.close()

    def check_status(self) -> list[dict[str, Any]]:
        """What came must not break what a person asks for."""
        self.collector.acks.settle()
        self.daemon.counters.write()
        assert read_json(str(self.recording.folder / "counters.json"))
        return check_overview(self.registry)


def check_overview(registry: Registry) -> list[dict[str, Any]]:
    """Have everything told of all recordings, as `inv status` and `inv status --json` do."""
    # The daemon is in this thread and can't answer meanwhile: its files say the same.
    silent = mock.patch("reclog.recordings.recording.ask", return_value=(Reached.ABSENT, {}))
    with silent, mock.patch("reclog.look.status.marked", return_value={}):
        described = describe(registry.recordings(), registry)
    assert json.loads(json.dumps(described, indent=2, allow_nan=False)) == described
    for row in [*everything(described), *fitted(described, 80)]:
        assert all(len(str(cell)) < 10_000 for cell in row)
    return described


@contextmanager
def here(before: bytes = b"") -> Iterator[Here]:
    with tempfile.TemporaryDirectory() as folder:
        bench = Here(Path(folder), before)
        try:
            yield bench
        finally:
            bench.close()


def shaken(answer: bytes) -> bytes:
    proof = handshake.proof(SECRET, "relay", OURS, RELAY).encode()
    return handshake.greeting(RELAY) + proof + b"\n" + answer + b"\n"
