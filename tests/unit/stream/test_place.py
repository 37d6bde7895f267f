from __future__ import annotations

from pathlib import Path

import pytest

from reclog.engine.stores.index.format import Run
from reclog.stream.jetstream import Held, covers, losing
from reclog.stream.message import Identity, Message, encode
from reclog.stream.place import KEPT, Kept, Place, another, is_there, own_of, place

MINE = Identity("0123456789abcdef", 2)
THEIRS = Identity("f" * 16, 1)


class File:
    """A recording's text that begins at `base`."""

    def __init__(self, text: bytes, base: int = 0) -> None:
        self.text, self.base, self.end = text, base, base + len(text)

    def begin(self, offset: int = 0) -> int:
        return max(offset, self.base)

    def read(self, offset: int, most: int) -> bytes:
        return self.text[max(0, offset - self.base) :][: max(0, most)]


def says(identity: Identity, begin: int, payload: bytes) -> Message:
    end = begin + len(payload)
    return Message(identity, begin, end, [Run(begin, end, None, None)], payload)


KEPT_2 = Kept(MINE, 4, 12, 7, "then", b"one\ntwo\n", 0, b"two\nthree\n"[-8:])


@pytest.mark.parametrize(
    ("own", "created", "last", "expected"),
    [
        # What the stream says comes before what was kept.
        (says(MINE, 8, b"three\n"), "then", 9, Place(MINE, 14, b"three\n")),
        (says(MINE, 4, b"two\n"), "then", 7, Place(MINE, 8, b"two\n", "stream has less")),
        # A new identity of which nothing is there yet, and one that was not kept.
        (says(MINE._replace(number=1), 0, b"x"), "then", 7, Place(MINE, 12, KEPT_2.tail)),
        (says(MINE.next(), 4, b"x"), "then", 7, Place(MINE.next(), 5, b"x")),
        # Nothing of ours is there: it was let go of; or the stream is another, or older.
        (None, "then", 7, Place(MINE, 12, KEPT_2.tail)),
        (says(THEIRS, 0, b"x"), "then", 8, Place(MINE, 12, KEPT_2.tail)),
        (None, "now", 7, Place(MINE, 4, b"", "stream anew")),
        (None, "then", 6, Place(MINE, 4, b"", "stream anew")),
    ],
)
def test_where_to_go_on(own: Message | None, created: str, last: int, expected: Place) -> None:
    assert place(KEPT_2, own, created, last, File(b"one\ntwo\nthree\nfour\n")) == expected


def test_a_lost_memory_is_found_again_by_the_text_alone() -> None:
    file = File(b"one\ntwo\n")
    assert place(None, says(MINE, 4, b"two\n"), "", 1, file) == Place(MINE, 8, b"two\n", "identity found")
    for own in (None, says(THEIRS, 4, b"TWO\n")):
        made = place(None, own, "", 1, file)
        assert (made.offset, made.event) == (0, "identity made")
        assert made.identity.origin not in (MINE.origin, THEIRS.origin)


@pytest.mark.parametrize(
    ("text", "base", "there"),
    [
        (b"one\ntwo\nthree\n", 0, True),
        (b"two\nthree\n", 4, True),
        (b"e\n", 12, True),  # the rest was let go of
        (b"", 14, True),
        (b"one\ntwo\nTHREE\n", 0, False),
        (b"one\ntwo\n", 0, False),
        (b"", 0, False),
    ],
)
def test_what_was_published_is_compared(text: bytes, base: int, there: bool) -> None:
    assert is_there(Place(MINE, 14, b"two\nthree\n"), File(text, base)) is there


@pytest.mark.parametrize(
    ("text", "offset", "event"),
    [
        (b"", 0, "file is another"),  # emptied
        (b"ONE\nmore\n", 0, "file is another"),
        (b"one\ntwo\nth", 10, "file was changed"),  # cut back
        (b"one\ntwo\nthNEW\n", 10, "file was changed"),
        (b"one\n", 4, "file was changed"),  # far back: where it ends
        (b"one\nand a half\ntwo\nthree\n", 25, "file was changed"),  # edited
    ],
)
def test_where_another_identity_begins(text: bytes, offset: int, event: str) -> None:
    kept = Kept(MINE, 0, 14, 7, "then", b"one\n", 0)
    at = another(Place(MINE, 14, b"two\nthree\n"), kept, File(text))
    assert (at.identity, at.offset, at.event) == (MINE.next(), offset, event)
    assert at.tail == text[: at.offset][max(0, 4 if at.tail else at.offset) :]


def test_what_is_kept_comes_back_and_what_makes_no_sense_does_not(tmp_path: Path) -> None:
    KEPT_2.write(str(tmp_path), sync=True)
    assert Kept.read(str(tmp_path)) == KEPT_2
    assert (tmp_path / KEPT).stat().st_mode & 0o777 == 0o600
    for text in ("", "[]", "{}", '{"start":0,"end":-1,"sequence":0,"base":0}', '{"start":true}'):
        (tmp_path / KEPT).write_text(text)
        assert Kept.read(str(tmp_path)) is None


def test_a_message_of_somebody_else_is_nobodys() -> None:
    headers = encode(MINE, 4, b"two\n", [Run(4, 8, None, None)])
    assert own_of(Held(3, headers, b"two\n")) == says(MINE, 4, b"two\n")
    assert own_of(Held(3, {}, b"two\n")) is own_of(None) is None


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        *((pattern, True) for pattern in ("reclog.>", ">", "reclog.*.b", "reclog.a.b")),
        *((pattern, False) for pattern in ("reclog.a", "reclog.a.b.>", "*", "reclog.a.c")),
    ],
)
def test_which_subjects_a_stream_takes(pattern: str, covered: bool) -> None:
    assert covers(pattern, "reclog.a.b") is covered


@pytest.mark.parametrize(
    ("config", "lost"),
    [
        ({"storage": "file", "discard": "new", "retention": "limits", "no_ack": False}, []),
        ({"storage": "memory", "discard": "old"}, ["storage: memory", "discard: old"]),
        ({"retention": "workqueue", "no_ack": True, "persist_mode": "async"}, 3),
    ],
)
def test_settings_that_lose_are_named(config: dict[str, object], lost: list[str] | int) -> None:
    found = losing(config)
    assert found == lost if isinstance(lost, list) else len(found) == lost
