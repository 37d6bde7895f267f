"""The token's line: recognised whole, however it comes, and not a byte behind it asked for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reclog.engine.intake.token import LEAST, MOST, Token

TEXT = "k7pw-m3xq-9hd"


def heard(token: Token, stream: bytes, *cuts: int) -> tuple[bool, bytes]:
    """Return what one that reads as it is told makes of a stream that comes in pieces, and what it leaves."""
    said, at = b"", 0
    for end in sorted({*(cut for cut in cuts if cut < len(stream)), len(stream)}):
        while at < end:
            wanted = token.wants(said)
            if not wanted:
                return token.is_in(said), stream[at:]
            said += stream[at : min(end, at + wanted)]
            at = min(end, at + wanted)
    return not token.wants(said) and token.is_in(said), stream[at:]


@given(
    st.text("abcdefghé", min_size=LEAST, max_size=60),
    st.sampled_from([b"\n", b"\r\n"]),
    st.binary(max_size=40),
    st.lists(st.integers(1, 150), max_size=6),
)
def test_a_token_is_told_from_what_follows(text: str, end: bytes, rest: bytes, cuts: list[int]) -> None:
    assert heard(Token.of(text), text.encode() + end + rest, *cuts) == (True, rest)


@given(st.binary(max_size=60), st.lists(st.integers(1, 60), max_size=6))
@example(b"", [])
@example(TEXT.encode(), [])
@example(TEXT.encode() + b"\r", [])
@example(TEXT.encode() + b" \n", [])
@example(TEXT.encode() + b"\r\r\n", [])
@example(b" " + TEXT.encode() + b"\n", [])
@example(TEXT.upper().encode() + b"\n", [])
@example(TEXT.encode() + b"x\n", [])
@example(TEXT.encode()[:-1] + b"\n", [])
@example(b"\n" + TEXT.encode() + b"\n", [])
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [])
def test_nothing_else_is_the_token(line: bytes, cuts: list[int]) -> None:
    is_token = line.partition(b"\n")[0] in (TEXT.encode(), TEXT.encode() + b"\r") and b"\n" in line
    said, rest = heard(Token.of(TEXT), line, *cuts)
    assert said is is_token
    assert len(line) - len(rest) <= len(TEXT) + 2


def test_what_is_known_of_a_token_is_a_word_without_it() -> None:
    word = Token.of(TEXT).word
    assert Token.parse(word) == Token.of(TEXT)
    assert TEXT not in word


@pytest.mark.parametrize(
    "word",
    [
        "",
        TEXT,
        f"{LEAST - 1}:{'0' * 64}",
        f"{MOST + 1}:{'0' * 64}",
        f"20:{'0' * 63}",
        f"20:{'G' * 64}",
        f"20:{'0' * 64}\n",
        f"\u0662\u0660:{'0' * 64}",
    ],
)
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match="a token's length and hash"):
        Token.parse(word)
