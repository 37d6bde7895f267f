"""Any stream, in any pieces, against a slow and obvious reading of it; and text that is only text."""

from __future__ import annotations

import base64
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import dialects
import pytest
from dialects import SYNTAX, Reader, as_lines, read, told
from hypothesis import given
from hypothesis import strategies as st
from intake_bench import Bench, Pairs
from properties import examples

from reclog.engine.intake import framing
from reclog.engine.intake.binary import NoText
from reclog.engine.intake.framing import DIALLED, FRAMINGS, LINES, EndsInNul

STREAM = st.lists(st.one_of(st.sampled_from(SYNTAX), st.binary(max_size=3)), max_size=14).map(b"".join)
CUTS = st.lists(st.integers(0, 12), max_size=20)


def cut_up(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    return [*pieces, stream]


@examples(600)
@given(stream=STREAM, sizes=CUTS)
def test_any_stream_is_the_same_lines_in_any_pieces(stream: bytes, sizes: list[int]) -> None:
    assert read(cut_up(stream, sizes)).lines == as_lines(stream)


@examples(300)
@given(messages=st.lists(st.binary(max_size=9).map(lambda text: b"<13>" + text), min_size=1), sizes=CUTS)
def test_counted_messages_are_what_they_were(messages: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(b"%d %b" % (len(message), message) for message in messages)
    expected = b"".join(message if message.endswith(b"\n") else message + b"\n" for message in messages)
    assert read(cut_up(stream, sizes)).lines == expected == as_lines(stream)


@examples(300)
@given(
    texts=st.lists(st.text("ab\n", max_size=9), min_size=1),
    begin=st.sampled_from([b"<13>", b'{"']),
    sizes=CUTS,
)
def test_messages_that_end_in_a_nul_are_what_they_were(
    texts: list[str], begin: bytes, sizes: list[int]
) -> None:
    messages = [begin + text.encode() for text in texts]
    stream = b"".join(message + b"\0" for message in messages)
    expected = b"".join(message if message.endswith(b"\n") else message + b"\n" for message in messages)
    assert read(cut_up(stream, sizes)).lines == expected == as_lines(stream)


@examples(60)
@given(
    streams=st.lists(st.lists(st.sampled_from(SYNTAX), min_size=1, max_size=8), min_size=2, max_size=3),
    order=st.lists(st.integers(0, 2), max_size=30),
)
def test_senders_side_by_side_are_each_what_they_are_alone(
    streams: list[list[bytes]], order: list[int]
) -> None:
    bench = Bench()
    bench.queue = Pairs(DIALLED["auto"])
    intake = bench.serve(partial_after=60)
    senders = [bench.queue.comes() for _ in streams]
    rest = [list(pieces) for pieces in streams]
    for who in [*order, *(who for who, pieces in enumerate(streams) for _ in pieces)]:
        if who < len(rest) and rest[who]:
            senders[who].send(rest[who].pop(0))
            bench.settle()
    assert intake.drain_senders(bench.soon())
    said = bench.store.by_sender()
    assert [said.get(who + 1, b"") for who in range(len(streams))] == [
        as_lines(b"".join(pieces)) for pieces in streams
    ]
    bench.queue.close()
    bench.close()


@pytest.mark.parametrize("bound", [40, 64])
def test_what_is_too_long_to_be_held_is_lines_in_any_pieces(
    bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "_TOLD_WITHIN", bound)
    told(b"<13>" + b"x" * (bound - 5) + b"\0<13>y\0", b"<13>" + b"x" * (bound - 5) + b"\n<13>y\n")
    late = b"<13>" + b"x" * (bound - 4) + b"\0<13>y\0"
    told(late, late)
    reader = Reader(DIALLED["auto"]())
    reader.hears(late[:bound])
    assert reader.framing is LINES  # and no more is held


# -- what is no frame ---------------------------------------------------------------------------

#: Bytes of one file, and line starts in all, that are tried.
EACH, STARTS = 30_000, 150_000


def texts() -> Iterator[bytes]:
    """Yield what stands in files of this machine, and what programs print."""
    shuffled = random.Random(0)
    yield base64.encodebytes(shuffled.randbytes(30_000))
    yield b"".join(b"%d,%d;%d %d\n" % (n, n * n, n % 7, n) for n in range(2000))
    yield b"".join(b"%d <%d> is no %b\n" % (n, n, b"frame" * 60) for n in range(1, 300))
    yield (
        b"x.c:1:5: error: expected ';' before '}' token\n    1 | int x{\n      |     ^\n12 | {\n{ not json\n"
        * 50
    )
    here = str(Path(__file__).resolve().parents[1])
    for files in zip(*(files_below(root) for root in ("/usr/share", "/usr/lib/python3", here, "/var/log"))):
        for path in files:
            try:
                with open(path, "rb") as file:
                    yield file.read(EACH)
            except OSError:
                continue


def files_below(root: str) -> Iterator[str]:
    """Yield files of a folder and of those in it, again and again."""
    while True:
        yield root  # a folder can't be read
        for folder, _, names in os.walk(root):
            if folder.endswith("__pycache__"):
                continue  # no text, and these tests' own frames are in it
            yield from (
                os.path.join(folder, name) for name in names if not os.path.islink(os.path.join(folder, name))
            )


def test_no_line_of_real_text_begins_a_frame_or_what_is_no_text() -> None:
    tried = odd = 0
    for text in texts():
        for start in re.finditer(rb"(?m)^(?=.)", text):
            tried += 1
            begin = start.start()
            if text[begin] not in framing._LOOKS:
                continue
            odd += 1
            found = FRAMINGS["auto"]().settle(text, begin, min(begin + 1500, len(text)), True)
            # What may end in a NUL, and does not, is none of either.
            assert found is LINES or isinstance(found, EndsInNul), text[begin:][:100]
        if tried > STARTS:
            break
    assert odd > 1000


def test_nothing_is_refused_that_is_dialled() -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\n"
    assert isinstance(read([hello], refuses=True).refused, NoText)
    assert read([hello]).lines == hello


def test_the_reference_tells_what_it_should() -> None:
    for stream, lines in {
        b"5 <1>ab9 <13>12345": b"<1>ab\n<13>12345\n",
        b"5 <1>ab": b"<1>ab\n",
        b"5 <1>a": b"5 <1>a",
        b"5 <1>ab\n5 <1>ab\n": b"5 <1>ab\n5 <1>ab\n",
        b"5 <1>ab12 lines": b"5 <1>ab12 lines",
        b"5 apples\n": b"5 apples\n",
        b"12 <not a pri>\n": b"12 <not a pri>\n",
        b"<1>a\nb\0<1>c\n\0": b"<1>a\nb\n<1>c\n",
        b"<1>a\n<1>b\0\n": b"<1>a\n<1>b\0\n",
        b'{"a":1}\0{"b":\n2}\0': b'{"a":1}\n{"b":\n2}\n',
        b'{"a":1}\n{"b":2}\n\0': b'{"a":1}\n{"b":2}\n\0',
        b"{ not json\0": b"{ not json\0",
        b"a\0b": b"a\0b",
        b"\0": b"\0",
    }.items():
        assert dialects.as_lines(stream) == lines
        told(stream, lines)
