from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reclog.engine.lines import LineAssembler

# Few byte values besides all of them: newlines must be frequent to matter.
CHUNK = st.one_of(
    st.binary(max_size=40), st.lists(st.sampled_from([10, 13, 0, 97, 255]), max_size=12).map(bytes)
)
CHUNKS = st.lists(CHUNK, max_size=30)


@settings(deadline=None, derandomize=True, database=None, max_examples=250)
@given(CHUNKS)
@example([bytes(range(256)), bytes(range(255, -1, -1))])
@example([b"a", b"", b"b", b"\n"])
def test_nothing_is_lost_or_changed_however_the_bytes_are_cut(chunks: list[bytes]) -> None:
    assembler = LineAssembler()
    fed = b""
    came = b""
    for chunk in chunks:
        whole = assembler.feed(chunk)
        fed += chunk
        came += whole
        assert whole == b"" or whole.endswith(b"\n")
        # All that can be handed on is: what is held has no newline in it.
        assert came == fed[: fed.rfind(b"\n") + 1]
        assert assembler.pending == len(fed) - len(came)
    assert came + assembler.take() == fed
    assert assembler.pending == 0


@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_every_cut_of_one_text_gives_the_same_lines(text: bytes, cuts: list[int]) -> None:
    assembler = LineAssembler()
    places = sorted(min(cut, len(text)) for cut in cuts)
    came = [assembler.feed(text[start:end]) for start, end in zip([0, *places], [*places, len(text)])]
    end = text.rfind(b"\n") + 1
    assert b"".join(came) == text[:end]
    assert assembler.take() == text[end:]


@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(st.lists(st.one_of(CHUNK, st.none()), max_size=30))
def test_taking_at_any_time_keeps_the_order(steps: list[bytes | None]) -> None:
    assembler = LineAssembler()
    came = b""
    for step in steps:
        came += assembler.take() if step is None else assembler.feed(step)
    assert came + assembler.take() == b"".join(step for step in steps if step is not None)


def test_a_line_byte_by_byte_comes_whole() -> None:
    assembler = LineAssembler()
    text = bytes(value for value in range(256) if value != 10) + b"\r\n"
    came = [assembler.feed(bytes([value])) for value in text]
    assert came[:-1] == [b""] * (len(text) - 1)
    assert came[-1] == text


def test_the_fed_buffer_is_not_kept() -> None:
    assembler = LineAssembler()
    assembler.feed(b"held ")
    assembler.feed(b"more ")
    taken = assembler.take()
    assembler.feed(b"next")
    assert taken == b"held more "
    assert isinstance(taken, bytes)
    assert assembler.take() == b"next"


def test_taking_from_nothing_gives_nothing() -> None:
    assembler = LineAssembler()
    assert assembler.take() == b""
    assert assembler.feed(b"") == b""
    assert assembler.pending == 0
