"""A subscriber's copy that is cut into pieces: killed at any change of its disk, or its power cut there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from simdisk import Died, SimDisk
from stand_ins import StubLoop, small

from reclog.engine.stores.pieces import path_of, pieces
from reclog.engine.stores.rotation import Rotating
from reclog.engine.system.disk import Disk
from reclog.stream.copied import Copy
from reclog.stream.message import Identity, Message

FILE, STATE, SUBJECT = "/files/a.log", "/state", "reclog.laptop.local-1"
#: From so many bytes on the file is cut.
ROTATING = Rotating(24)
ONE = Identity("0" * 16, 1)
#: Whole lines, half a line that goes on, one behind a gap, and another identity's.
TEXTS = [(b"one\ntwo\n", 0, ONE), (b"three\nfour\nfi", 0, ONE), (b"ve\n", 0, ONE), (b"six\nseven\n", 5, ONE)]
TEXTS += [(b"eight\nnine\nten\n", 0, ONE.next()), (b"eleven\ntwelve\nthirteen\n", 0, ONE.next())]
LINES = [line + b"\n" for line in b"".join(text for text, *_ in TEXTS).splitlines()]


def messages() -> list[Message]:
    ends: dict[Identity, int] = {}
    found = []
    for text, missing, identity in TEXTS:
        begin = ends.get(identity, 0) + missing
        ends[identity] = begin + len(text)
        found.append(Message(identity, begin, begin + len(text), [], text))
    return found


def begin(disk: SimDisk) -> Copy:
    loop: Any = StubLoop()
    say: Any = lambda event, **facts: None  # noqa: E731
    copy = Copy(loop, STATE, FILE, say, disk, True, lambda: None, ROTATING)
    copy.open()
    return copy


def play(copy: Copy, all_of: Sequence[Message]) -> None:
    """Take all, and settle after some."""
    for number, message in enumerate(all_of):
        assert copy.take(SUBJECT, message)
        assert copy.landing.flush()
        if number % 2:
            copy.acks.settle()
    copy.close()


def held(disk: Disk) -> bytes:
    paths = [path_of(FILE, piece, disk) for piece in pieces(STATE, disk)]
    found = b""
    for path in [*paths, FILE]:
        fd = disk.open(path, 0)
        found += disk.pread(fd, 1000, 0)
        disk.close(fd)
    return found


#: Every second change, and fewer where the power goes: the rest is the same.
@pytest.mark.parametrize(("power", "step"), [(False, 2), (True, 5)])
def test_any_death_leaves_each_line_once_and_in_order(power: bool, step: int) -> None:
    all_of = messages()
    with small():
        for nth in range(1, 1000, step):
            disk = SimDisk()
            with disk.outside():
                disk.makedirs("/files")
                disk.makedirs(STATE)
            disk.die_at(nth)
            try:
                play(begin(disk), all_of)
            except Died:
                disk.mend()
                disk.power_cut() if power else disk.crash()
            else:
                break
            # The stream is read again, from its beginning: a position may be as old as it likes.
            play(begin(disk), all_of)
            assert held(disk) == b"".join(LINES), f"killed before change {nth}"
            assert len(pieces(STATE, disk)) >= 2
    assert 50 < nth < 999
