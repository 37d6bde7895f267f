"""The collector: the daemon of a tremplin here. It owns the tunnel and pulls the feed into the file.

Rules kept here:

- Written, synced, checkpoint saved, acked: in this order, so the relay deletes nothing that could be lost.
- While this process lives it knows what it wrote; a new one finds out by its checkpoint (see resume).
- No byte for `SILENCE` seconds, and the tunnel is made anew. Time asleep counts (CLOCK_BOOTTIME).
- Told to stop (SIGUSR1), it asks the relay to stop, and ends when it has all. Told to end (SIGTERM), it
  leaves the relay as it is.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from .daemon import Daemon
from .errors import EngineError
from .feedclient import FeedClient
from .files import CHECKPOINT, COUNTERS
from .frames import ACK, BEAT, DATA, JUMP, LAST, FeedError, Frame
from .jsonfile import read_json, write_json
from .resume import Checkpoint, Comparer
from .sink import Sink, facts_of
from .stats import Publisher
from .tunnel import Tunnel

SILENCE = 10.0
RETRY_AFTER = 0.25
#: Seconds, and bytes, after which what was written is synced and acked.
ACK_EVERY, ACK_AT = 0.2, 8 * 1024 * 1024
LOOK_EVERY = 1.0


class NotTaken(EngineError):
    """The relay does not let this collector have its spool."""

    cause = "refused"


class Collector:
    """One tremplin's recording here."""

    def __init__(self, daemon: Daemon) -> None:
        config = daemon.config
        self.daemon = daemon
        self.loop = daemon.loop
        self.say = daemon.log.say
        self.collector_id = str(config["collector"])
        self.take_over = bool(config.get("take_over"))
        self.sink = Sink(str(config["file"]), self._sink_says)
        self.sink.before_leaving = os.fdatasync
        self.sink.on_touched = self._checkpoint_in_passing
        self.spool = ""
        #: The offset of the next byte that the feed is to give us.
        self.position = 0
        self.acked = 0
        self.end = 0
        self.remote: dict[str, Any] = {}
        self.reconnects = 0
        self.gaps = 0
        self.finished = False
        self.refused = ""
        self._who = 0
        self._comparer: Comparer | None = None
        self._compared_fd = -1
        self._checkpoint: Checkpoint | None = None
        self._client: FeedClient | None = None
        self._stop_wanted = bool(config.get("stop_at_once"))
        self._stop_sent = False
        self._answered = False
        self._lost_at = _now()
        self._heard_at = _now()
        self._unacked_bytes = 0
        self._last_came = False
        self.tunnel = Tunnel(self.loop, config, daemon.folder, self.say, self._hello)
        self.tunnel.on_connected = self._connected
        self.tunnel.on_ended = self._disconnected
        self.tunnel.on_refused = self._refused
        self._sync_failing = False
        self._look_timer = self.loop.timer(self._look)
        self._ack_timer = self.loop.timer(self._sync_and_ack)
        self._retry_timer = self.loop.timer(self._retry)
        self.publisher = Publisher(self.loop, daemon.path(COUNTERS), self._changes, self._facts)

    def run(self) -> None:
        """Start, collect until told to end or until all is here, leave. Raises EngineError."""
        self.start()
        while not self.daemon.stopping and not self.finished and not self.refused:
            self.loop.turn()
        self.stop()

    def start(self) -> None:
        """Open the file, find where to go on, open the tunnel."""
        self.sink.open()
        self._read_checkpoint()
        self.loop.on_signal(signal.SIGCHLD, self.tunnel.reap)
        self.loop.on_signal(signal.SIGUSR1, self._ask_to_stop)
        self.daemon.listen_for_stop()
        self.daemon.announce()
        self.say("started", file=self.sink.path, spool=self.spool, offset=self.position)
        self.tunnel.start()
        self._look()

    def stop(self) -> None:
        """Write and ack what came, end the tunnel."""
        if self.sink.flush() and self._client is not None:
            self._sync_and_ack()
        if self._client is not None:
            self._client.close()
        self.tunnel.stop()
        self.say(
            "stopped",
            lines=self.sink.lines,
            bytes=self.sink.bytes,
            drained=self.finished,
            left_bytes=max(0, self.end - self.position) + self.sink.queued,
            left_senders=0,
            reason=self.refused or self.sink.paused or self.tunnel.trouble,
        )
        self.publisher.publish()
        if self.refused:
            self.daemon.keep_state = True  # `status` shows why it ended
            if not self._answered:
                raise NotTaken(self.refused)
        elif not self.finished:
            self.daemon.keep_config = True
        else:
            _remove(self.daemon.path(CHECKPOINT))
        self.sink.close()

    # -- the feed -------------------------------------------------------------------------------

    def _hello(self) -> dict[str, Any]:
        return {
            "collector": self.collector_id,
            "spool": self.spool or None,
            "offset": self.position,
            "take_over": self.take_over,
        }

    def _refused(self, why: str) -> None:
        self.refused = why
        self.say("refused", reason=why)

    def _connected(self, client: FeedClient, answer: dict[str, Any]) -> None:
        self._client = client
        self.take_over = False  # once is enough: the relay knows its owner now
        offset, spool = int(answer["offset"]), str(answer["spool"])
        if spool != self.spool or offset != self.position:
            if self.spool:
                self.say("another spool", known=self.spool, found=spool, offset=offset)
            self._end_comparing()
            self.spool = spool
            self.position = self.acked = offset
            self._who += 1
        self.end = int(answer["end"])
        away = round(_now() - self._lost_at, 3)
        self.say("connected", offset=self.position, lag_bytes=self.end - self.position, away_seconds=away)
        if self._answered:
            self.reconnects += 1
        self._heard_at = _now()
        self._stop_sent = False
        self._sync_and_ack()  # always: the last ack may have been lost with the last connection
        if not self._answered:
            self._answered = True
            self.daemon.ready(spool=self.spool, lag_bytes=self.end - self.position)
        if self._client is client and not self.sink.paused:
            self.loop.watch(client.sock, self._readable)
        if self._stop_wanted:
            self._ask_to_stop()

    def _disconnected(self, why: str) -> None:
        if self._client is None:
            return
        self.loop.unwatch(self._client.sock)
        self._client.close()
        self._client = None
        self._lost_at = _now()
        self.say("disconnected", why=why, offset=self.position)
        self.tunnel.lost(why)

    def _readable(self) -> None:
        client = self._client
        if client is None or self.sink.paused:
            return
        try:
            for frame in client.frames():
                self._take(frame)
        except FeedError as error:
            self._disconnected(str(error))
        except OSError as error:
            self._disconnected(error.strerror or str(error))
        else:
            self._heard_at = _now()
        self._flush()

    def _take(self, frame: Frame) -> None:
        if frame.kind == DATA:
            if frame.offset != self.position:
                raise FeedError(f"the feed jumped to {frame.offset}, {self.position} was due")
            self.position += len(frame.payload)
            self.end = max(self.end, self.position)
            self._unacked_bytes += len(frame.payload)
            self._write(frame.payload)
        elif frame.kind == JUMP:
            if frame.offset <= self.position:
                raise FeedError(f"the feed jumped back to {frame.offset} from {self.position}")
            self.gaps += 1
            self.say("gap", start=self.position, end=frame.offset, reason="the relay has no such bytes")
            if self._comparer is not None:
                self._comparer.break_line()
            self.position = frame.offset
            self._who += 1  # what follows begins on a line of its own
        elif frame.kind == BEAT:
            self.end = max(frame.offset, self.position)
            self.remote = frame.json()
        elif frame.kind == LAST:
            self.end = frame.offset
            self.remote = frame.json()
            self._last_came = True
        else:
            raise FeedError("a relay does not say that")

    def _write(self, data: bytes) -> None:
        if self._comparer is not None:
            found = self._comparer.feed(data)
            if found is None:
                return
            data, goes_on = found
            self._leave_compared(self.position - len(data))
            self._end_comparing()
            if goes_on:
                self.sink.go_on(self._who)
        self.sink.add(self._who, data)
        if self.sink.queued >= self.sink.FLUSH_AT:
            self.sink.flush()

    def _flush(self) -> None:
        if not self.sink.flush():
            if self._client is not None:
                self.loop.unwatch(self._client.sock)
            self._retry_timer.at(time.monotonic() + RETRY_AFTER)
            return
        if self._last_came and self.position >= self.end:
            self._sync_and_ack()
            self.finished = True
        elif self.position > self.acked:
            if self._unacked_bytes >= ACK_AT:
                self._sync_and_ack()
            elif self._ack_timer.when > time.monotonic() + ACK_EVERY:
                self._ack_timer.at(time.monotonic() + ACK_EVERY)

    def _retry(self) -> None:
        self._flush()
        if not self.sink.paused and self._client is not None:
            self._heard_at = _now()  # it was us who did not listen
            self.loop.watch(self._client.sock, self._readable)

    # -- promises about bytes -------------------------------------------------------------------

    def _sync_and_ack(self) -> None:
        """Sync the file, save the checkpoint, tell the relay: in this order."""
        self._ack_timer.off()
        self._unacked_bytes = 0
        if not self.spool or not self.sink.flush():
            return
        try:
            self.sink.sync()
            offset = self._save_checkpoint()
        except OSError as error:
            if not self._sync_failing:
                self.say("sync failed", reason=error.strerror or str(error))
            self._sync_failing = True
            self._ack_timer.at(time.monotonic() + 1.0)
            return
        self._sync_failing = False
        self.acked = offset
        if self._client is not None:
            try:
                self._client.send(ACK, offset)
            except OSError as error:
                self._disconnected(error.strerror or str(error))

    def _save_checkpoint(self, touched: bool = False) -> int:
        """Save what the file holds; return the offset up to which it holds the spool. Raises OSError."""
        comparer = self._comparer
        if comparer is not None:
            # Still comparing: the file holds the spool up to the last whole line that was equal.
            offset = self.position - comparer.held
            fd, size, inside = self._compared_fd, comparer.matched, comparer.inside
        else:
            offset = self.position - self.sink.unwritten
            fd, size, inside = self.sink.fd, self.sink.size, not touched and self.sink.is_open_by(self._who)
        self._checkpoint = Checkpoint.of(fd, size, self.spool, offset, inside)
        write_json(self.daemon.path(CHECKPOINT), self._checkpoint._asdict(), sync=True)
        return offset

    def _checkpoint_in_passing(self) -> None:
        # Somebody touched the file: what we wrote so far is behind us, wherever it is now.
        if self.spool and self._comparer is None:
            self.sink.sync()
            self._save_checkpoint(touched=True)

    def _read_checkpoint(self) -> None:
        try:
            saved = Checkpoint.from_json(read_json(self.daemon.path(CHECKPOINT)))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self.say("checkpoint lost", reason=str(error))
            return
        self.spool, self.position, self.acked = saved.spool, saved.offset, saved.offset
        self._checkpoint = saved
        path = saved.find(self.sink.path)
        if not path:
            self.say("file changed", how="truncated or replaced while nobody recorded", offset=saved.offset)
            return
        if path != self.sink.path:
            self.say("file changed", how="renamed while nobody recorded", now=path)
        fd = self._compared_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        same = path == self.sink.path
        self._comparer = Comparer(lambda at, count: os.pread(fd, count, at), saved.size, same, saved.inside)

    def _leave_compared(self, offset: int) -> None:
        """Where the file compared is not ours to append to: say that ours begins at `offset`.

        Killed before the next checkpoint, we would else compare with the wrong file, and write all twice.
        """
        checkpoint = self._checkpoint
        if checkpoint is None or os.path.sameopenfile(self._compared_fd, self.sink.fd):
            return
        try:
            os.fdatasync(self._compared_fd)
            self._checkpoint = Checkpoint.of(self.sink.fd, self.sink.size, self.spool, offset, False)
            write_json(self.daemon.path(CHECKPOINT), self._checkpoint._asdict(), sync=True)
        except OSError as error:
            self.say("sync failed", reason=error.strerror or str(error))

    def _end_comparing(self) -> None:
        self._comparer = None
        if self._compared_fd >= 0:
            os.close(self._compared_fd)
            self._compared_fd = -1

    # -- the rest -------------------------------------------------------------------------------

    def _ask_to_stop(self) -> None:
        self._stop_wanted = True
        if self._client is not None and not self._stop_sent:
            self._stop_sent = True
            self.say("asking the relay to stop")
            try:
                self._client.send(b"S", self.position)
            except OSError as error:
                self._disconnected(error.strerror or str(error))

    def _look(self) -> None:
        self._look_timer.at(time.monotonic() + LOOK_EVERY)
        if self._client is not None and not self.sink.paused and _now() - self._heard_at > SILENCE:
            self._disconnected(f"silent for {_now() - self._heard_at:.1f} s")
            self.tunnel.make_anew()  # it is dead; ssh itself would notice later
        self.tunnel.look()

    def _sink_says(self, event: str, **facts: Any) -> None:
        self.say(event, **facts)

    def _changes(self) -> object:
        return (
            self.sink.bytes,
            self.sink.paused,
            self.position,
            self.acked,
            self.end,
            self.tunnel.trouble,
            self.remote.get("senders"),
            self.remote.get("refused"),
            self.remote.get("paused_for"),
            self._client is None,
        )

    def _facts(self) -> dict[str, Any]:
        remote = self.remote
        if self._client is None:
            state, reason = "reconnecting", self.refused or self.tunnel.trouble
        else:
            reason = self.sink.paused or str(remote.get("paused_for") or "")
            state = "paused" if reason else "recording"
        return {
            **facts_of(self.sink),
            "state": state,
            "paused_for": reason,
            "ended_for": self.refused,
            "senders": remote.get("senders", 0),
            "connects": remote.get("connects", 0),
            "refused": remote.get("refused", 0),
            "lag_bytes": max(0, self.end - self.acked),
            "reconnects": self.reconnects,
            "gaps": self.gaps,
            "offset": self.position,
            "acked": self.acked,
            "stopping": self._stop_wanted,
            "relay": remote,
        }


def _now() -> float:
    """Return seconds that go on while the machine sleeps, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
