"""Two machines in memory, a tremplin and a laptop, and what reclog promises about the way between them.

Spool, feed, collector and landing are the real ones; what is simulated are the disks (see simdisk), the
connection, the clock (timers are fired by hand) and the people. A `World` is told what happens, step by step,
and raises `Broken` at the step that breaks a promise. The message begins with a verdict: lost, doubled, torn,
reordered, invented, offset used twice, not on disk, over the limit, stuck.

How it is known what is right:

- What the relay's process writes into a segment is compared, byte by byte, with what the senders' texts make
  of the stream; each byte is noted by its offset (promises 1 and 8). Texts are numbered, so that no two
  lines are alike.
- Each byte that the collector writes into a recorded file gets a label, the offset of the byte of the stream
  that it is. That goes by the rules of `Reader`: whole lines, in order, each byte once (5, 9). Labels go and
  come back with the bytes that they belong to, so what is in the files is known after a power cut, too.
- Before an ack leaves, and before a segment is deleted, all that it is about must be labelled in what the
  laptop's platter holds (7, and the order of sync, checkpoint and ack).
- What the index says of the recorded file is who said each text, and when, or that it is unknown (17).

What may be missing, and nothing else:

- bytes that a stranger destroyed: they were in a file that was truncated, removed or replaced;
- offsets in a gap that was said (13), if the tremplin's power took them: jumping over others is a loss;
- what was queued in a process that was killed, before it got to the spool (the scope in the design);
- what a spool held that somebody wiped before it was collected.

What may be there twice: the beginning of a line that a stranger cut in two, by writing behind it or by moving
its file away. It stands there broken, and the line stands whole after it, or goes on there.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from known import Known, Said
from ledger import FILES, NEWLINE, Broken, Ledger, Stream
from reader import FOREIGN, Reader
from simdisk import BEFORE, Died, Inode, Opened, SimDisk
from stand_ins import LIMIT, SEGMENT, STATE, Peer, Sock, StubAside, StubDaemon, StubLoop
from strangers import FILE, Strangers
from verdicts import see_gap, see_whole, unlike, where

from reclog.engine.daemons.collector import Collector
from reclog.engine.errors import EngineError
from reclog.engine.feed.client import FeedClient
from reclog.engine.feed.owner import Owner
from reclog.engine.feed.protocol import ACK, Decoder
from reclog.engine.feed.server import Feed
from reclog.engine.stores.pieces import beside, pieces, read
from reclog.engine.stores.retention import Keeping
from reclog.engine.stores.rotation import NOT_AT_ALL, Rotating
from reclog.engine.stores.spool import Spool, SpoolUnusable

SPOOL = "/relay/spool"


class World:
    """Both machines, and what should be on them. All that can happen is a method."""

    def __init__(self) -> None:
        self.tremplin, self.laptop = SimDisk(), SimDisk()
        with self.tremplin.outside(), self.laptop.outside():
            self.tremplin.makedirs("/relay")
            self.laptop.makedirs(FILES)
            self.laptop.makedirs(STATE)
        self.tremplin.on_write = self._spooled
        self.tremplin.on_unlink = self._deleting
        self.laptop.on_write = self._recorded
        self.laptop.on_unlink = self._letting_go
        self.ledger = Ledger(self.laptop)
        self.spool: Spool | None = None
        self.feed: Feed | None = None
        self.collector: Collector | None = None
        self.sock: Sock | None = None
        #: Connections that only the relay believes in.
        self.stale: list[Sock] = []
        self.events: list[str] = []
        self.stopping = False
        self._rotating = NOT_AT_ALL
        # Whether the relay was about to remove its spool: the owner has all.
        self._over = False
        self._boot = 0
        self._written: dict[int, int] = {}
        self._pending = b""
        # Who said each of these, and a time that is another for each text.
        self._pending_said: list[Said] = []
        self._clock = 0
        self._open_by: object = None
        self._power: dict[SimDisk, Callable[[int], int] | None] = {}
        self.strangers = Strangers(self.laptop, self.ledger)
        self._reader = Reader(self.ledger)
        self.known = Known(self.laptop, self.ledger, STATE)
        self.start_relay()
        self.start_collector()

    # -- the relay's side -----------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        return self.ledger.stream

    def start_relay(self) -> None:
        """Start the relay, if it does not run."""
        if self.spool is None:
            self._on_tremplin(self._start_relay)

    def _start_relay(self) -> None:
        spool = Spool(SPOOL, LIMIT, self._relay_says, self.tremplin, f"boot-{self._boot}", StubAside)
        spool._segment_size = SEGMENT
        try:
            jumps = spool.open()
        except SpoolUnusable:
            self.tremplin.crash()
            return
        if self._over and spool.id != self.stream.id:
            self._new_stream()  # all was delivered, and the spool removed but for its folder
        stream = self.stream
        stream.id = stream.id or spool.id
        if stream.id != spool.id:
            raise Broken("lost: the spool that was there is not the one that is opened")
        if spool.end < stream.next:
            raise Broken(f"offset used twice: {spool.end} is next, {stream.next - 1} was written")
        if spool.end > stream.next and not self._boot:
            raise Broken(f"invented: the spool ends at {spool.end}, and {stream.next} bytes were written")
        stream.next = spool.end
        at_end = stream.data.get(spool.end - 1, NEWLINE)
        known = not jumps and spool.end - 1 not in stream.lost
        self._pending, self._pending_said = b"", []
        self._open_by = "stranger" if known and at_end != NEWLINE else None
        self.spool = spool
        loop: Any = StubLoop()
        owner = Owner("/relay/owner.json", self._relay_says, SimDisk())
        self.feed = Feed(
            loop, spool, "", owner, self._relay_says, self._relay_says, dict, self._asked_to_stop
        )
        self._check_limit()

    def _relay_says(self, event: str, **facts: Any) -> None:
        self.events.append(event)

    def add(self, who: int, text: bytes) -> None:
        """A sender's text comes in."""
        if self.spool is None or self.stopping:
            return
        closing = b"\n" if self._open_by not in (None, who) else b""
        self._open_by = None if text.endswith(b"\n") else who
        self._pending += closing + text
        self._clock += 1
        said = Said(f"10.0.0.{who}", self._clock)
        self._pending_said += [said] * len(closing + text)
        self.spool.batch.add(who, text)
        self.spool.batch.note(*said)

    def flush_spool(self) -> None:
        self._on_tremplin(self._flush_spool)

    def _flush_spool(self) -> None:
        if self.spool is not None:
            done = self.spool.flush()
            if done and self._pending:
                raise Broken(f"lost: {self._pending[:30]!r} was taken, and not written")
            if not done and self.tremplin._capacity is None and not self.spool.paused:
                raise Broken("stuck: the spool does not say why it pauses")
            self._check_limit()
            if self.stopping and done and self.feed is not None:
                self.feed.ending = True

    def sync_spool(self) -> None:
        self._on_tremplin(self._sync_spool)

    def _sync_spool(self) -> None:
        if self.spool is not None:
            self.spool.sync_beside()

    def work_beside(self, marks: bool) -> None:
        """What the relay does beside its loop goes on by a step: a mark's save, or a sync of segments."""
        if self.spool is not None:
            aside: Any = self.spool._mark._aside if marks else self.spool._syncing
            self._on_tremplin(aside.step)

    def close_relay(self) -> None:
        """SIGTERM: the relay ends, its spool stays."""
        self._on_tremplin(self._close_relay)

    def _close_relay(self) -> None:
        if self.spool is None:
            return
        self._flush_spool()
        try:
            self.spool.close()
        except OSError:
            pass
        self._relay_gone()

    def kill_relay(self, arrives: int = 0) -> None:
        """kill -9; the first `arrives` bytes of what was being sent still arrive."""
        if self.spool is not None:
            self._move(arrives)
            self._relay_gone()

    def cut_power_of_tremplin(self, choice: Callable[[int], int]) -> None:
        self._relay_gone(choice)

    def wipe_spool(self) -> None:
        """Somebody removes the relay and its state."""
        self._relay_gone()
        self.tremplin.folders.pop(SPOOL, None)
        self._new_stream()

    def _new_stream(self) -> None:
        self.ledger.streams.append(Stream(len(self.ledger.streams)))
        self.stopping = self._over = False

    def _relay_gone(self, choice: Callable[[int], int] | None = None) -> None:
        synced = self.spool.synced if self.spool is not None else 0
        self.spool = self.feed = None
        self.stale.clear()
        if self.sock is not None:
            self.sock.closed_by_peer = True
        self._pending, self._pending_said = b"", []
        if choice is None:
            self.tremplin.crash()
            return
        self.tremplin.power_cut(choice)
        self._boot += 1
        there: set[int] = set()
        for name, inode in self.tremplin.files(SPOOL).items():
            if name.endswith(".seg"):
                there.update(range(int(name[:-4]), int(name[:-4]) + len(inode.cache.data)))
        stream = self.stream
        gone = {offset for offset in stream.data if offset >= stream.acked and offset not in there}
        for offset in sorted(gone - stream.lost):
            if offset < synced:
                raise Broken(f"not on disk: {offset} went with the power, and all before {synced} was synced")
        stream.lost |= gone

    def _spooled(self, opened: Opened, at: int, data: bytes) -> Sequence[int]:
        if opened.path.endswith(".seg"):
            stream = self.stream
            first = int(os.path.basename(opened.path)[:-4]) + at
            if first < stream.next:
                raise Broken(f"offset used twice: {first} is written, the spool's end is {stream.next}")
            if first > stream.next:
                raise Broken(f"lost: {first} is written, the spool's end is {stream.next}")
            if not self._pending.startswith(data):
                raise Broken(unlike(data, self._pending, bytes(stream.data.values())))
            self._pending = self._pending[len(data) :]
            for label, said in enumerate(self._pending_said[: len(data)], stream.label(first)):
                self.known.said[label] = said
            del self._pending_said[: len(data)]
            stream.add(data)
        return [FOREIGN] * len(data)

    def _deleting(self, path: str, inode: Inode) -> None:
        if path.endswith(".seg"):
            name = os.path.basename(path)
            start = int(name[:-4])
            self.ledger.must_be_on_platter(start, start + len(inode.cache.data), f"{name} is deleted")

    def _check_limit(self) -> None:
        size = sum(len(i.cache.data) for n, i in self.tremplin.files(SPOOL).items() if n.endswith(".seg"))
        if size > LIMIT:
            raise Broken(f"over the limit: the spool has {size} of {LIMIT} bytes")

    # -- the connection -------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self.sock is not None and self.collector is not None and self.collector._client is not None

    def connect(self, reaches: bool = True) -> None:
        """The collector dials; with `reaches` unset it never gets the answer."""
        if self.spool is None or self.feed is None or self.collector is None:
            return
        self.cut(relay_notices=False)
        if self.collector is None:
            return
        hello = json.loads(json.dumps(self.collector.hello()))
        peer: Any = Peer(self)
        self.feed._strangers.append(peer)
        answer = self.feed.welcome(peer, hello)
        if not answer["known"]:
            # One that was never here is not told of what was lost before: the relay's own log has that gap.
            lost = {offset for offset in self.stream.lost if offset < answer["offset"]}
            self.ledger.destroyed.update(map(self.stream.label, lost))
        peer.cursor = self.feed.admitted(peer, answer["offset"])
        sock = Sock(self, peer)
        if not reaches:
            self.stale.append(sock)
            return
        client = FeedClient.__new__(FeedClient)
        client.sock = sock  # type: ignore[assignment]
        client.hands = SimpleNamespace(rest=b"")  # type: ignore[assignment]
        client._decoder = Decoder(64)
        self.sock = sock
        collector = self.collector
        self._on_laptop(lambda: collector.connected(client, answer))

    def cut(self, relay_notices: bool = True) -> None:
        """The connection is lost; the relay may not know."""
        sock, self.sock = self.sock, None
        if sock is None:
            return
        if self.feed is not None and not sock.closed_by_peer:
            if relay_notices:
                self.feed.gone(sock.peer, "test")  # type: ignore[arg-type]
            else:
                self.stale.append(sock)
        if self.collector is not None:
            collector = self.collector
            self._on_laptop(lambda: collector.disconnected("test"))

    def pump(self, count: int) -> None:
        """Bring `count` bytes of the feed to the collector."""
        if not self.connected:
            return
        assert self.sock is not None
        self._on_tremplin(lambda: self._move(count))
        collector = self.collector
        if self.sock is None or collector is None or self.sock not in collector.loop.watched:  # type: ignore
            return
        self._on_laptop(collector._readable)
        if self.collector is not None and self.collector._client is None:
            self.sock = None  # the collector has dropped it
        self._see_finished()

    def _move(self, count: int) -> None:
        sock = self.sock
        if sock is None or self.feed is None or sock.closed_by_peer or sock.peer.closed:
            return
        peer: Any = sock.peer
        try:
            while len(sock.incoming) < count:
                self.feed.fill(peer)
                if not peer.out:
                    break
                part = peer.out[: count - len(sock.incoming)]
                del peer.out[: len(part)]
                sock.incoming += part
        except OSError as error:  # as `Peer` does with what the spool raises
            self.feed.gone(peer, str(error))
            sock.closed_by_peer = True

    def deliver_acks(self, late: bool = False) -> None:
        """What the collector has sent arrives; with `late` on a connection that it left."""
        for sock in [*self.stale] if late else [self.sock] if self.sock is not None else []:
            for data in sock.outgoing:
                self._on_tremplin(lambda data=data, sock=sock: self._heard(sock, data))  # type: ignore[misc]
            sock.outgoing.clear()

    def _heard(self, sock: Sock, data: bytes) -> None:
        if self.feed is None or self.spool is None or sock.peer.closed:
            return
        for frame in sock.peer.decoder.feed(data):
            if frame.kind == ACK:
                self.stream.acked = max(self.stream.acked, min(frame.offset, self.stream.next))
            self.feed.heard(sock.peer, frame)  # type: ignore[arg-type]
            if self.feed.finished:
                self._over = True
                try:
                    self.spool.remove()
                except OSError:  # it ends with a traceback; all is delivered
                    self._relay_gone()
                else:
                    self._relay_gone()
                    self._new_stream()
                return

    def lose_acks(self) -> None:
        """What the collector has sent is lost, and so the connection."""
        if self.sock is not None:
            self.sock.outgoing.clear()
            self.cut()

    def fed(self, offset: int, data: bytes) -> None:
        """Check what the relay sends."""
        stream = self.stream
        for at, byte in enumerate(data, offset):
            if at not in stream.data:
                raise Broken(f"invented: {data!r} is sent at {offset}, and nothing was spooled at {at}")
            if stream.data[at] != byte:
                raise Broken(f"offset used twice: {data!r} is sent at {offset}, and {at} was another byte")

    def acking(self, offset: int) -> None:
        """Check what the collector acks."""
        landing: Any = self.collector.outlet if self.collector is not None else None
        if landing is not None and landing.spool == self.stream.id:
            self.ledger.must_be_on_platter(0, offset, f"{offset} is acked")

    # -- the collector's side -------------------------------------------------------------------

    def start_collector(self) -> None:
        """Start the collector, if it does not run."""
        if self.collector is None:
            self._on_laptop(self._start_collector)

    def _start_collector(self) -> None:
        self.known.check()
        daemon: Any = StubDaemon(self.laptop, self._collector_says)
        # While a stop is under way, whoever starts another one is a second `inv kill`.
        config = dataclasses.replace(daemon.config, stop_at_once=self.stopping)
        collector = Collector(daemon, config)
        try:
            collector.start()
        except EngineError:
            self.laptop.crash()
            return
        self.collector = collector
        self._rotate()

    def rotate(self, size: int, keep: int = 0) -> None:
        """Have the recorded file cut from so many bytes on (0: no more), and so many pieces kept (0: all)."""
        self._rotating = Rotating(size, keeping=Keeping(keep))
        self._on_laptop(self._rotate)

    def _rotate(self) -> None:
        if self.collector is not None:
            self.collector.outlet.rotate_as(self._rotating)

    def _letting_go(self, path: str, inode: Inode) -> None:
        """Take note of a piece that is kept no more."""
        landing: Any = self.collector.outlet if self.collector is not None else None
        if landing is not None and path in [
            beside(FILE, piece) for piece in landing.file.journal.listed.gone
        ]:
            self.ledger.destroyed.update(tag for tag in inode.cache.tags if tag >= 0)

    def midnight(self) -> None:
        """A day ends, for a recording that is cut daily."""
        if self.collector is not None:
            file: Any = self.collector.outlet.file  # type: ignore[attr-defined]
            file._plan.until = 1.0
            self._on_laptop(file._look_at_clock)

    def _collector_says(self, event: str, **facts: Any) -> None:
        self.events.append(event)
        if event == "gap":
            see_gap(self.ledger, self.stream, int(facts["start"]), int(facts["end"]))

    def settle(self) -> None:
        """The time for an ack has come."""
        if self.collector is not None and self.collector.acks.timer.when != float("inf"):
            self._on_laptop(self.collector.acks.timer.fire)

    def answer(self) -> None:
        """What is settled is said again, as data came."""
        if self.collector is not None:
            self._on_laptop(self.collector.acks._answer_timer.fire)

    def synced(self) -> None:
        """A sync that was begun beside the loop is over."""
        if self.collector is not None:
            aside: Any = self.collector.acks.aside
            self._on_laptop(aside.step)

    def retry(self) -> None:
        """The time to try again has come, after a pause."""
        if self.collector is not None and self.collector._retry_timer.when != float("inf"):
            self._on_laptop(self.collector._retry_timer.fire)
            self._see_finished()

    def kill_collector(self) -> None:
        """kill -9."""
        self._collector_gone()

    def cut_power_of_laptop(self, choice: Callable[[int], int]) -> None:
        self._collector_gone(choice)

    def end_collector(self) -> None:
        """SIGTERM: it writes and acks what came, and ends."""
        collector = self.collector
        if collector is not None:
            self._on_laptop(collector.stop)
            self._collector_gone()

    def ask_to_stop(self) -> None:
        """`inv kill`: the relay is asked to give all away and to end."""
        collector = self.collector
        if collector is not None and self.connected:
            self._on_laptop(collector._ask_to_stop)

    def _asked_to_stop(self) -> None:
        self.stopping = True
        if self.spool is not None:
            self._flush_spool()

    def _see_finished(self) -> None:
        collector = self.collector
        if collector is not None and collector.finished:
            sock = self.sock
            self._on_laptop(collector.stop)
            if sock is not None and self.sock is sock and self.feed is not None:
                self.deliver_acks()
            self._collector_gone()

    def _collector_gone(self, choice: Callable[[int], int] | None = None) -> None:
        if self.sock is not None and self.feed is not None and not self.sock.closed_by_peer:
            self.stale.append(self.sock)
        self.collector = self.sock = None
        if choice is None:
            self.laptop.crash()
        else:
            self.laptop.power_cut(choice)

    def _recorded(self, opened: Opened, at: int, data: bytes) -> Sequence[int]:
        if opened.path != FILE or opened.inode is None:
            return [FOREIGN] * len(data)
        landing: Any = self.collector.outlet if self.collector is not None else None
        tags = self._read(opened.inode, data, landing)
        if not self.laptop.has(opened.inode):
            self.ledger.destroyed.update(tags)
        self.ledger.last = next((tag for tag in reversed(tags) if tag >= 0), self.ledger.last)
        return tags

    def _read(self, inode: Inode, data: bytes, landing: Any) -> list[int]:
        last = [self.laptop.find(beside(FILE, piece)) for piece in pieces(STATE, self.laptop)[-1:]]
        left = last[0] if last else None
        ways: list[tuple[Inode | None, bool]] = [(left, False)]
        if self.strangers.came:  # the file may be empty for another reason
            ways += [(None, False), (left, True)]
        for nth, (one, closes) in enumerate(ways, 1):
            try:
                return self._reader.read(inode, data, landing, one, closes)
            except Broken:
                if nth == len(ways):
                    raise
        return []

    # -- faults ---------------------------------------------------------------------------------

    def kill_at(
        self, disk: SimDisk, nth: int, when: str = BEFORE, choice: Callable[[int], int] | None = None
    ) -> None:
        """Kill the process there at its `nth` change from now; with `choice`, cut the power."""
        disk.die_at(nth, when)
        self._power[disk] = choice

    def _on_tremplin(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Died:
            self._relay_gone(self._power.pop(self.tremplin, None))

    def _on_laptop(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Died:
            self._collector_gone(self._power.pop(self.laptop, None))
        except EngineError:  # it ends with a sentence
            self._collector_gone()

    # -- the end --------------------------------------------------------------------------------

    def drain(self) -> None:
        """All is mended and runs; then all that was spooled must be in the file."""
        self.tremplin.mend()
        self.laptop.mend()
        for _ in range(200):
            self.start_relay()
            self.start_collector()
            self.flush_spool()
            self.sync_spool()
            for marks in (True, True, False, False):
                self.work_beside(marks)
            if not self.connected:
                self.connect()
            self.retry()
            self.pump(10000)
            self.settle()
            self.synced()
            self.answer()
            self.deliver_acks()
            collector, spool = self.collector, self.spool
            if collector is None or spool is None or self.stopping:
                continue  # a stop has come to its end, or goes on
            if not spool.queued and collector.outlet.settled == spool.end == spool.acked and self.connected:
                break
        else:
            raise Broken(f"stuck: {where(self.collector, self.spool)}; events {self.events[-8:]}")
        self.check()

    def check(self) -> None:
        """Check that all that may be expected in the files is there, once all was drained."""
        self.known.check()
        gone = read(STATE, self.laptop).held
        see_whole(self.ledger, self.stream, self.recorded, gone, plain=not self.strangers.came)

    @property
    def recorded(self) -> bytes:
        """What the pieces hold that are listed, and the file."""
        names = [beside(FILE, piece) for piece in pieces(STATE, self.laptop)]
        found = (self.laptop.find(name) for name in [*names, FILE])
        return b"".join(bytes(inode.cache.data) for inode in found if inode is not None)
