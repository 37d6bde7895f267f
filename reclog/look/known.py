"""What is known of a line besides its text: when it came, and from whom.

Rules kept here:

- The index tells. Where it does not, a stamp at the line's beginning does, if the recorder put it there
  (`--stamp`), or if there is no index at all: else a sender could write one himself.
- Nothing is guessed: what neither tells is None.
"""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from reclog.engine.sources.dial import sender_name
from reclog.engine.stores.index.reader import IndexReader, Run
from reclog.engine.system.address import named_address

from ..recordings.recording import Recording
from . import lines
from .gaps import moment

#: Later than any line (ms).
_NEVER = 1 << 60
#: Bytes behind the last line that was asked for, from which on the runs between are not walked along.
_FAR = 64 * 1024
#: Lines in which a file without an index has to have a stamp, if it has any.
_SOON = 200
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
        self._index = IndexReader(self._folder, self._file)
        given = recording.facts.get("names")
        self._names = {
            sender_name(address): name
            for address, name in map(_named, given if isinstance(given, list) else ())
            if address
        }
        self._is_stamped = recording.facts.get("stamp") is True
        # Who is meant by a word of a stamp; None: nobody that we know.
        self._meant: dict[bytes, str | None] = {}

    def name(self, address: str | None) -> str | None:
        """Return what a person calls a sender."""
        return self._names.get(address, address) if address is not None else None

    def called(self, senders: frozenset[str]) -> frozenset[str]:
        """Return `senders`, names or addresses, as lines have them."""
        return frozenset(self._names.get(sender_name(one), one) for one in senders)

    def walk(self, begin: int, end: int) -> Walk:
        """Return what tells of ascending lines in [begin, end)."""
        return Walk(self, IndexReader(self._folder, self._file), begin, end)

    def seek(self, fd: int, time: float, size: int) -> int:
        """Return the offset before which all known lines came before `time`; `fd` is the file."""
        if self.indexed():
            return min(
                self._index.seek(_NEVER if time == math.inf else math.ceil(round(time * 1000, 3))), size
            )
        return self._bisect(fd, time, size)

    def indexed(self) -> int:
        """Return up to which offset the index knows; 0 if there is none."""
        return self._index.seek(_NEVER)

    def tells(self, fd: int, size: int) -> bool:
        """Tell whether the time of any line is known."""
        return self.indexed() > 0 or self._stamped(fd, 0, size) is not None

    def senders(self) -> dict[str, int]:
        """Return the bytes of each sender, as far as the index knows them."""
        found: dict[str, int] = {}
        for address, size in self._index.senders().items():
            name = self._names.get(address, address)
            found[name] = found.get(name, 0) + size
        return found

    def timeline(self, begin_ms: int, end_ms: int, buckets: int, size: int) -> list[dict[str, int]]:
        """Return the bytes of each sender in each of `buckets` equal stretches of time."""
        found: list[dict[str, int]] = [{} for _ in range(buckets)]
        length = max(1, end_ms - begin_ms)
        begin, end = self._index.seek(begin_ms), self._index.seek(end_ms)
        for run in self._index.runs(min(begin, size), min(end, size)):
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

    def may_be_stamped(self) -> bool:
        """Tell whether stamps in the text are believed where the index tells nothing."""
        return self._is_stamped or not self.indexed()

    def _sender(self, word: str) -> str | None:
        """Return who is meant by the word behind a time: a sender without its port."""
        host = re.sub(r":\d+\Z", "", word).strip("[]")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host not in self._names.values():
                return (word or None) if self._is_stamped else None
        return host

    def _stamped(self, fd: int, begin: int, end: int) -> tuple[lines.Raw, float] | None:
        """Return the first line that has a stamp, of some that begin in [begin, end), and its time."""
        for raw in itertools.islice(lines.forward(fd, lines.next_line(fd, begin, end), end), _SOON):
            time = self.stamp(raw.text).time
            if time is not None:
                return raw, time
        return None

    def _bisect(self, fd: int, time: float, size: int) -> int:
        """Return as `seek` does, by stamps: they ascend, or it is not known where."""
        if self._stamped(fd, 0, size) is None:
            return size
        low, high = 0, size
        while high - low > lines.BLOCK:
            middle = (low + high) // 2
            found = self._stamped(fd, middle, high)
            if found is not None and found[1] < time:
                low = found[0].end
            else:
                high = middle
        for raw in lines.forward(fd, lines.next_line(fd, low, size), size):
            told = self.stamp(raw.text).time
            if told is not None and told >= time:
                return raw.offset
        return size


class Walk:
    """What is known of lines, one behind the other."""

    def __init__(self, known: Known, index: IndexReader, begin: int, end: int) -> None:
        self._known, self._index, self._end = known, index, end
        self._runs: Iterator[Run] = iter(())
        self._run = Run(begin, begin, None, None)
        self._believes = known.may_be_stamped()

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
            self._runs = self._index.runs(offset, max(self._end, offset + 1))
        for run in self._runs:
            if run.end > offset:
                return run
        return Run(offset, offset + 1, None, None)


_UNKNOWN = Told(None, None, 0)


def _named(word: object) -> tuple[str, str]:
    try:
        return named_address(str(word))
    except ValueError:
        return "", ""
