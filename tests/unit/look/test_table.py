"""How `status` is laid out."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reclog.console import print_table
from reclog.look import table


def described(number: int, **facts: Any) -> dict[str, Any]:
    return {
        "name": f"tremplin-jump-{55500 + number}",
        "state": "recording",
        "file": f"/home/somebody/projects/firmware of the lamp/logs/{number:02d}/file.log",
        "port": 55500 + number,
        "listener": "builtin",
        "tls": None,
        "lines": 1_234_567,
        "bytes": 987_654_321,
        "senders": 12,
        "last_line": "\x1b[31mred " + "x" * 50,
        "last_line_at": time.time() - 7300,
        "paused_for": None,
        "listener_full": False,
        "full_since": None,
        "made_room": 0,
        "token": False,
        "datagrams_dropped": 0,
        "dialled": [],
        **facts,
    }


@pytest.mark.parametrize("width", [80, 100, 149, 150, 200])
def test_one_row_a_recording_of_whole_words(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    some = [described(number) for number in range(20)]
    print_table(*table.fitted(some, width))
    shown = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(shown) == 21
    assert max(map(len, shown)) <= width
    for one, row in zip(some, shown[1:]):
        assert row.split()[:2] == [one["name"], "recording"]
        for text in ("1234567", "941.9 MiB", "2 h ago"):
            assert f" {text} " in row
        assert ("/file.log" in row, "/home/" in row) == (True, True)
        assert "\x1b" not in row
    assert ("senders" in shown[0], "last line" in shown[0]) == (width >= 100, width >= 150)


def test_what_is_cut_loses_its_middle() -> None:
    assert table.cut("abcdefghij", 10) == "abcdefghij"
    assert table.cut("abcdefghijk", 10) == "abc..ghijk"
    assert table.cut("\x1b", 10) == r"\x1b"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7199, "1 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert table.ago(seconds) == said


def test_what_the_states_word_does_not_say_is_a_sentence() -> None:
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
    ]
    assert list(table.remarks(some)) == [
        "tremplin-jump-55501: paused: No space left on device",
        "tremplin-jump-55502: recording, full since 2026-11-26T10:00:00.000Z",
        "tremplin-jump-55503: recording, 1 datagram dropped, 2 silent ones made room, "
        "asks for a token: 7 strangers refused, "
        "lamp not connected since 2026-11-26T10:00:00.000Z (refused)",
    ]
    rows = table.everything(some)
    assert [row[1] for row in rows[1:]] == [said.partition(": ")[2] for said in table.remarks(some)]
