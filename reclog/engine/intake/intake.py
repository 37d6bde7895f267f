"""The senders' side of a daemon, whole: other limits while it runs, and at its end all of it drained."""

from __future__ import annotations

import errno

from ..streams.stream import Stream
from .framing import Framing
from .gate import Endpoint
from .reading import Reading
from .roster import Limits
from .sender import REST_WITHIN, Sender
from .strangers import Stranger


class Intake(Reading):
    """Serve every sender of every endpoint, and bring in at the end what they have sent."""

    def adopt(self, limits: Limits) -> None:
        """Have other limits from now on, and see off who is connected and may not be any more."""
        self._set_stamps(limits.stamp)
        self._unfinished.adopt(limits.partial_after)
        self.datagrams.adopt(limits)
        self.strangers.adopt(limits.token, limits.strangers)
        for sender, why in self.roster.adopt(limits):
            self._see_off(sender, why)
        if self.roster.full:
            self.gate.fill(self.roster.full)
            self._yield_timer.at(self._yielding.again_at)
        else:
            self.gate.have_room()

    def take_in(self, stream: Stream, name: str, framing: Framing) -> None:
        """Serve what we dialled ourselves, whoever else is here."""
        self._watch(self.roster.keep(stream, name, framing))

    def drain(self, endpoint: Endpoint, until: float) -> bool:
        """Take in every connection that waits in the queue of `endpoint`, and all it has sent.

        It should add no newcomers already. False if `until` (the loop's clock) came first.
        """
        while self._loop.now() < until:
            try:
                stream, host, name = endpoint.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EINTR):
                    continue
                return error.errno == errno.EINVAL  # its listener was shut down: nothing waits there
            newcomer = Stranger(stream, host, name, endpoint.framing(), self._loop.now())
            sender = self._have_in(newcomer)
            if sender is not None and not self._finish(sender, until):
                return False
        return False

    def drain_senders(self, until: float) -> bool:
        """Take in all that the connected senders have sent so far, then disconnect them.

        What was accepted in part, and can't be read so, has its rest awaited.
        """
        for stranger in self.strangers.leave():
            self._have_in(stranger)
        for sender in list(self._senders.values()):
            self._finish(sender, until)
        waiting, until = list(self._senders.values()), min(until, self._loop.now() + REST_WITHIN)
        while any(sender.stream.half for sender in waiting) and self._loop.now() < until:
            self._loop.turn(at_most=0.02)
            waiting = [sender for sender in waiting if not sender.gone]
        finished = [self._finish(sender, until) for sender in waiting]
        return all(finished)

    def hand_on_all(self, until: float) -> bool:
        """Hand every unfinished message on and write all; False if the store did not take it by `until`."""
        self._unfinished.hand_on_all()
        return self._valve.written(until)

    def left_behind(self) -> tuple[int, int]:
        """Return how many senders are still connected, and the bytes they sent that were not read."""
        streams = [sender.stream for sender in self._senders.values()]
        return len(streams), sum(stream.unread() + stream.half for stream in streams)

    def _have_in(self, one: Stranger) -> Sender | None:
        """Take in one whose last word has come; None if it may not send, and is closed."""
        asked = self.strangers.token is not None or one.stream.shaking
        if not asked or (self.roster.allows(one.stream, one.host, one.name) and self.strangers.proves(one)):
            return self._admit(one.stream, one.host, one.name, one.framing)
        return None

    def _finish(self, sender: Sender, until: float) -> bool:
        """Take in what was accepted from `sender`, not a byte more, and disconnect it."""
        stream = sender.stream
        self._loop.unwatch(stream.fileno())
        first = True
        # Where it can't be refused more, what stands in the queue now is the bound.
        bound = None if stream.refuse() else sender.bytes + stream.unread()
        while bound is None or sender.bytes < bound:
            if not self._valve.written(until) or (not first and self._loop.now() >= until):
                return False
            if sender.id not in self._senders:
                return True  # a turn of the loop has seen its end
            first = False
            count = self._read(sender)
            if count is None:
                return True
            if count < 0:
                return False
            if count == 0:
                break
        if stream.half:
            self._watch(sender)
            return False
        self._goodbye(sender, "stopped")
        return True
