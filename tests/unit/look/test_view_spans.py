"""A line as pieces: colours as sent, all else escaped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclog.console import visible
from reclog.look.view.spans import MOST, SHOWN, pieces


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"", []),
        (b"plain\r", ["plain"]),
        (b"\x1b[0;31mE (12) boot\x1b[0m", [("E (12) boot", "fg1")]),
        (
            b"a\x1b[1;3;92mb\x1b[22mc\x1b[md",
            ["a", ("b", "bold fg10 italic"), ("c", "fg10 italic"), "d"],
        ),
        (b"\x1b[41;97mx\x1b[49my\x1b[39mz", [("x", "bg1 fg15"), ("y", "fg15"), "z"]),
        (b"\x1b[38;5;9mx\x1b[38;5;196my\x1b[38;2;0;0;230mz", [("x", "fg9"), ("y", "fg9"), ("z", "fg4")]),
        (b"\x1b[38;5mx\x1b[38mx\x1b[38;5;999my\x1b[999mz\x1b[;;mz", ["x", "x", "y", "z", "z"]),
        (
            b"\x1b[2J\x1b[Hup \x1b]8;;http://x\x1b\\link\x07",
            [r"\x1b[2J\x1b[Hup \x1b]8;;http://x\x1b\link\x07"],
        ),
        (b"<script>alert(1)</script>", ["<script>alert(1)</script>"]),
        (b"\xff\x00 caf\xc3\xa9", [r"\xff\x00 café"]),
        ("a\u202eb\u200bc\ufeff".encode(), [r"a\u202eb\u200bc\ufeff"]),
        (b"\x1b[" + b"1" * 65 + b"mx", [r"\x1b[" + "1" * 65 + "mx"]),
    ],
)
def test_pieces(line: bytes, shown: list[Any]) -> None:
    assert pieces(line) == (shown, 0)


def test_of_a_long_line_the_beginning_is_shown_and_whole_characters_of_it() -> None:
    shown, more = pieces(b"x" * (SHOWN - 1) + "é".encode() + b"y" * 1000)
    assert shown == ["x" * (SHOWN - 1)]
    assert more == 1002


def test_a_line_of_nothing_but_colours_is_no_end_of_pieces() -> None:
    shown, _ = pieces(b"\x1b[31mx\x1b[32my" * 5000, longest=1 << 20)
    assert len(shown) == MOST + 1


@given(st.binary(max_size=300))
def test_whatever_is_said_nothing_of_it_acts(line: bytes) -> None:
    shown, _ = pieces(line)
    for piece in shown:
        text, classes = (piece, "") if isinstance(piece, str) else piece
        assert visible(text) == text
        assert all(name.isalnum() for name in classes.split())
