"""A piece, compressed on a disk in memory; the process is killed, or the power cut, at each change of it."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
import random
import zlib
from collections.abc import Callable
from unittest import mock

from ledger import Broken
from simdisk import AFTER, BEFORE, WITHIN, Died, SimDisk

from reclog.engine.stores import packing
from reclog.engine.stores.pieces import Piece

FOLDER = "/rec"
FILE, PLAIN, PACKED = f"{FOLDER}/file.log", f"{FOLDER}/file.1.log", f"{FOLDER}/file.1.log.gz"
TEXT = b"what was said, before\n" * 40

Befalls = Callable[[SimDisk], None]


def _killed(disk: SimDisk) -> None:
    disk.crash()


def _all_lost(disk: SimDisk) -> None:
    disk.power_cut()


def _some_lost(disk: SimDisk) -> None:
    dice = random.Random(disk.changes)
    disk.power_cut(lambda most: dice.randint(0, most))


def recorded() -> tuple[SimDisk, Piece]:
    """Return a disk on which a piece is for good."""
    disk = SimDisk()
    disk.makedirs(FOLDER)
    fd = disk.open(PLAIN, os.O_WRONLY | os.O_CREAT)
    disk.write_all(fd, TEXT)
    disk.fsync(fd)
    piece = Piece("file.1.log", 0, len(TEXT), 1, disk.fstat(fd).st_ino)
    disk.close(fd)
    disk.sync(FOLDER)
    return disk, piece


def there(disk: SimDisk) -> list[str]:
    """Return which of them are there, and whole. Raises Broken."""
    found = []
    plain, packed = disk.find(PLAIN), disk.find(PACKED)
    if plain is not None and bytes(plain.cache.data) == TEXT:
        found.append(PLAIN)
    if packed is not None:
        try:
            text = gzip.decompress(bytes(packed.cache.data))
        except (EOFError, OSError, zlib.error) as error:
            raise Broken(f"torn: what has a compressed piece's name is none: {error}") from error
        if text != TEXT:
            raise Broken(f"torn: what has a compressed piece's name holds {text!r}")
        found.append(PACKED)
    return found


def told() -> None:
    """Kill, or cut the power, at each change of a compression, then do it again.

    Raises Broken unless one of the piece was there each time, and no more in the end.
    """
    for when, befalls in itertools.product((BEFORE, WITHIN, AFTER), (_killed, _all_lost, _some_lost)):
        for nth in itertools.count(1):
            disk, piece = recorded()
            disk.die_at(nth, when)
            with contextlib.suppress(Died), mock.patch.object(packing, "TEXT", 300):
                packing.compress(FILE, piece, disk)
            if not disk.deaths:
                break
            befalls(disk)
            if not there(disk):
                raise Broken(f"lost: {befalls.__name__} {when} change {nth}")
            disk.mend()
            packing.compress(FILE, piece, disk)
            if there(disk) != [PACKED] or [*disk.files(FOLDER)] != [os.path.basename(PACKED)]:
                raise Broken(f"doubled: {sorted(disk.files(FOLDER))}, {befalls.__name__} {when} change {nth}")
        if nth < 8:
            raise Broken(f"lost: a compression is {nth} changes")
