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
  that it is. That goes by the rules of `_Reader`: whole lines, in order, each byte once (5, 9). Labels go and
  come back with the bytes that they belong to, so what is in the files is known after a power cut, too.
- Before an ack leaves, and before a segment is deleted, all that it is about must be labelled in what the
  laptop's platter holds (7, and the order of sync, checkpoint and ack).

What may be missing, and nothing else:

- bytes that a stranger destroyed: they were in a file that was truncated, removed or replaced;
- offsets in a gap that was said (13), if the tremplin's power took them: jumping over others is a loss;
- what was queued in a process that was killed, before it got to the spool (the scope in the design);
- what a spool held that somebody wiped before it was collected.

What may be there twice: the beginning of a line that a stranger cut in two, by writing behind it or by moving
its file away. It stands there broken, and the line stands whole after it, or goes on there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from simdisk import BEFORE, Died, Inode, Opened, SimDisk

from reclog.engine.daemons import collector as collector_module
from reclog.engine.daemons.collector import Collector
from reclog.engine.errors import EngineError
from reclog.engine.feed import server as feed_module
from reclog.engine.feed.client import FeedClient
from reclog.engine.feed.protocol import ACK, DATA, Decoder
from reclog.engine.feed.server import Feed, Owner
from reclog.engine.outlets import acks as acks_module
from reclog.engine.stores import spool as spool_module
from reclog.engine.stores.file import Sink
from reclog.engine.stores.spool import Spool, SpoolUnusable
from reclog.engine.system.loop import Timer

# Small, so that segments end, fill and go within a few lines.
LIMIT, SEGMENT, RESERVE, SEND_AHEAD, FLUSH_AT, ACK_AT = 400, 60, 150, 90, 80, 200

SPOOL, FILES, STATE = "/relay/spool", "/rec", "/state"
FILE = f"{FILES}/file.log"
NEWLINE = 10
#: Tags of bytes in a recorded file that are no byte of a stream: another's, and a newline put between.
FOREIGN, CLOSING = -1, -2
#: Label of a byte of the stream: number of the spool, from 1 on, times this, plus offset.
_SPAN = 1 << 32


class Broken(AssertionError):
    """A promise is broken; the message begins with the verdict."""


class Stream:
    """What was spooled under one spool id."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = ""
        #: Every byte ever written, by its offset.
        self.data: dict[int, int] = {}
        #: Where the next byte is to go.
        self.next = 0
        #: Offsets that went with the tremplin's power.
        self.lost: set[int] = set()
        #: What the relay was told to be on the collector's disk.
        self.acked = 0

    def label(self, offset: int) -> int:
        return (self.number + 1) * _SPAN + offset


class StubLoop:
    """A loop that turns by hand."""

    def __init__(self) -> None:
        self.watched: set[Any] = set()
        self.ends: list[Callable[[], None]] = []
        self.on_signal = lambda number, callback: None

    def timer(self, callback: Callable[[], None]) -> Timer:
        return Timer(callback)

    def after_turn(self, callback: Callable[[], None]) -> None:
        self.ends.append(callback)

    def watch(self, thing: Any, callback: Callable[[], None], writing: bool = False) -> None:
        self.watched.add(thing)

    def unwatch(self, thing: Any) -> None:
        self.watched.discard(thing)


class StubTunnel:
    """A tunnel that the world makes and breaks."""

    def __init__(self, *_args: Any) -> None:
        self.trouble = ""

    def lost(self, why: str) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def look(self) -> None: ...

    def reap(self) -> None: ...


class StubAside:
    """Works at once, and says that it is done when the world lets it."""

    def __init__(self, _loop: object) -> None:
        self._said: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        return self._said is not None

    def start(self, work: Callable[[], None], done: Callable[[OSError | None], None]) -> None:
        error: OSError | None = None
        try:
            work()
        except OSError as raised:
            error = raised
        self._said = lambda: done(error)

    def end(self) -> None:
        said, self._said = self._said, None
        if said is not None:
            said()


class StubPublisher:
    def __init__(self, *_args: Any) -> None: ...

    def publish(self) -> None: ...


class StubDaemon:
    """What a collector needs of its daemon."""

    def __init__(self, disk: SimDisk, say: Callable[..., None]) -> None:
        self.config = {"collector": "laptop", "file": FILE}
        self.loop = StubLoop()
        self.disk = disk
        self.folder = STATE
        self.log = mock.Mock(spec=["say"])
        self.log.say = say
        self.stopping = False
        self.keep_state = self.keep_config = False

    def path(self, name: str) -> str:
        return f"{STATE}/{name}"

    def ready(self, **facts: Any) -> None: ...

    def announce(self, **facts: Any) -> None: ...

    def listen_for_stop(self) -> None: ...


class Peer:
    """The relay's end of a connection: what the feed uses of its own `Peer`."""

    def __init__(self, world: World) -> None:
        self.collector = "laptop"
        self.offset = -1
        self.said_last = False
        self.closed = False
        self.proved = True
        self.since = 0.0
        self.out = bytearray()
        self.decoder = Decoder(64)
        self._world = world

    @property
    def backlog(self) -> int:
        return len(self.out)

    def queue(self, *pieces: bytes) -> None:
        if pieces[0][:1] == DATA:
            self._world.fed(self.offset, pieces[1])
        for piece in pieces:
            self.out += piece

    def send(self, data: bytes) -> None:
        self.queue(data)

    def close(self) -> None:
        self.closed = True


class Sock:
    """The collector's end of a connection."""

    def __init__(self, world: World, peer: Peer) -> None:
        self.peer = peer
        self.incoming = bytearray()
        #: What was sent and has not arrived.
        self.outgoing: list[bytes] = []
        self.closed_by_peer = False
        self._world = world

    def recv_into(self, view: memoryview) -> int:
        if not self.incoming:
            if self.closed_by_peer:
                return 0
            raise BlockingIOError
        count = min(len(view), len(self.incoming))
        view[:count] = self.incoming[:count]
        del self.incoming[:count]
        return count

    def sendall(self, data: bytes) -> None:
        for frame in Decoder().feed(data):
            if frame.kind == ACK:
                self._world.acking(frame.offset)
        self.outgoing.append(data)

    def close(self) -> None: ...


@contextmanager
def small() -> Iterator[None]:
    """Have the engine work in small pieces, without processes and sockets."""
    with (
        mock.patch.multiple(spool_module, RESERVE=RESERVE),
        mock.patch.multiple(feed_module, SEND_AHEAD=SEND_AHEAD),
        mock.patch.multiple(collector_module, Tunnel=StubTunnel, Publisher=StubPublisher),
        mock.patch.multiple(acks_module, Aside=StubAside, ACK_AT=ACK_AT),
        mock.patch.object(Sink, "FLUSH_AT", FLUSH_AT),
    ):
        yield


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
        self.streams: list[Stream] = [Stream(0)]
        #: Labels of what a stranger destroyed, and of the offsets in gaps that were said.
        self.destroyed: set[int] = set()
        self.gaps: list[tuple[int, int]] = []
        #: Whether anybody but the collector changed the recorded files, or a spool was wiped.
        self.touched = False
        self.last = -1
        self.spool: Spool | None = None
        self.feed: Feed | None = None
        self.collector: Collector | None = None
        self.sock: Sock | None = None
        #: Connections that only the relay believes in.
        self.stale: list[Sock] = []
        self.events: list[str] = []
        self.stopping = False
        # Whether the relay was about to remove its spool: the owner has all.
        self._over = False
        self._boot = 0
        self._written: dict[int, int] = {}
        self._pending = b""
        self._open_by: object = None
        self._power: dict[SimDisk, Callable[[int], int] | None] = {}
        self._rotations = 0
        self._foreign = 0
        self._reader = _Reader(self)
        self.start_relay()
        self.start_collector()

    # -- the relay's side -----------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        return self.streams[-1]

    def start_relay(self) -> None:
        """Start the relay, if it does not run."""
        if self.spool is None:
            self._on_tremplin(self._start_relay)

    def _start_relay(self) -> None:
        spool = Spool(SPOOL, LIMIT, self._relay_says, self.tremplin, f"boot-{self._boot}")
        spool._segment_size = SEGMENT
        try:
            jump = spool.open()
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
        known = jump is None and spool.end - 1 not in stream.lost
        self._pending = b""
        self._open_by = "stranger" if known and at_end != NEWLINE else None
        self.spool = spool
        loop: Any = StubLoop()
        self.feed = Feed(loop, spool, "", Owner(), self._relay_says, dict)
        self.feed.on_stop = self._asked_to_stop
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
        self.spool.add(who, text)

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
            try:
                self.spool.sync()
            except OSError:
                pass  # the relay says so, and tries again

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
        self.touched = True

    def _new_stream(self) -> None:
        self.streams.append(Stream(len(self.streams)))
        self.stopping = self._over = False

    def _relay_gone(self, choice: Callable[[int], int] | None = None) -> None:
        self.spool = self.feed = None
        self.stale.clear()
        if self.sock is not None:
            self.sock.closed_by_peer = True
        self._pending = b""
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
        stream.lost |= {offset for offset in stream.data if offset >= stream.acked and offset not in there}

    def _spooled(self, opened: Opened, at: int, data: bytes) -> Sequence[int]:
        if opened.path.endswith(".seg"):
            stream = self.stream
            first = int(os.path.basename(opened.path)[:-4]) + at
            if first < stream.next:
                raise Broken(f"offset used twice: {first} is written, the spool's end is {stream.next}")
            if first > stream.next:
                raise Broken(f"lost: {first} is written, the spool's end is {stream.next}")
            if not self._pending.startswith(data):
                raise Broken(_unlike(data, self._pending, bytes(stream.data.values())))
            self._pending = self._pending[len(data) :]
            stream.data.update(zip(range(first, first + len(data)), data))
            stream.next += len(data)
        return [FOREIGN] * len(data)

    def _deleting(self, path: str, inode: Inode) -> None:
        if path.endswith(".seg"):
            name = os.path.basename(path)
            start = int(name[:-4])
            self._must_be_on_platter(start, start + len(inode.cache.data), f"{name} is deleted")

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
        hello = json.loads(json.dumps(self.collector._hello()))
        peer: Any = Peer(self)
        self.feed._strangers.append(peer)
        answer = self.feed.welcome(peer, hello)
        peer.offset = int(answer["offset"])
        if not answer["known"]:
            # One that was never here is not told of what was lost before: the relay's own log has that gap.
            lost = {offset for offset in self.stream.lost if offset < peer.offset}
            self.destroyed.update(map(self.stream.label, lost))
        self.feed.admitted(peer)
        sock = Sock(self, peer)
        if not reaches:
            self.stale.append(sock)
            return
        client = FeedClient.__new__(FeedClient)
        client.sock = sock  # type: ignore[assignment]
        client._rest = b""
        client._decoder = Decoder(64)
        self.sock = sock
        collector = self.collector
        self._on_laptop(lambda: collector._connected(client, answer))

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
            self._on_laptop(lambda: collector._disconnected("test"))

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
        landing = self.collector.landing if self.collector is not None else None
        if landing is not None and landing.spool == self.stream.id:
            self._must_be_on_platter(0, offset, f"{offset} is acked")

    # -- the collector's side -------------------------------------------------------------------

    def start_collector(self) -> None:
        """Start the collector, if it does not run."""
        if self.collector is None:
            self._on_laptop(self._start_collector)

    def _start_collector(self) -> None:
        daemon: Any = StubDaemon(self.laptop, self._collector_says)
        collector = Collector(daemon)
        try:
            collector.start()
        except EngineError:
            self.laptop.crash()
            return
        self.collector = collector

    def _collector_says(self, event: str, **facts: Any) -> None:
        self.events.append(event)
        if event == "gap":
            stream = self.stream
            start, end = int(facts["start"]), int(facts["end"])
            there = self._accounted()
            for offset in range(start, end):
                if offset in stream.data and offset not in stream.lost and stream.label(offset) not in there:
                    raise Broken(f"lost: the gap {start}-{end} covers {offset}, which the spool had")
            self.gaps.append((stream.label(start), stream.label(end)))

    def settle(self) -> None:
        """The time for an ack has come."""
        if self.collector is not None and self.collector.acks.timer.when != float("inf"):
            self._on_laptop(self.collector.acks.timer.fire)

    def synced(self) -> None:
        """A sync that was begun beside the loop is over."""
        if self.collector is not None:
            aside: Any = self.collector.acks.aside
            self._on_laptop(aside.end)

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
        tags = self._reader.read(opened.inode, data)
        if not self.laptop.has(opened.inode):
            self.destroyed.update(tags)
        self.last = next((tag for tag in reversed(tags) if tag >= 0), self.last)
        return tags

    # -- strangers ------------------------------------------------------------------------------

    def truncate(self) -> None:
        self._destroy()
        if self.laptop.find(FILE) is not None:
            self.laptop.truncate(FILE)

    def write_beside(self, whole: bool) -> None:
        """Somebody appends to the recorded file: a line, or half a line."""
        if self.laptop.find(FILE) is not None:
            self._put(os.O_APPEND, b"#%d#%s" % (self._foreign, b"\n" if whole else b""))

    def rotate_anew(self) -> None:
        self.rotate(True)

    def rotate_away(self) -> None:
        self.rotate(False)

    def rotate(self, new: bool) -> None:
        """The file is renamed, and perhaps a new one made."""
        if self.laptop.find(FILE) is None:
            return
        self._rotations += 1
        self.touched = True
        with self.laptop.outside() as disk:
            disk.replace(FILE, f"{FILE}.{self._rotations}")
        if new:
            self._put(os.O_APPEND, b"")

    def remove(self) -> None:
        if self.laptop.find(FILE) is not None:
            self._destroy()
            with self.laptop.outside() as disk:
                disk.unlink(FILE)

    def replace(self) -> None:
        """The file is replaced by another one."""
        self._destroy()
        with self.laptop.outside() as disk:
            fd = disk.open(f"{FILE}.new", os.O_WRONLY | os.O_CREAT)
            disk.write_all(fd, b"#%d#\n" % self._foreign)
            disk.close(fd)
            disk.replace(f"{FILE}.new", FILE)

    def _put(self, flags: int, text: bytes) -> None:
        self.touched = True
        self._foreign += 1
        with self.laptop.outside() as disk:
            fd = disk.open(FILE, os.O_WRONLY | os.O_CREAT | flags)
            disk.write_all(fd, text)
            disk.close(fd)

    def _destroy(self) -> None:
        self.touched = True
        self._foreign += 1
        inode = self.laptop.find(FILE)
        if inode is not None:
            self.destroyed.update(tag for tag in inode.cache.tags if tag >= 0)

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
            if not self.connected:
                self.connect()
            self.retry()
            self.pump(10000)
            self.settle()
            self.synced()
            self.deliver_acks()
            collector, spool = self.collector, self.spool
            if collector is None or spool is None or self.stopping:
                continue  # a stop has come to its end, or goes on
            if not spool.queued and collector.landing.settled == spool.end == spool.acked and self.connected:
                break
        else:
            raise Broken(f"stuck: {self._where()}")
        self.check()

    def check(self) -> None:
        """Check that all that may be expected in the files is there, once all was drained."""
        stream = self.stream
        there = self._accounted()
        for offset in sorted(stream.data):
            if stream.label(offset) not in there:
                raise Broken(f"lost: {self.text(stream.label(offset))}")
        if not self.touched and len(self.streams) == 1 and not self.gaps:
            # The plain case, without any of the above: the file is the stream, byte for byte.
            inode = self.laptop.find(FILE)
            assert inode is not None
            if inode.cache.data != bytes(stream.data.values()):
                raise Broken(f"invented: the file holds {bytes(inode.cache.data)!r}, not {stream.data!r}")

    def stream_of(self, label: int) -> Stream:
        return self.streams[label // _SPAN - 1]

    def text(self, label: int) -> str:
        """Say what a label stands for."""
        stream, offset = self.stream_of(label), label % _SPAN
        near = bytes(stream.data.get(at, NEWLINE) for at in range(offset, offset + 12))
        return f"offset {offset} of spool {stream.number} ({near!r})"

    def labels(self, platter: bool = False) -> set[int]:
        """Return the labels of all that the recorded files hold, in the cache or on the platter."""
        found: set[int] = set()
        for inode in self.laptop.files(FILES, platter).values():
            found.update((inode.platter if platter else inode.cache).tags)
        return found

    def behind_gap(self, label: int) -> int:
        """Return where the gap ends that the label is in; the label if it is in none."""
        while True:
            end = max((stop for start, stop in self.gaps if start <= label < stop), default=label)
            if end == label:
                return label
            label = end

    def before_gap(self, label: int) -> int:
        """Return the last label before the gap that the label is in; the label if it is in none."""
        while True:
            begin = min((start for start, stop in self.gaps if start <= label < stop), default=label + 1)
            if begin == label + 1:
                return label
            label = begin - 1

    def _accounted(self, platter: bool = False) -> set[int]:
        found = self.labels(platter) | self.destroyed
        for start, end in self.gaps:
            found.update(range(start, end))
        return found

    def _must_be_on_platter(self, start: int, end: int, why: str) -> None:
        stream = self.stream
        there = self._accounted(platter=True)
        for offset in range(start, end):
            if offset in stream.data and offset not in stream.lost and stream.label(offset) not in there:
                what = self.text(stream.label(offset))
                raise Broken(f"not on disk: {why}, and the laptop's disk lacks {what}")

    def _where(self) -> str:
        collector, spool = self.collector, self.spool
        here = there = "none"
        if collector is not None:
            here = f"position {collector.landing.position}, paused {collector.sink.paused!r}"
        if spool is not None:
            there = f"end {spool.end}, acked {spool.acked}, paused {spool.paused!r}"
        return f"relay: {there}; collector: {here}; events {self.events[-8:]}"


class _Way:
    """One way to understand what was written: a tag for each byte, and what may come next."""

    def __init__(self, tags: list[int], nexts: list[int]) -> None:
        self.tags = tags
        self.nexts = nexts


class _Reader:
    """Tell which bytes of the streams the collector writes into a file, and whether it may.

    Several ways are tried at once, because a newline may be one of the stream's or one put between.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._why = ""

    def read(self, inode: Inode, data: bytes) -> list[int]:
        """Return the tags of `data`, which is appended to the file. Raises Broken."""
        world = self._world
        before = list(inode.cache.tags[-2:])
        newline = not inode.cache.data or inode.cache.data[-1] == NEWLINE
        empty = not inode.cache.data
        present = world.labels()
        accounted = world._accounted()
        self._why = ""
        ways = [_Way(before, self._starts(accounted))]
        for byte in data:
            ways = [more for way in ways for more in self._go_on(way, byte, newline, empty)]
            if not ways:
                break
            newline, empty = byte == NEWLINE, False
        for way in ways:
            tags = way.tags[len(before) :]
            wrong = self._wrong(inode, before, tags, present, accounted)
            if not wrong:
                return tags
            self._why = self._why or wrong
        raise Broken(self._why if ways else self._name(inode, data, present))

    def _go_on(self, way: _Way, byte: int, newline: bool, empty: bool) -> Iterator[_Way]:
        last = way.tags[-1] if way.tags else FOREIGN
        for label in dict.fromkeys(way.nexts):
            if self._byte(label) != byte:
                continue
            if not newline and last != label - 1:
                self._why = f"torn: {self._world.text(label)} is joined to another line"
            elif last == CLOSING and len(way.tags) > 1 and way.tags[-2] == label - 1:
                self._why = f"torn: a newline was put before {self._world.text(label)}"
            else:
                yield _Way([*way.tags, label], self._after(label))
        # Where the file's end can't be read, a newline too many beats two lines in one (see Sink).
        if byte == NEWLINE and not empty and (not newline or self._world.laptop.failed_reads):
            yield _Way([*way.tags, CLOSING], way.nexts)

    def _starts(self, accounted: set[int]) -> list[int]:
        """Return the labels with which a write may begin."""
        world = self._world
        starts = []
        collector = world.collector
        if collector is not None:
            landing = collector.landing
            for stream in world.streams:
                if stream.id == landing.spool:
                    # Where the collector believes to be: what it writes must be just that.
                    label, unwritten = stream.label(landing.position), landing.sink.unwritten
                    back = [label := world.before_gap(label - 1) for _ in range(unwritten)]
                    # Newlines that it puts between count as unwritten, too.
                    starts += [stream.label(landing.position), *back][:-4:-1]
        starts += self._after(world.last) if world.last >= 0 else []
        for stream in world.streams:
            first = next((at for at in stream.data if stream.label(at) not in accounted), None)
            if first is not None:
                starts.append(stream.label(first))
        starts = [world.behind_gap(label) for label in starts]
        return list(dict.fromkeys([*starts, *(self._line_start(label) for label in starts)]))

    def _line_start(self, label: int) -> int:
        while self._byte(label - 1) not in (None, NEWLINE):
            label -= 1
        return label

    def _after(self, label: int) -> list[int]:
        """Return what may follow a byte: the next, or what is behind a gap, or another spool's first.

        What is in a gap that was said can't come any more: it is lost, and was not taken before.
        """
        world = self._world
        end = world.behind_gap(label + 1)
        found = [end] if end != label + 1 or self._byte(end) is not None else []
        for stream in world.streams[world.stream_of(label).number + 1 :]:
            found += [stream.label(at) for at in list(stream.data)[:1]]
        return found

    def _byte(self, label: int) -> int | None:
        stream = self._world.stream_of(label)
        return stream.data.get(label % _SPAN)

    def _wrong(
        self, inode: Inode, before: list[int], tags: list[int], present: set[int], accounted: set[int]
    ) -> str:
        """Tell what is wrong with writing that, if anything is."""
        world = self._world
        last = -1
        known = set(accounted)
        for label in tags:
            if label < 0:
                continue
            if label in present and not self._broken(inode, label, present):
                return f"doubled: {world.text(label)} is in the file already"
            if label != last + 1:
                stream = world.stream_of(label)
                for at in stream.data:
                    if at >= label % _SPAN:
                        break
                    if stream.label(at) not in known:
                        later = stream.label(at) in tags
                        how = "reordered" if later else "lost"
                        return f"{how}: {world.text(label)} is written, and not {at}"
            known.add(label)
            last = label
        return ""

    def _broken(self, inode: Inode, label: int, present: set[int]) -> bool:
        """Tell whether what the files hold of this byte's line is a beginning that a stranger broke."""
        end = label
        while end in present and self._byte(end) != NEWLINE and self._byte(end + 1) is not None:
            if end + 1 not in present:
                break
            end += 1
        if self._byte(end) == NEWLINE:
            return False
        for other in self._world.laptop.files(FILES).values():
            tags = other.cache.tags
            for at in range(len(tags) - 1, -1, -1):
                if tags[at] == end:
                    if at + 1 < len(tags):
                        return tags[at + 1] == FOREIGN
                    return other is not inode
        return False

    def _name(self, inode: Inode, data: bytes, present: set[int]) -> str:
        line = data.strip(b"\n").split(b"\n")[0]
        for stream in self._world.streams:
            at = bytes(stream.data.values()).find(line)
            if line and at >= 0:
                label = stream.label(list(stream.data)[at])
                if label in present:
                    return f"doubled: {data!r} is written, {self._world.text(label)} was there already"
                if not self._why:
                    return f"reordered: {data!r} is written, {self._world.text(label)}"
        if self._why:
            return f"{self._why}; {data!r} is written"
        return f"invented: {data!r} is written behind {bytes(inode.cache.data[-20:])!r}"


def _unlike(found: bytes, wanted: bytes, before: bytes) -> str:
    verdict = "invented"
    if wanted.startswith(b"\n" + found[:1]):
        verdict = "torn"
    elif found[:4] in wanted:
        verdict = "lost"
    elif found[:4] in before:
        verdict = "doubled"
    return f"{verdict}: {found!r} is spooled, {wanted!r} was due"
