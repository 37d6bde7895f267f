"""Who said what a spool holds, and when: in files beside its segments, deleted with them.

Rules kept here:

- A file begins with a segment, or where the last file failed, and is named by the offset of the first byte
  that it is about. What another process has left is not written to any more: it may end in half a packet.
- Nothing here raises, and nothing waits for it: what can't be kept is unknown, and so is what a process that
  is killed had not kept yet (a second's).
- All files together take an eighth of what the spool may take. What its reader has by now is not kept at all.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from bisect import bisect_right
from typing import Iterator, List, NamedTuple

from ...intake.noted import Notes
from ...system.disk import Disk
from .packet import pack

#: Runs that are packed without waiting for more, and bytes of packets that wait in memory.
ENOUGH, WAITING = 4096, 256 * 1024
#: Bytes of a packet at most: a name has 128.
LARGEST = 1024 * 1024
#: The spool may take so many times as much as these files.
SHARE = 8
#: The offsets that a packet is about, its size, and a CRC-32 of these and of it.
_HEAD, _COVERED = struct.Struct("<QQII"), struct.Struct("<QQI")
_NAMED = re.compile("[0-9]{20}[.]runs")


class Packet(NamedTuple):
    """Runs, packed, and the offsets that they are about."""

    begin: int
    end: int
    data: bytes


class Spooled:
    """The runs of a spool."""

    def __init__(self, folder: str, disk: Disk) -> None:
        #: How many bytes all files may take.
        self.limit = 0
        #: The end of what is on disk.
        self.kept = 0
        self._folder = folder
        self._disk = disk
        # The files' starts, ascending, and their sizes; the descriptor of the last, if it is written to.
        self._starts: List[int] = []
        self._sizes: List[int] = []
        self._fd = -1
        # What is not packed yet; what is, and is not on disk: their ends, and bytes of all.
        self._told = Notes()
        self._begin = self._end = 0
        self._packets: List[Packet] = []
        self._ends: List[int] = []
        self._waiting = 0

    def open(self, first: int, end: int) -> None:
        """Take up what is there of a spool that begins with the segment `first`, and ends at `end`."""
        self.kept = end
        try:
            names = self._disk.listdir(self._folder)
            for start in sorted(int(name[:20]) for name in names if _NAMED.fullmatch(name)):
                self._sizes.append(self._disk.stat(self._path(start)).st_size)
                self._starts.append(start)
        except OSError:
            pass
        self.forget(first)

    def close(self, acked: int) -> None:
        """Keep what is about bytes from `acked` on; what comes next goes to another file."""
        self.keep(acked)
        self._close()

    # -- in -------------------------------------------------------------------------------------

    def told(self, begin: int, end: int, notes: Notes) -> None:
        """Take note of who said what was written from `begin` to `end`."""
        if self._end != begin:
            self._pack()
        if not self._told.sizes:
            self._begin, self._told = begin, notes
        else:
            self._told.join(notes)
        self._end = end
        if len(self._told.sizes) > ENOUGH:
            self._pack()
        if self._waiting > WAITING:
            self.keep(0)

    def keep(self, acked: int) -> None:
        """Have on disk what is about bytes from `acked` on."""
        if self._end <= acked:
            self._told = Notes()
        self._pack()
        packets = [packet for packet in self._packets if packet.end > acked]
        self._packets, self._ends, self._waiting = [], [], 0
        data = b"".join(map(_record, packets))
        if not data or sum(self._sizes) + len(data) > self.limit:
            return
        try:
            if self._fd < 0:
                self._begin_file(packets[0].begin)
            self._disk.write_all(self._fd, data)
        except OSError:
            self._close()  # it may end in half a packet: the next ones go to another file
        else:
            self._sizes[-1] += len(data)
            self.kept = packets[-1].end

    def forget(self, first: int) -> None:
        """Delete what is about segments before the one that begins at `first`: they are deleted."""
        while self._starts and self._starts[0] < first:
            if len(self._starts) == 1:
                self._close()
            try:
                self._disk.unlink(self._path(self._starts[0]))
            except OSError:
                pass
            del self._starts[0], self._sizes[0]

    # -- out ------------------------------------------------------------------------------------

    def waiting(self, begin: int, end: int) -> List[Packet]:
        """Return the packets in memory that are about bytes from `begin` to `end`."""
        if self._begin < end:
            self._pack()
        first = bisect_right(self._ends, begin)
        return [one for one in self._packets[first:] if one.begin < end]

    def files(self, begin: int, end: int) -> List[int]:
        """Return the files that may be about bytes from `begin` to `end`, by their starts."""
        first = max(bisect_right(self._starts, begin) - 1, 0)
        return [start for start in self._starts[first:] if start < end]

    def packets(self, start: int, position: int) -> Iterator[Packet]:
        """Yield the packets of the file from `position` on, until one is not whole."""
        try:
            fd = self._disk.open(self._path(start), os.O_RDONLY)
        except OSError:
            return
        try:
            while True:
                head = self._disk.pread(fd, _HEAD.size, position)
                if len(head) < _HEAD.size:
                    return
                begin, end, size, crc = _HEAD.unpack(head)
                if size > LARGEST:
                    return
                packet = Packet(begin, end, self._disk.pread(fd, size, position + _HEAD.size))
                if _crc(packet) != crc:
                    return
                yield packet
                position += _HEAD.size + size
        except OSError:
            return
        finally:
            self._disk.close(fd)

    # -- inside ---------------------------------------------------------------------------------

    def _close(self) -> None:
        if self._fd >= 0:
            try:
                self._disk.close(self._fd)
            except OSError:
                pass
            self._fd = -1

    def _pack(self) -> None:
        told, begin = self._told, self._begin
        if not told.sizes:
            return
        self._told = Notes()
        for some in told.by(ENOUGH):
            packet = Packet(begin, begin + sum(some.sizes), pack(some))
            begin = packet.end
            self._packets.append(packet)
            self._ends.append(packet.end)
            self._waiting += len(packet.data)

    def _begin_file(self, start: int) -> None:
        self._fd = self._disk.open(self._path(start), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        if self._starts[-1:] != [start]:
            self._starts.append(start)
            self._sizes.append(0)

    def _path(self, start: int) -> str:
        return os.path.join(self._folder, f"{start:020d}.runs")


class Teller:
    """Tell a consumer of the spool who said what it is given next."""

    def __init__(self, spooled: Spooled, offset: int) -> None:
        self._spooled = spooled
        # All before this offset was told, or is unknown.
        self._told = offset
        # Where the next packet is: in which file, and where in that.
        self._start = self._at = 0

    def up_to(self, end: int) -> List[Packet]:
        """Return the packets about what comes next, up to `end` and perhaps beyond."""
        spooled, told = self._spooled, self._told
        found = [] if told >= spooled.kept else list(self._kept(end))
        found += spooled.waiting(found[-1].end if found else told, end)
        self._told = max(end, found[-1].end) if found else end
        return found

    def _kept(self, end: int) -> Iterator[Packet]:
        told = self._told
        for start in self._spooled.files(told, end):
            if start != self._start:
                self._start, self._at = start, 0
            for packet in self._spooled.packets(start, self._at):
                if packet.begin >= end:
                    break
                self._at += _HEAD.size + len(packet.data)
                if packet.end > told:
                    told = packet.end
                    yield packet


def _record(packet: Packet) -> bytes:
    return _HEAD.pack(packet.begin, packet.end, len(packet.data), _crc(packet)) + packet.data


def _crc(packet: Packet) -> int:
    return zlib.crc32(packet.data, zlib.crc32(_COVERED.pack(packet.begin, packet.end, len(packet.data))))
