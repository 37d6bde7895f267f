"""The collector: the daemon of a tremplin here. It owns the tunnel and pulls the feed into the file.

Rules kept here:

- What has landed is settled, then acked: in this order, so the relay deletes nothing that could be lost.
- No byte for `SILENCE` seconds, and the tunnel is made anew. Time asleep counts (CLOCK_BOOTTIME).
- Told to stop (SIGUSR1), it asks the relay to stop, and ends when it has all: not before, whatever the relay
  says. Told to end (SIGTERM), it leaves the relay as it is.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from ..errors import EngineError
from ..feed.client import FeedClient
from ..feed.protocol import ACK, BEAT, DATA, JUMP, LAST, OFFSET_MAX, RUNS, STOP, FeedError, Frame, why
from ..feed.remote import COUNTED, Gaps, Remote
from ..feed.tunnel import Tunnel
from ..outlets import OUTLETS
from ..outlets.acks import Acks
from ..records.losses import DROPPED, Losses
from .config import CollectorConfig
from .daemon import Daemon

SILENCE = 10.0
RETRY_AFTER = 0.25
LOOK_EVERY = 1.0


class Collector:
    """One tremplin's recording here."""

    def __init__(self, daemon: Daemon, config: CollectorConfig) -> None:
        self.daemon = daemon
        self.config = config
        self.loop = daemon.loop
        self.say = daemon.log.say
        self.take_over = config.take_over
        outlet, rotating = OUTLETS[config.outlet], config.set_aside.rotating
        self.outlet = outlet(daemon.loop, config.file, daemon.folder, self.say, daemon.disk, rotating)
        #: The spool's end, as far as we were told.
        self.end = 0
        self.remote = Remote()
        self.gaps = Gaps(daemon.loop, self.say)
        self.losses = Losses(daemon.loop, self.say, daemon.log.last(DROPPED))
        self.reconnects = 0
        self.finished = False
        #: Why there is no use in trying again.
        self.refusal: EngineError | None = None
        self._client: FeedClient | None = None
        # Whether what comes is taken: not before all is ready for it, and not while there is no room.
        self._listening = False
        self._stop_wanted = config.stop_at_once
        self._stop_sent = False
        self._answered = False
        self._lost_at = self._heard_at = _now()
        self._last_came = False
        self.tunnel = Tunnel(self.loop, vars(config), daemon.folder, daemon.log.mention, self)
        self.acks = Acks(self.loop, self.outlet, daemon.disk, self.say, self._send, self._retry)
        self._look_timer = self.loop.timer(self._look)
        self._retry_timer = self.loop.timer(self._retry)
        daemon.show(self._changes, self._facts, self._adopt)

    def run(self) -> None:
        """Start, collect until told to end or until all is here, leave. Raises EngineError."""
        self.start()
        while not self.daemon.stopping and not self.finished and not self.refusal:
            self.loop.turn()
        self.stop()

    def start(self) -> None:
        """Open the file, find where to go on, open the tunnel."""
        self.outlet.open()
        self.loop.on_signal(signal.SIGCHLD, self.tunnel.reap)
        self.loop.on_signal(signal.SIGUSR1, self._ask_to_stop)
        self.daemon.listen_for_stop(self.config.foreground_of)
        self.daemon.announce()
        self.say("started", file=self.outlet.path, spool=self.outlet.spool, offset=self.outlet.offset)
        if self.daemon.again:  # at boot there may be no network for long
            self.daemon.ready()
        self.tunnel.start()
        self._look()

    def stop(self) -> None:
        """Write and ack what came, end the tunnel."""
        outlet = self.outlet
        if outlet.flush() and self._client is not None:
            self.acks.settle()
        if self._client is not None:
            self._client.close()
        self.tunnel.stop()
        self.gaps.sum_up()
        self.losses.state()
        facts = outlet.facts()
        self.daemon.stopped(
            **{name: facts[name] for name in ("lines", "bytes")},
            drained=self.finished,
            left_bytes=max(0, self.end - outlet.offset) + outlet.queued,
            left_senders=0,
            reason=self._refusal or outlet.paused or self.tunnel.trouble,
        )
        self.daemon.counters.write()
        if self.refusal is not None:
            self.daemon.keep_state = True  # `status` shows why it ended
            if not self._answered:
                raise self.refusal
        elif not self.finished:
            self.daemon.keep_config = True
        # The checkpoint stays: the relay may never have had the last ack, and is then asked once more.
        outlet.close()

    # -- the feed -------------------------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        """Return who we are, and from where on we want what spool."""
        where = {"spool": self.outlet.spool or None, "offset": self.outlet.offset}
        return {"collector": self.config.collector, **where, "take_over": self.take_over, **self.remote.ask()}

    def refused(self, error: EngineError) -> None:
        """Take note that there is no use in trying again."""
        self.refusal = error
        self.say("refused", reason=str(error))

    @property
    def _refusal(self) -> str:
        return str(self.refusal or "")

    def connected(self, client: FeedClient, answer: dict[str, Any]) -> None:
        """Take a connection to the relay."""
        self._client = client
        self.take_over = False  # once is enough: the relay knows its owner now
        self.remote.answered(answer)
        offset, spool, known = answer["offset"], answer["spool"], self.outlet.spool
        try:
            new = self.outlet.begin(spool, offset)
        except FeedError as error:
            self.disconnected(str(error))
            return
        if new and known:
            self.say("another spool", known=known, found=spool, offset=offset)
        self.end = answer["end"]
        self._heard_at = _now()
        lag, ahead = self.end - offset, self.remote.clock_ahead_ms
        away = round(self._heard_at - self._lost_at, 3)
        self.say("connected", offset=offset, lag_bytes=lag, away_seconds=away, clock_ahead_ms=ahead)
        if self._answered:
            self.reconnects += 1
        self._stop_sent = False
        self.acks.settle()  # always: the last ack may have been lost with the last connection
        if not self._answered:
            self._answered = True
            self.daemon.ready(spool=spool, lag_bytes=lag)
        self._listen()
        if self._stop_wanted:
            self._ask_to_stop()

    def disconnected(self, reason: str) -> None:
        """Take note that the connection, if there is one, is lost."""
        if self._client is None:
            return
        self._listening = False
        self.loop.unwatch(self._client.sock)
        self._client.close()
        self._client = None
        self._lost_at = _now()
        self.say("disconnected", why=reason, offset=self.outlet.offset)
        self.tunnel.lost(reason)

    def _listen(self) -> None:
        """Take what comes, if all is ready for it."""
        ready = not self.outlet.paused and self.outlet.anchored
        if self._client is not None and not self._listening and ready:
            self._listening = True
            self._heard_at = _now()  # it was us who did not listen
            self.loop.watch(self._client.sock, self._readable)
            self._readable()  # some may have come with the handshake

    def _readable(self) -> None:
        client = self._client
        if client is None or not self._listening:
            return
        try:
            for frame in client.frames():
                self._take(frame)
        except (FeedError, OSError) as error:
            self.disconnected(why(error))
        else:
            self._heard_at = _now()
        self._flush()

    def _take(self, frame: Frame) -> None:
        outlet = self.outlet
        if frame.offset + len(frame.payload) > OFFSET_MAX:
            raise FeedError("an offset makes no sense")
        if frame.kind == DATA:
            outlet.take(frame.offset, frame.payload)
            self.end = max(self.end, outlet.offset)
            self.acks.came(len(frame.payload))
        elif frame.kind == RUNS:
            outlet.hear(frame.offset, frame.payload)
        elif frame.kind == JUMP:
            start = outlet.offset
            outlet.jump(frame.offset)
            self.gaps.came(start, frame.offset)
        elif frame.kind in (BEAT, LAST):
            if frame.kind == LAST and not self._stop_wanted:
                raise FeedError("the relay ends, and nobody here asked it to")
            self.end = max(frame.offset, outlet.offset)
            self.remote.hear(frame)
            self.losses.reach(self.remote.count("datagrams_dropped"), self.remote.word("counts_since"))
            self._last_came = self._last_came or frame.kind == LAST
        else:
            raise FeedError("a relay does not say that")

    def _flush(self) -> None:
        if not self.outlet.flush():
            self._listening = False
            if self._client is not None:
                self.loop.unwatch(self._client.sock)
            self._retry_timer.at(self.loop.now() + RETRY_AFTER)
        elif self._last_came and self.outlet.offset >= self.end:
            # What is not settled is not over: the timer tries again, and a new connection acks again.
            self.finished = self.acks.settle()
        else:
            self.acks.in_time()

    def _retry(self) -> None:
        self._flush()
        if not self.outlet.anchored:
            self.acks.settle()
        self._listen()

    def _send(self, offset: int, kind: bytes = ACK) -> bool:
        """Tell the relay something; True if it is on its way."""
        if self._client is None:
            return False
        try:
            self._client.send(kind, offset)
            if kind == ACK:
                self.daemon.disk.reach("ack.after-send")
        except OSError as error:
            self.disconnected(why(error))
            return False
        return True

    # -- the rest -------------------------------------------------------------------------------

    def _ask_to_stop(self) -> None:
        self._stop_wanted = True
        if self._client is not None and not self._stop_sent:
            self._stop_sent = True
            self.say("asking the relay to stop")
            self._send(self.outlet.offset, STOP)

    def _look(self) -> None:
        self._look_timer.at(self.loop.now() + LOOK_EVERY)
        if self._listening and _now() - self._heard_at > SILENCE:
            self.disconnected(f"silent for {_now() - self._heard_at:.1f} s")
            self.tunnel.make_anew()  # it is dead; ssh itself would notice later
        self.tunnel.look()

    def _adopt(self, config: CollectorConfig) -> None:
        self.outlet.rotate_as(config.set_aside.rotating)

    def _changes(self) -> object:
        outlet = self.outlet
        here = outlet.offset, outlet.queued, outlet.paused, outlet.settled, self._client is None
        names = (*COUNTED, "paused_for", "listener_full")
        there = [self.remote.facts.get(name) for name in names]
        return here, there, self.end, self.tunnel.trouble

    def _facts(self) -> dict[str, Any]:
        remote = self.remote
        if self._client is None:
            state, reason = "reconnecting", self._refusal or self.tunnel.trouble
        else:
            reason = self.outlet.paused or remote.word("paused_for")
            state = "paused" if reason else "recording"
        return {
            **self.outlet.facts(),
            "state": state,
            "paused_for": reason,
            "ended_for": self._refusal,
            **remote.shown(),
            "lag_bytes": max(0, self.end - self.outlet.settled),
            "reconnects": self.reconnects,
            "gaps": self.gaps.count,
            "offset": self.outlet.offset,
            "acked": self.outlet.settled,
            "stopping": self._stop_wanted,
        }


def _now() -> float:
    """Return seconds that go on while the machine sleeps, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()
