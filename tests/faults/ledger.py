"""What was spooled, and what became of it: the offsets of each stream, and the labels of its bytes."""

from __future__ import annotations

from simdisk import SimDisk

FILES = "/rec"
NEWLINE = 10
#: Label of a byte of the stream: number of the spool, from 1 on, times this, plus offset.
SPAN = 1 << 32


class Broken(AssertionError):
    """A promise is broken; the message begins with the verdict."""


class Stream:
    """What was spooled under one spool id."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = ""
        #: Every byte ever written, by its offset.
        self.data: dict[int, int] = {}
        #: The labels of these.
        self.labels: set[int] = set()
        #: Where the next byte is to go.
        self.next = 0
        #: Offsets that went with the tremplin's power.
        self.lost: set[int] = set()
        #: What the relay was told to be on the collector's disk.
        self.acked = 0

    def label(self, offset: int) -> int:
        return (self.number + 1) * SPAN + offset

    def add(self, data: bytes) -> None:
        """Take note of what is spooled next."""
        end = self.next + len(data)
        self.data.update(zip(range(self.next, end), data))
        self.labels.update(range(self.label(self.next), self.label(end)))
        self.next = end


class Ledger:
    """All streams, and what of them is in the files, was destroyed, or is in a gap that was said."""

    def __init__(self, laptop: SimDisk) -> None:
        self.laptop = laptop
        self.streams: list[Stream] = [Stream(0)]
        #: Labels of what a stranger destroyed, and of the offsets in gaps that were said.
        self.destroyed: set[int] = set()
        self.gaps: list[tuple[int, int]] = []
        #: The byte that was recorded last.
        self.last = -1

    @property
    def stream(self) -> Stream:
        return self.streams[-1]

    def stream_of(self, label: int) -> Stream:
        return self.streams[label // SPAN - 1]

    def text(self, label: int) -> str:
        """Say what a label stands for."""
        stream, offset = self.stream_of(label), label % SPAN
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

    def accounted(self, platter: bool = False) -> set[int]:
        """Return the labels of all that may be asked for no more: it is in a file, destroyed, or in a gap."""
        found = self.labels(platter) | self.destroyed
        for start, end in self.gaps:
            found.update(range(start, end))
        return found

    def must_be_on_platter(self, start: int, end: int, why: str) -> None:
        """Check that the laptop's platter holds the stream from `start` to `end`. Raises Broken."""
        stream = self.stream
        wanted = stream.labels.intersection(range(stream.label(start), stream.label(end)))
        for label in sorted(wanted - self.accounted(platter=True)):
            if label % SPAN not in stream.lost:
                raise Broken(f"not on disk: {why}, and the laptop's disk lacks {self.text(label)}")
