"""A copy holds what its messages say, each byte once and in order, however often they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reclog.engine.stores.index.format import Run
from reclog.engine.system.disk import DISK, Disk
from reclog.engine.system.loop import Loop
from reclog.stream.copied import EACH_UP_TO, MOST, Copy, NotInOrder
from reclog.stream.message import Identity, Message
from reclog.stream.naming import LONGEST, file_for, is_plain, make_folders

ONE, OTHER = Identity("0" * 16, 1), Identity("1" * 16, 1)
SUBJECT = "reclog.laptop.local-55514"


def message(begin: int, text: bytes, identity: Identity = ONE) -> Message:
    end = begin + len(text)
    return Message(identity, begin, end, [Run(begin, end, 1_700_000_000_000 + begin, "10.0.0.1")], text)


class Kept:
    """A copy in a folder, and what it stated."""

    def __init__(self, folder: Path, loop: Loop, disk: Disk = DISK, whole: bool = True) -> None:
        self.folder, self.loop, self.disk, self.whole = folder, loop, disk, whole
        self.stated: list[dict[str, Any]] = []
        self.file = folder / "file.log"
        self.begin()

    def begin(self) -> None:
        self.copy = Copy(
            *(self.loop, str(self.folder), str(self.file), self._say, self.disk, self.whole, lambda: None)
        )
        self.copy.open()

    def take(self, *messages: Message) -> None:
        for one in messages:
            assert self.copy.take(SUBJECT, one)
        self.copy.landing.flush()

    def die(self) -> None:
        """End as a kill does: what was written is there, nothing else is done; begin again."""
        self.copy.landing.close()
        self.begin()

    def _say(self, event: str, **facts: Any) -> None:
        self.stated.append({"event": event, **facts})

    def events(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.stated if one["event"] == name]


@pytest.fixture
def kept(tmp_path: Path, loop: Loop) -> Kept:
    return Kept(tmp_path, loop)


def test_what_comes_twice_is_there_once(kept: Kept) -> None:
    one, two = message(0, b"one\ntwo\n"), message(8, b"three\n")
    kept.take(one, two)
    kept.copy.begin_again()
    kept.take(one, two)
    # Cut otherwise by another publisher, or had in part.
    kept.take(message(4, b"two\nthree\nfour\n"))
    assert kept.file.read_bytes() == b"one\ntwo\nthree\nfour\n"
    assert not kept.stated


def test_a_stretch_that_no_message_has_is_a_gap(kept: Kept) -> None:
    kept.take(message(10, b"one\n"), message(20, b"two\n"))
    assert [(one["start"], one["end"]) for one in kept.events("gap")] == [(0, 10), (14, 20)]
    assert kept.file.read_bytes() == b"one\ntwo\n"


def test_what_was_before_its_beginning_is_no_gap_where_that_is_not_asked_for(
    tmp_path: Path, loop: Loop
) -> None:
    kept = Kept(tmp_path, loop, whole=False)
    kept.take(message(10, b"one\n"))
    assert not kept.stated


def test_another_identity_is_stated_and_the_one_before_is_known_when_it_comes_again(kept: Kept) -> None:
    first, second = message(0, b"one\n"), message(7, b"two\n", ONE.next())
    kept.take(first, second)
    kept.die()
    kept.take(first, second, message(4, b"three\n"))
    assert kept.file.read_bytes() == b"one\ntwo\nthree\n"
    said = [(one["known"], one["found"], one["offset"]) for one in kept.events("another recording")]
    assert said == [(str(ONE), str(ONE.next()), 7), (str(ONE.next()), str(ONE), 4)]


def test_offsets_that_go_back_are_of_somebody_who_publishes_as_that_recording(kept: Kept) -> None:
    kept.take(message(0, b"one\n"), message((1 << 62) - 9, b"lied\n"))
    with pytest.raises(NotInOrder, match="ends at 8, and what was read before"):
        kept.take(message(4, b"two\n"))
    kept.copy.begin_again()
    kept.take(message(4, b"two\n"))  # it may have been had: the stream is read again
    assert [(one["start"], one["end"]) for one in kept.events("gap")] == [(4, (1 << 62) - 9)]
    assert kept.file.read_bytes() == b"one\nlied\n"


def test_identities_that_come_and_go_wash_nothing_away(kept: Kept) -> None:
    for number in range(1, 121):
        kept.take(message(number, b"x\n", Identity("0" * 16, number)))
    kept.copy.close()
    assert len(kept.events("another recording")) == EACH_UP_TO + 1
    assert kept.stated[-1]["times"] == 119 - EACH_UP_TO
    assert len(json.loads((kept.folder / "source.json").read_text())["before"]) == MOST
    kept.begin()


class Full(Disk):
    """A disk that can be full."""

    full = False

    def write(self, fd: int, data: Any) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(fd, data)


def test_on_a_full_disk_nothing_is_taken_and_all_is_there_later(tmp_path: Path, loop: Loop) -> None:
    disk = Full()
    kept = Kept(tmp_path, loop, disk)
    kept.take(message(0, b"one\n"))
    disk.full = True
    taken = [kept.copy.take(SUBJECT, message(4, b"two\n")), kept.copy.landing.flush()]
    assert taken == [True, False]
    for one in (message(8, b"three\n"), message(8, b"x", ONE.next()), message(0, b"y\n", OTHER)):
        assert not kept.copy.take(SUBJECT, one)
        assert kept.copy.paused == "No space left on device"
    disk.full = False
    kept.take(message(8, b"three\n"))
    assert (kept.file.read_bytes(), kept.copy.paused) == (b"one\ntwo\nthree\n", "")


def test_whose_recording_it_is_is_known_again(kept: Kept) -> None:
    kept.take(message(0, b"one\n"))
    kept.die()
    assert kept.copy.subject == SUBJECT
    (kept.folder / "source.json").write_text(json.dumps({"subject": 7}))
    kept.die()
    kept.take(message(0, b"one\n"), message(4, b"two\n"))
    assert kept.file.read_bytes() == b"one\ntwo\n"


#: What is done: one more is taken, what was taken is settled, a kill; messages are read again from one
#: on.
Deeds = st.lists(st.sampled_from("tttttsk") | st.integers(0, 30), max_size=60)
#: Whole lines or parts of one; how much is missing before; whether the identity is the next one, or another
#: publisher's, from a machine that is called the same.
Stretches = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0, 0, 0, 3]), st.sampled_from(["", "", "", "next", "other"])),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(stretches=Stretches, deeds=Deeds)
def test_any_kills_leave_each_byte_once_and_in_order(
    fresh: Callable[[], Kept], stretches: list[tuple[bool, int, str]], deeds: list[str | int]
) -> None:
    messages, expected = [], b""
    identity, at, other, other_at = ONE, 0, OTHER, 0
    for number, (whole, missing, changes) in enumerate(stretches):
        if changes == "other":
            identity, at, other, other_at = other, other_at, identity, at
        elif changes:
            identity = identity.next()
        at += missing
        if (missing or changes) and expected and not expected.endswith(b"\n"):
            expected += b"\n"  # nothing is joined over a gap
        messages.append(message(at, b"line %d\n" % number if whole else b"part %d " % number, identity))
        at, expected = messages[-1].end, expected + messages[-1].payload
    kept = fresh()
    due = settled = 0
    for deed in deeds:
        if deed == "k":
            kept.die()
            due = min(due, settled)  # a position is never ahead of what is settled
        elif deed == "s":
            settled = due if kept.copy.acks.settle() and kept.copy.is_settled else settled
        elif isinstance(deed, int):
            due = min(due, deed)
            kept.copy.begin_again()
        elif due < len(messages):
            kept.take(messages[due])
            due += 1
    kept.take(*messages[due:])
    assert kept.file.read_bytes() == expected
    kept.copy.landing.close()


@pytest.fixture
def fresh(tmp_path: Path, loop: Loop) -> Callable[[], Kept]:
    numbers = iter(range(1_000_000))

    def make() -> Kept:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return Kept(folder, loop)

    return make


@pytest.mark.parametrize(
    ("machine", "recording", "expected"),
    [
        ("laptop", "local-55514", "/logs/laptop/local-55514.log"),
        ("--help", "-", "/logs/help/_.log"),
        ("_", "__", "/logs/_/__.log"),
    ],
)
def test_names_from_outside_stay_in_their_folder(machine: str, recording: str, expected: str) -> None:
    assert file_for("/logs/{machine}/{recording}.log", machine, recording).file == expected


def test_long_names_are_cut_and_kept_apart(tmp_path: Path) -> None:
    file = f"{tmp_path}/{{machine}}/of-{{machine}}-{{recording}}.log"
    one, two = (file_for(file, "m" * 128, "r" * 127 + last) for last in "ab")
    assert one.file != two.file
    assert len(one.name) == 2 * LONGEST + 1
    make_folders(file, one.file)
    make_folders(file, one.file)
    Path(one.file).touch()
    assert Path(one.file).parent.stat().st_mode & 0o777 == 0o700


def test_what_a_file_has_room_for() -> None:
    assert [is_plain(file) for file in ("a.log", "{machine}.log", "{recording}/x")] == [True, False, False]
