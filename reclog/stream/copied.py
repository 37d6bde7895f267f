"""A copy: one publisher's recording, in a file here.

Rules kept here:

- What a message adds is told by its identity and its offsets, never by when it comes: what is in the file
  already is left out, however often the stream is read. A file lands as a collector's does: written, synced,
  its checkpoint saved, and the end of a killed one's found out by comparing.
- A stretch that no message has is a gap, and stated.
- Messages of an identity come in their order. One that ends before another did, in the same pass through the
  stream, is by somebody who publishes as that recording; or that other was, with offsets so far on that
  nothing adds to them. It is counted, and said.
- Where the identity changes, it is noted first how far the one before had come, and then the next is begun:
  messages of the one before may come again, and are known then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from reclog.engine.feed.protocol import FeedError
from reclog.engine.feed.remote import Gaps
from reclog.engine.outlets.acks import Acks
from reclog.engine.outlets.landing import Landing
from reclog.engine.records.events import Say
from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.stores.rotation import NOT_AT_ALL, Rotating
from reclog.engine.system.disk import Disk
from reclog.engine.system.loop import Loop

from ..errors import ReclogError
from .clocks import Clock
from .message import Message

#: The file in its folder that says whose recording it is, and how far the identities before had come; how
#: many of these are known.
SOURCE, MOST = "source.json", 100
MISSING = "the stream has no such bytes"
#: Seconds in which it is stated so many times that the identity is another: who publishes can do that so.
A_WHILE, EACH_UP_TO = 60.0, 10


class NotInOrder(ReclogError):
    """A message ends before one that was read already; the message says where."""


class Copy:
    """One recording, by the offsets of its messages."""

    def __init__(
        self,
        loop: Loop,
        folder: str,
        file: str,
        say: Say,
        disk: Disk,
        whole: bool,
        settled: Callable[[], None],
        rotating: Rotating = NOT_AT_ALL,
    ) -> None:
        """`folder` is the copy's; `whole`: what the stream does not have of its beginning is a gap.

        `settled` is called when something was settled beside the loop.
        """
        self.landing = Landing(loop, file, folder, say, disk, rotating)
        self.acks = Acks(loop, self.landing, disk, say, lambda offset: True, settled)
        self.gaps = Gaps(loop, say, MISSING)
        self.clock = Clock()
        #: Whose recording it is; empty until the first message comes.
        self.subject = ""
        self._say = say
        self._disk = disk
        self._whole = whole
        self._path = os.path.join(folder, SOURCE)
        self._before: dict[str, int] = {}
        # Where the last message of an identity ended that was read in this pass.
        self._read: dict[str, int] = {}
        # Why nothing can be taken, beside what the file says.
        self._trouble = ""
        # Since when, and how many times by now, the identity was another.
        self._since = loop.now()
        self._changes = 0
        self._now = loop.now

    def open(self) -> None:
        """Open the file, and find where to go on. Raises FileUnusable, FileTaken."""
        with contextlib.suppress(OSError, ValueError, AttributeError, KeyError):
            told = read_json(self._path, self._disk)
            self._before = {name: at for name, at in told["before"].items() if type(at) is int}
            self.subject = str(told["subject"])
        self.landing.open()

    def close(self) -> None:
        """Settle what can be, and let go of the file."""
        self.acks.settle()
        self.gaps.sum_up()
        self._say_rest()
        self.landing.close()

    @property
    def paused(self) -> str:
        """Why nothing can be taken now; empty while it can."""
        return self.landing.paused or self._trouble

    @property
    def is_settled(self) -> bool:
        """Whether all that was taken is there for good."""
        return self.landing.settled >= self.landing.offset

    @property
    def left(self) -> int:
        """Bytes taken that are not in the file."""
        return self.landing.queued

    def changes(self) -> object:
        """Return what changes with what `facts` returns."""
        return self.landing.offset, self.landing.settled, self.paused

    def begin_again(self) -> None:
        """Take note that the stream is read from its beginning."""
        self._read.clear()

    def take(self, subject: str, message: Message) -> bool:
        """Take what a message adds; False if that can't be now, and it is to be taken again.

        Raises NotInOrder.
        """
        try:
            taken = self._take(subject, message)
        except FeedError as error:  # what came before can't be written
            self._trouble = str(error)
            return False
        except OSError as error:
            self._trouble = error.strerror or str(error)
            return False
        self._trouble = "" if taken else self._trouble or "no checkpoint can be saved"
        if taken:
            self._order(str(message.identity), message)
        return taken

    def _order(self, identity: str, message: Message) -> None:
        read = self._read.pop(identity, 0)
        self._read[identity] = max(read, message.end)
        while len(self._read) > MOST:
            del self._read[next(iter(self._read))]
        if message.end <= read:
            raise NotInOrder(f"it ends at {message.end}, and what was read before of {identity} at {read}")

    def facts(self) -> dict[str, Any]:
        """Return what `status` shows of it."""
        landing = self.landing
        return {
            **landing.facts(),
            **self.clock.facts(),
            "paused_for": self.paused,
            "gaps": self.gaps.count,
            "offset": landing.offset,
            "settled": landing.settled,
            "subject": self.subject,
        }

    # -- inside ---------------------------------------------------------------------------------

    def _take(self, subject: str, message: Message) -> bool:
        landing, identity = self.landing, str(message.identity)
        if landing.paused and not landing.flush():
            return False
        if identity != landing.spool:
            known = self._before.get(identity, -1)
            if message.end <= known:
                return True
            if landing.spool and not self.acks.settle():
                return False
            self._begin(subject, identity, message.begin, known)
        if not landing.anchored and not self._anchor():
            return False
        if message.end <= landing.offset:
            return True
        if message.begin > landing.offset:
            start = landing.offset
            landing.jump(message.begin)
            with contextlib.suppress(FeedError):  # however many they are: each is in a sum
                self.gaps.came(start, message.begin)
        had = landing.offset - message.begin
        landing.know([run for run in message.runs if run.end > landing.offset])
        landing.take(landing.offset, message.payload[had:] if had else message.payload)
        return True

    def _begin(self, subject: str, identity: str, begin: int, known: int) -> None:
        """Go on with another identity, of which all before the offset `known` was had; -1: nothing was."""
        landing, before = self.landing, self.landing.spool
        if before:
            self._before.pop(before, None)
            self._before[before] = landing.offset
            while len(self._before) > MOST:
                del self._before[next(iter(self._before))]
        self.subject = subject
        write_json(self._path, {"subject": subject, "before": self._before}, sync=True, disk=self._disk)
        start = known if known >= 0 else 0 if self._whole and not before else begin
        landing.begin(identity, start)
        if before:
            if self._now() - self._since >= A_WHILE:
                self._say_rest()
            self._changes += 1
            if self._changes <= EACH_UP_TO:
                self._say("another recording", known=before, found=identity, offset=start)

    def _say_rest(self) -> None:
        if self._changes > EACH_UP_TO:
            self._say("another recording", times=self._changes - EACH_UP_TO, found=self.landing.spool)
        self._since, self._changes = self._now(), 0

    def _anchor(self) -> bool:
        self.acks.settle()
        return self.landing.anchored
