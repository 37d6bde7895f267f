"""What is known of a line besides its text: when it came, and from whom.

Rules kept here:

- The index tells. Where it does not, a stamp at the line's beginning does, if the recorder put it there
  (`--stamp`), or if there is no index at all: else a sender could write one himself.
- Nothing is guessed: what neither tells is None.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import itertools
import math
import os
import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from reclog.engine.sources.dial import sender_name
from reclog.engine.stores import pieces
from reclog.engine.stores.index.reader import IndexReader, Run
from reclog.engine.system.address import named_address

from ..recordings.recording import Recording, number
from . import lines
from .gaps import moment
from .text import Part, Text

#: Later than any line (ms).
_NEVER = 1 << 60
#: Bytes behind the last line that was asked for, from which on the runs between are not walked along.
_FAR = 64 * 1024
#: Lines in which a file without an index has to have a stamp, if it has any.
_SOON = 200
#: Indexes of pieces that are kept.
_KEPT = 64
#: Seconds by which a piece may have ended before what is in it came, besides what is known of another clock.
_SLACK = 60
#: Senders whose words are remembered.
_MOST = 4096
_STAMP = re.compile(
    rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{3}(?:\d{3})?)?(?:Z|[+-]\d\d:\d\d)) "
    rb"(?:([!-~\x80-\xff]{1,200}) )?"
)


class Told(NamedTuple):
    """What is known of one line."""

    #: Seconds of the epoch.
    time: float | None
    sender: str | None
    #: Bytes at its beginning that are a stamp of ours.
    stamp: int


class Known:
    """What is known of the lines of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._folder, self._file = str(recording.folder), recording.file
        self._readers: OrderedDict[Part, IndexReader] = OrderedDict()
        self._slack = 1000 * _SLACK + number(recording.counters.get("clock_ahead_ms"))
        named = filter(None, map(_named, recording.listed("names")))
        self._names = {sender_name(address): name for address, name in named}
        self._is_stamped = recording.facts.get("stamp") is True
        # Who is meant by a word of a stamp; None: nobody that we know.
        self._meant: dict[bytes, str | None] = {}

    def name(self, address: str | None) -> str | None:
        """Return what a person calls a sender."""
        return self._names.get(address, address) if address is not None else None

    def called(self, senders: frozenset[str]) -> frozenset[str]:
        """Return `senders`, names or addresses, as lines have them."""
        return frozenset(self._names.get(sender_name(one), one) for one in senders)

    def walk(self, text: Text, begin: int, end: int) -> Walk:
        """Return what tells of ascending lines in [begin, end)."""
        return Walk(self, text, begin, end)

    def seek(self, text: Text, time: float) -> int:
        """Return the offset before which all known lines came before `time`."""
        if known := self.indexed(text):
            return known if time == math.inf else self._seek(text, math.ceil(round(time * 1000, 3)), known)
        return self._bisect(text, time)

    def indexed(self, text: Text) -> int:
        """Return up to which offset the index knows; 0 if there is none."""
        for part in reversed([*text.parts(0, text.end + 1)]):
            if known := self._reader(part).seek(_NEVER):
                return min(part.begin + known, text.end)
        return 0

    def tells(self, text: Text) -> bool:
        """Tell whether the time of any line is known."""
        return self.indexed(text) > 0 or self._stamped(text, 0, text.end) is not None

    def senders(self, text: Text) -> dict[str, int]:
        """Return the bytes of each sender, as far as the index knows them."""
        found: dict[str, int] = {}
        for part in text.parts(0, text.end + 1):
            said = self._reader(part).senders() if part.piece is None else self._said(part)
            for address, size in said.items():
                name = self._names.get(address, address)
                found[name] = found.get(name, 0) + size
        return found

    def first(self, text: Text, offset: int) -> float | None:
        """Return when what stands at `offset`, or soon behind it, came; None if that is unknown."""
        some = itertools.islice(self.runs(text, offset, text.end), 2)
        return next((run.ms / 1000 for run in some if run.ms is not None), None)

    def runs(self, text: Text, begin: int, end: int) -> Iterator[Run]:
        """Yield what covers [begin, end), as far as it is there."""
        for part in text.parts(begin, end):
            at, last, first = max(begin, part.begin), min(end, part.end), part.begin
            for run in self._reader(part).runs(at - first, last - first):
                if run.ms is None and (piece := text.set_aside(part)) is not None:
                    break  # while it was read: its index is that of a piece by now
                yield run._replace(begin=run.begin + first, end=run.end + first)
                at = run.end + first
            else:
                continue
            for run in self._reader(piece).runs(at - first, last - first):
                yield run._replace(begin=run.begin + first, end=run.end + first)

    def timeline(self, text: Text, begin_ms: int, end_ms: int, buckets: int) -> list[dict[str, int]]:
        """Return the bytes of each sender in each of `buckets` equal stretches of time."""
        found: list[dict[str, int]] = [{} for _ in range(buckets)]
        length = max(1, end_ms - begin_ms)
        known = self.indexed(text)
        begin, end = self._seek(text, begin_ms, known), self._seek(text, end_ms, known)
        for run in self.runs(text, begin, end):
            if run.ms is not None and begin_ms <= run.ms < end_ms:
                bucket = found[(run.ms - begin_ms) * buckets // length]
                who = self.name(run.sender) or ""
                bucket[who] = bucket.get(who, 0) + run.end - run.begin
        return found

    def stamp(self, text: bytes) -> Told:
        """Return what the stamp at the beginning of a line tells; nothing if there is none."""
        found = _STAMP.match(text)
        time = moment(found[1].decode("ascii")) if found else None
        if found is None or time is None:
            return _UNKNOWN
        word = found[2] or b""
        if word not in self._meant:
            if len(self._meant) >= _MOST:
                self._meant.clear()
            self._meant[word] = self._sender(word.decode("utf-8", "backslashreplace"))
        sender = self._meant[word]
        return Told(time, sender, found.end() if self._is_stamped or sender else 0)

    def may_be_stamped(self, text: Text) -> bool:
        """Tell whether stamps in the text are believed where the index tells nothing."""
        return self._is_stamped or not self.indexed(text)

    def _seek(self, text: Text, ms: int, known: int) -> int:
        """Return as `seek` does, by the index, which knows up to `known`."""
        parts = [*text.parts(0, text.end + 1)]
        # Pieces end one after the other, and what is in them came before: not all need be asked.
        early = ms - self._slack
        first = bisect_left(parts, early, key=lambda part: part.piece.ended if part.piece else _NEVER)
        for part in parts[first:]:
            if self._reader(part).latest_ms() >= ms:
                return min(part.begin + self._reader(part).seek(ms), text.end)
        return known

    def _reader(self, part: Part) -> IndexReader:
        """Return what tells of a part."""
        key = part if part.piece else part._replace(end=0)
        if key not in self._readers:
            folder, size = self._folder, None
            if part.piece:
                folder, size = pieces.index_folder(self._folder, part.piece), part.piece.size
            self._readers[key] = IndexReader(folder, self._file, inode=part.inode, size=size)
        self._readers.move_to_end(key)
        if len(self._readers) > _KEPT:
            self._readers.popitem(last=False)
        return self._readers[key]

    def _said(self, part: Part) -> dict[str, int]:
        """Return the bytes of each sender in a piece."""
        assert part.piece
        folder = pieces.index_folder(self._folder, part.piece)
        with contextlib.suppress(OSError):
            return _said(folder, os.stat(folder).st_mtime_ns, part)
        return {}

    def _sender(self, word: str) -> str | None:
        """Return who is meant by the word behind a time: a sender without its port."""
        host = re.sub(r":\d+\Z", "", word).strip("[]")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host not in self._names.values():
                return (word or None) if self._is_stamped else None
        return host

    def _stamped(self, text: Text, begin: int, end: int) -> tuple[lines.Raw, float] | None:
        """Return the first line that has a stamp, of some that begin in [begin, end), and its time."""
        for raw in itertools.islice(lines.forward(text, lines.next_line(text, begin, end), end), _SOON):
            time = self.stamp(raw.text).time
            if time is not None:
                return raw, time
        return None

    def _bisect(self, text: Text, time: float) -> int:
        """Return as `seek` does, by stamps: they ascend, or it is not known where."""
        low, high = text.begin, text.end
        size = high
        if self._stamped(text, low, size) is None:
            return size
        while high - low > lines.BLOCK:
            middle = (low + high) // 2
            found = self._stamped(text, middle, high)
            if found is not None and found[1] < time:
                low = found[0].end
            else:
                high = middle
        for raw in lines.forward(text, lines.next_line(text, low, size), size):
            told = self.stamp(raw.text).time
            if told is not None and told >= time:
                return raw.offset
        return size


class Walk:
    """What is known of lines, one behind the other."""

    def __init__(self, known: Known, text: Text, begin: int, end: int) -> None:
        self._known, self._text, self._end = known, text, end
        self._runs: Iterator[Run] = iter(())
        self._run = Run(begin, begin, None, None)
        self._believes = known.may_be_stamped(text)

    def of(self, raw: lines.Raw) -> Told:
        """Return what is known of a line behind the last one."""
        run = self._run
        if raw.offset >= run.end:
            run = self._run = self._next(raw.offset)
        if not self._believes:
            return _UNKNOWN if run.ms is None else Told(run.ms / 1000, self._known.name(run.sender), 0)
        told = self._known.stamp(raw.text)
        if run.ms is None:
            return told
        return Told(run.ms / 1000, self._known.name(run.sender) or told.sender, told.stamp)

    def _next(self, offset: int) -> Run:
        if offset - self._run.end > _FAR or self._run.begin == self._run.end:
            self._runs = self._known.runs(self._text, offset, max(self._end, offset + 1))
        for run in self._runs:
            if run.end > offset:
                return run
        return Run(offset, offset + 1, None, None)


_UNKNOWN = Told(None, None, 0)


@functools.lru_cache(maxsize=4096)
def _said(folder: str, version: int, part: Part) -> dict[str, int]:
    """Return the bytes of each sender in a piece: once it is all there its index does not change."""
    return IndexReader(folder, "", inode=part.inode, size=part.end - part.begin).senders()


def _named(word: str) -> tuple[str, str] | None:
    with contextlib.suppress(ValueError):
        return named_address(word)
    return None
