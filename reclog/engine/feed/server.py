"""The relay's side of the feed: prove, then send the spool from an offset on, and take acks.

Rules kept here:

- Nobody who has not proved to know the secret gets a byte of the spool. They have one of `STRANGERS` places;
  the oldest of them makes room, so they can't keep the owner out.
- The spool has one owner. Its new connection replaces its own old one at once; another collector is
  refused, by name, unless it takes over.
- Who said what when goes before the bytes that it is about, to a collector that asked for it.
- Something is sent at least every `BEAT_EVERY` seconds, so that the collector can notice silence.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable

from ..records.events import Say
from ..stores.cursor import Cursor
from ..stores.segments import Jump
from ..stores.spool import Spool
from ..system.kernel import reset_on_close
from ..system.loop import Loop
from . import protocol as frames
from .end import End
from .owner import Owner
from .peer import Peer
from .protocol import FeedError, Frame

STRANGERS = 64
BEAT_EVERY = 1.0
#: Bytes that wait to be sent before the spool is read on.
SEND_AHEAD = 512 * 1024


class Feed:
    """Serve the spool to its owner."""

    def __init__(
        self,
        loop: Loop,
        spool: Spool,
        secret: str,
        owner: Owner,
        say: Say,
        note: Say,
        counters: Callable[[], dict[str, Any]],
        stop: Callable[[], None],
    ) -> None:
        """`note` hears of strangers, `counters` is told with each beat, `stop` is what the owner asks for."""
        self.loop = loop
        self.secret = secret
        self.owner = owner
        #: Set when the spool gets no more lines: then its end is the last word.
        self.ending = False
        #: The owner has all, and was told that it is all.
        self.finished = False
        self._spool = spool
        self._say = say
        self._note = note
        self._counters = counters
        self._stop = stop
        self._end: End | None = None
        self._strangers: list[Peer] = []
        self._peer: Peer | None = None
        self._beat = loop.timer(self._tick)
        loop.after_turn(self._feed_peer)

    @property
    def connected(self) -> bool:
        """Tell whether the collector is there."""
        return self._peer is not None

    def serve(self, end: End) -> None:
        """Serve those who come out there."""
        self._end = end
        self.loop.watch(end.sock, self._accept)
        self._tick()

    def close(self) -> None:
        """End all connections."""
        self._beat.off()
        for peer in [*self._strangers, *([self._peer] if self._peer else [])]:
            peer.close()
        if self._end is not None:
            self.loop.unwatch(self._end.sock)
            self._end.close()

    # -- what a peer asks -----------------------------------------------------------------------

    def welcome(self, peer: Peer, hello: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a collector that has proved to know the secret."""
        spool = self._spool
        peer.collector = frames.checked_name(hello.get("collector"))
        if self.owner.name and self.owner.name != peer.collector and not hello.get("take_over"):
            self._say("collector refused", collector=peer.collector, owner=self.owner.name)
            return {"refused": "owner", "owner": self.owner.name, "since": self.owner.since}
        offset = hello.get("offset") or 0
        if type(offset) is not int:
            raise FeedError("an offset makes no sense")
        known = hello.get("spool") == spool.id and 0 <= offset <= spool.end
        if not known:
            offset = spool.acked  # all that nobody has taken yet
        answer = {"spool": spool.id, "offset": offset, "end": spool.end, "known": known}
        if hello.get("runs") is True:  # an older one does not ask, and would take the frames for nonsense
            peer.asks_for_runs = True
            answer.update(runs=True, now_ms=int(time.time() * 1000))
        return answer

    def admitted(self, peer: Peer, offset: int) -> Cursor:
        """Serve `peer` from now on, and no other; return where it begins."""
        before, self._peer = self._peer, peer
        self._strangers.remove(peer)
        if before is not None:
            self._say("collector replaced", collector=before.collector)
            before.close()  # if it is another one, it learns why when it comes again
        self.owner.become(peer.collector)
        self._say("collector connected", collector=peer.collector, offset=offset)
        return self._spool.cursor(offset, peer.asks_for_runs)

    def heard(self, peer: Peer, frame: Frame) -> None:
        """Take an ack or a stop. Raises FeedError."""
        if peer is not self._peer or peer.cursor is None:
            return
        if frame.kind == frames.ACK:
            if frame.offset > peer.cursor.offset:
                return  # nobody has what was not sent
            self._spool.ack(frame.offset)
            if self.ending and peer.said_last and frame.offset >= self._spool.end:
                self.finished = True
        elif frame.kind == frames.STOP:
            self._stop()
        else:
            raise FeedError("a collector does not say that")

    def fill(self, peer: Peer) -> None:
        """Queue more of the spool for `peer` while little waits to be sent."""
        cursor = peer.cursor
        while peer is self._peer and cursor is not None and peer.backlog < SEND_AHEAD:
            offset, piece = cursor.offset, cursor.read()
            if isinstance(piece, Jump):
                told = json.dumps({"from": piece.start}).encode("ascii")
                peer.queue(frames.encode(frames.JUMP, piece.end, told))
            elif piece:
                head = frames.header(frames.DATA, offset, piece)
                for packet in reversed(cursor.told()):
                    head = frames.encode(frames.RUNS, packet.begin, packet.data) + head
                peer.queue(head, piece)
            else:
                if self.ending and not peer.said_last:
                    peer.said_last = True
                    peer.queue(frames.encode(frames.LAST, self._spool.end, self._beat_payload()))
                return

    def gone(self, peer: Peer, reason: str) -> None:
        """Take note that `peer` left, or was made to."""
        if peer is self._peer:
            self._peer = None
            self._say("collector disconnected", collector=peer.collector, why=reason)
        elif peer in self._strangers:
            self._strangers.remove(peer)
            if reason != "closed":
                self._note("feed connection ended", why=reason)
        peer.close()

    # -- inside ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        sock = self._end.accept() if self._end is not None else None
        if sock is None:
            return
        if len(self._strangers) >= STRANGERS:
            # One that has proved to know the secret is about to be served: it keeps its place.
            oldest = next((one for one in self._strangers if not one.hands.proved), self._strangers[0])
            self._strangers.remove(oldest)
            reset_on_close(oldest.sock)
            oldest.close()
        self._strangers.append(Peer(self, sock))

    def _feed_peer(self) -> None:
        peer = self._peer
        if peer is None or peer.cursor is None or peer.backlog:
            return
        if peer.cursor.offset < self._spool.end or self.ending:
            peer.send(b"")

    def _tick(self) -> None:
        now = self.loop.now()
        self._beat.at(now + BEAT_EVERY)
        for peer in [p for p in self._strangers if now > p.hands.late_at]:
            self.gone(peer, "it did not say who it is in time")
        if self._peer is not None and not self._peer.backlog:
            self._peer.send(frames.encode(frames.BEAT, self._spool.end, self._beat_payload()))

    def _beat_payload(self) -> bytes:
        return json.dumps(self._counters()).encode("utf-8")
