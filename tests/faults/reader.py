"""Tell which bytes of the streams a recorded file is given, and whether it may be."""

from __future__ import annotations

from collections.abc import Iterator

from ledger import FILES, NEWLINE, SPAN, Broken, Ledger
from simdisk import Inode

from reclog.engine.outlets.landing import Landing

#: Tags of bytes in a recorded file that are no byte of a stream: another's, and a newline put between.
FOREIGN, CLOSING = -1, -2


class _Way:
    """One way to understand what was written: a tag for each byte, and what may come next."""

    def __init__(self, tags: list[int], nexts: list[int]) -> None:
        self.tags = tags
        self.nexts = nexts


class Reader:
    """Tell which bytes of the streams the collector writes into a file, and whether it may.

    Several ways are tried at once, because a newline may be one of the stream's or one put between.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._why = ""

    def read(
        self, inode: Inode, data: bytes, landing: Landing | None, left: Inode | None, closes: bool = False
    ) -> list[int]:
        """Return the tags of `data`, which `landing` appends to the file. Raises Broken.

        It goes on from the one that was `left`, if there is one, or `closes` the line at its end.
        """
        ledger = self._ledger
        end = left.cache if left is not None and not inode.cache.data else inode.cache
        before = [] if closes else list(end.tags[-2:])
        newline = not end.data or end.data[-1] == NEWLINE
        empty = not end.data
        present = ledger.labels()
        accounted = ledger.accounted()
        self._why = ""
        starts = self._starts(accounted, landing)
        tags = self._plain(before, data, newline, starts)
        if tags and not self._wrong(inode, before, tags, present, accounted):
            return tags
        ways = [_Way(before, starts)]
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

    def _plain(self, before: list[int], data: bytes, newline: bool, starts: list[int]) -> list[int]:
        """Return the tags of what goes on as the first of `starts`, with nothing between; else nothing."""
        for label in starts[:1]:
            last, end = before[-1] if before else FOREIGN, label + len(data)
            said = last == label - 1 or (newline and last != CLOSING)
            gap = any(start < end and label < stop for start, stop in self._ledger.gaps)
            if said and not gap and all(self._byte(label + at) == data[at] for at in range(len(data))):
                return list(range(label, end))
        return []

    def _go_on(self, way: _Way, byte: int, newline: bool, empty: bool) -> Iterator[_Way]:
        last = way.tags[-1] if way.tags else FOREIGN
        for label in dict.fromkeys(way.nexts):
            if self._byte(label) != byte:
                continue
            if not newline and last != label - 1:
                self._why = f"torn: {self._ledger.text(label)} is joined to another line"
            elif last == CLOSING and len(way.tags) > 1 and way.tags[-2] == label - 1:
                self._why = f"torn: a newline was put before {self._ledger.text(label)}"
            else:
                yield _Way([*way.tags, label], self._after(label))
        # Where the file's end can't be read, a newline too many beats two lines in one (see RecordedFile).
        if byte == NEWLINE and not empty and (not newline or self._ledger.laptop.failed_reads):
            yield _Way([*way.tags, CLOSING], way.nexts)

    def _starts(self, accounted: set[int], landing: Landing | None) -> list[int]:
        """Return the labels with which a write may begin."""
        ledger = self._ledger
        starts = []
        if landing is not None:
            for stream in ledger.streams:
                if stream.id == landing.spool:
                    # Where the collector believes to be: what it writes must be just that.
                    label, unwritten = stream.label(landing.offset), landing.file.batch.unwritten
                    back = [label := ledger.before_gap(label - 1) for _ in range(unwritten)]
                    # Newlines that it puts between count as unwritten, too.
                    starts += [stream.label(landing.offset), *back][:-4:-1]
        starts += self._after(ledger.last) if ledger.last >= 0 else []
        for stream in ledger.streams:
            starts += sorted(stream.labels - accounted)[:1]
        starts = [ledger.behind_gap(label) for label in starts]
        return list(dict.fromkeys([*starts, *(self._line_start(label) for label in starts)]))

    def _line_start(self, label: int) -> int:
        while self._byte(label - 1) not in (None, NEWLINE):
            label -= 1
        return label

    def _after(self, label: int) -> list[int]:
        """Return what may follow a byte: the next, or what is behind a gap, or another spool's first.

        What is in a gap that was said can't come any more: it is lost, and was not taken before.
        """
        ledger = self._ledger
        end = ledger.behind_gap(label + 1)
        found = [end] if end != label + 1 or self._byte(end) is not None else []
        for stream in ledger.streams[ledger.stream_of(label).number + 1 :]:
            found += [stream.label(at) for at in list(stream.data)[:1]]
        return found

    def _byte(self, label: int) -> int | None:
        stream = self._ledger.stream_of(label)
        return stream.data.get(label % SPAN)

    def _wrong(
        self, inode: Inode, before: list[int], tags: list[int], present: set[int], accounted: set[int]
    ) -> str:
        """Tell what is wrong with writing that, if anything is."""
        ledger = self._ledger
        last = -1
        known = set(accounted)
        for label in tags:
            if label < 0:
                continue
            if label in present and not self._broken(inode, label, present):
                return f"doubled: {ledger.text(label)} is in the file already"
            if label != last + 1:
                stream = ledger.stream_of(label)
                for missing in sorted(stream.labels - known)[:1]:
                    if missing < label:
                        how = "reordered" if missing in tags else "lost"
                        return f"{how}: {ledger.text(label)} is written, and not {missing % SPAN}"
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
        for other in self._ledger.laptop.files(FILES).values():
            tags = other.cache.tags
            for at in range(len(tags) - 1, -1, -1):
                if tags[at] == end:
                    if at + 1 < len(tags):
                        return tags[at + 1] == FOREIGN
                    return other is not inode
        return False

    def _name(self, inode: Inode, data: bytes, present: set[int]) -> str:
        line = data.strip(b"\n").split(b"\n")[0]
        for stream in self._ledger.streams:
            at = bytes(stream.data.values()).find(line)
            if line and at >= 0:
                label = stream.label(list(stream.data)[at])
                if label in present:
                    return f"doubled: {data!r} is written, {self._ledger.text(label)} was there already"
                if not self._why:
                    return f"reordered: {data!r} is written, {self._ledger.text(label)}"
        if self._why:
            return f"{self._why}; {data!r} is written"
        return f"invented: {data!r} is written behind {bytes(inode.cache.data[-20:])!r}"
