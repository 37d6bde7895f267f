"""How `status` is laid out."""

from __future__ import annotations

import time
from typing import Any

import pytest
from rich.cells import cell_len

from reclog.look import table
from reclog.look.watch import drawn


def described(number: int, **facts: Any) -> dict[str, Any]:
    return {
        "name": f"tremplin-jump-{55500 + number}",
        "kind": "local",
        "state": "recording",
        "file": f"/home/somebody/projects/firmware of the lamp/logs/{number:02d}/file.log",
        "port": 55500 + number,
        "listener": "builtin",
        "tls": None,
        "lines": 1_234_567,
        "lines_per_second": 17.2,
        "bytes": 987_654_321,
        "lag_bytes": 0,
        "gaps": 0,
        "last_gap_at": None,
        "clock_ahead_ms": None,
        "clock_within_ms": None,
        "boot": False,
        "senders": 12,
        "last_line": "\x1b[31mred " + "x" * 50,
        "heard_at": time.time() - 7300,
        "paused_for": None,
        "listener_full": False,
        "full_since": None,
        "made_room": 0,
        "token": False,
        "datagrams_dropped": 0,
        "messages_not_taken": 0,
        "dialled": [],
        **facts,
    }


@pytest.mark.parametrize("width", [80, 100, 149, 150, 200])
def test_one_row_a_recording_of_whole_words(width: int) -> None:
    some = [described(number) for number in range(20)]
    head, *rows = table.fitted(some, width)
    assert max(map(len, (head, *rows))) <= width
    for one, row in zip(some, rows, strict=True):
        assert row.split()[:2] == [one["name"], "recording"]
        for text in ("1234567", "2 h ago", "17"):
            assert f" {text} " in row
        assert ("/file.log" in row, "/home/" in row) == (True, True)
        assert "\x1b" not in row
    told = [name in head for name in ("size", "senders", "listener", "last line")]
    assert told == [width >= 100, width >= 100, width >= 149, width >= 149]
    assert not any(name in head for name in ("lag", "gaps"))


def test_what_only_some_have_has_a_column_then_and_takes_the_place_of_what_is_worth_less() -> None:
    troubled = described(1, kind="tremplin", lag_bytes=3 << 20, gaps=2, last_gap_at=time.time() - 90)
    head, row, other = table.fitted([troubled, described(2)], 80)
    assert head.split() == ["name", "state", "heard", "lines/s", "lag", "gaps"]
    assert row.endswith("  2 h ago       17  3.0 MiB  2, 1 min ago")
    assert other.endswith("  2 h ago       17        -  -")


@pytest.mark.parametrize("width", [1, 10, 25, 40, 60])
def test_the_narrowest_terminal_has_a_row_each(width: int) -> None:
    lines = table.fitted([described(number, name="x" * 60) for number in range(3)], width)
    assert (len(lines), max(map(len, lines)) <= width) == (4, True)


def test_characters_of_two_cells_take_the_room_of_two() -> None:
    some = [described(1, file="/home/" + "\u6f22" * 50 + "/file.log"), described(2)]
    rows = table.fitted(some, 80)
    assert max(map(cell_len, rows)) <= 80
    assert rows[1].endswith("/file.log")


def test_what_is_cut_loses_its_middle() -> None:
    assert table.cut("abcdefghij", 10) == "abcdefghij"
    assert table.cut("abcdefghijk", 10) == "abc..ghijk"
    assert table.cut("\x1b", 10) == r"\x1b"


@pytest.mark.parametrize(
    ("width", "shown"),
    [(11, "one two six"), (10, "one two .."), (9, "one .."), (6, "one .."), (5, ".."), (1, ".")],
)
def test_a_sentence_loses_its_last_words(width: int, shown: str) -> None:
    assert table.sentence("one two six", width) == shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7199, "1 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert table.ago(seconds) == said


def test_what_the_states_word_does_not_say_is_a_second_row() -> None:
    away = {"name": "lamp", "since": "2026-11-26T10:00:00.000Z", "why": "refused", "connected": False}
    some = [
        described(0),
        described(1, state="paused", paused_for="No space left on device"),
        described(2, listener_full=True, full_since="2026-11-26T10:00:00.000Z"),
        described(
            3,
            made_room=2,
            datagrams_dropped=1,
            token=True,
            refused=7,
            dialled=[away, {**away, "connected": True}],
        ),
        described(4, clock_ahead_ms=-3210, clock_within_ms=20),
        described(5, clock_ahead_ms=900, clock_within_ms=450),
    ]
    said = {
        1: "No space left on device",
        2: "full since 2026-11-26T10:00:00.000Z",
        3: "1 datagram dropped, 2 silent ones made room, asks for a token: 7 strangers refused, "
        "lamp not connected since 2026-11-26T10:00:00.000Z (refused)",
        4: "the clock there is 3.2 s behind ours",
    }
    rows = table.fitted(some, 200)[1:]
    assert [row[2:] for row in rows if row.startswith("  ")] == [*said.values()]
    assert [row.split()[0] for row in rows if not row.startswith("  ")] == [one["name"] for one in some]
    full = [row[1] for row in table.everything(some)]
    assert full[1] == "paused: No space left on device"
    assert full[2:] == [f"recording, {words}" for _, words in sorted(said.items())[1:]] + ["recording"]
    (shortened,) = [row for row in table.fitted(some, 80) if row.startswith("  1 datagram")]
    assert shortened == "  1 datagram dropped, 2 silent ones made room, asks for a token: 7 strangers .."


def test_what_is_drawn_fits_the_screen() -> None:
    rows = [f"row {number}" for number in range(50)]
    assert drawn(rows, 50).count("\n") == 49
    short = drawn(rows, 24)
    assert short.count("\n") == 23
    assert short.endswith("(27 more rows)\x1b[K\x1b[J")
