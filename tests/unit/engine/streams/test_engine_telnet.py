"""Telnet's commands: refused, and no part of the text; and no byte of anything else is one."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reclog.engine.streams.piped import Piped
from reclog.engine.streams.telnet import LONGEST, Commands, Telnet

IAC, DONT, DO, WONT, WILL, SB, SE, NOP = (bytes([n]) for n in (255, 254, 253, 252, 251, 250, 240, 241))
#: As busybox telnetd begins, and in words what it has refused.
HELLO = IAC + DO + b"\x01" + IAC + DO + b"\x1f" + IAC + WILL + b"\x01" + IAC + WILL + b"\x03"
REFUSED = IAC + WONT + b"\x01" + IAC + WONT + b"\x1f" + IAC + DONT + b"\x01" + IAC + DONT + b"\x03"


def told_apart(*pieces: bytes) -> Tuple[bytes, bytes]:
    commands = Commands()
    taken = [commands.take(piece) for piece in pieces]
    return b"".join(text for text, _ in taken) + commands.rest(), b"".join(answer for _, answer in taken)


@pytest.mark.parametrize(
    ("said", "text", "answer"),
    [
        (b"plain\n", b"plain\n", b""),
        (HELLO + b"login: ", b"login: ", REFUSED),
        (HELLO + IAC + WONT + b"\x01" + IAC + DONT + b"\x03", b"", REFUSED),  # so it is: no answer
        (HELLO + IAC + SB + b"\x18\x01" + IAC + IAC + b"x" + IAC + SE + b"text", b"text", REFUSED),
        (HELLO + b"a" + IAC + NOP + b"b" + IAC + IAC + b"c", b"ab\xffc", REFUSED),
        (HELLO + b"one\r\0two\r\nthree\r", b"one\rtwo\r\nthree\r", REFUSED),
        (HELLO + b"cut" + IAC + WILL, b"cut", REFUSED),
        # No telnet: UTF-16, bytes of a binary protocol, text in Latin-1.
        (b"\xff", b"\xff", b""),
        (IAC + WILL, IAC + WILL, b""),
        (b"\xff\xfea\0", b"\xff\xfea\0", b""),
        ("ÿý wird ÿÿ\n".encode("latin-1"), "ÿý wird ÿÿ\n".encode("latin-1"), b""),
        (b"\xff\xff\xfb\x01", b"\xff\xff\xfb\x01", b""),
        (b"hello\xff\xfb\x01\r\0\n", b"hello\xff\xfb\x01\r\0\n", b""),
    ],
)
def test_commands_are_refused_and_are_no_text(said: bytes, text: bytes, answer: bytes) -> None:
    assert told_apart(said) == (text, answer)
    assert told_apart(*(said[n : n + 1] for n in range(len(said)))) == (text, answer)


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from([HELLO, IAC, b"\r", b"\0", IAC + IAC, IAC + SB + b"\x18", IAC + SE, b"text\r\n"]),
        st.just(IAC + SB + b"x" * LONGEST),
    ),
    max_size=12,
)


@given(said=PIECES, cuts=st.lists(st.integers(0, 9000), max_size=8), telnet=st.booleans())
def test_any_fragmentation_gives_the_same(said: List[bytes], cuts: List[int], telnet: bool) -> None:
    whole = (HELLO if telnet else b"") + b"".join(said)
    at = sorted({0, *(cut % (len(whole) + 1) for cut in cuts), len(whole)})
    pieces = [whole[at[n] : at[n + 1]] for n in range(len(at) - 1)]
    assert told_apart(*pieces) == told_apart(whole)
    if not whole.startswith(IAC):
        assert told_apart(whole) == (whole, b"")


def test_what_never_ends_is_no_command() -> None:
    endless = IAC + SB + b"\x18" + b"x" * LONGEST
    assert told_apart(HELLO + endless + b"\nmore" + IAC + NOP) == (endless + b"\nmore" + IAC + NOP, REFUSED)


def test_a_connection_answers_and_gives_text_alone() -> None:
    ours, theirs = socket.socketpair()
    why: List[str] = []
    stream = Telnet(ours, why.append)
    room = memoryview(bytearray(4))
    with theirs:
        theirs.sendall(HELLO)
        with pytest.raises(BlockingIOError):
            stream.receive_into(room)
        assert theirs.recv(100) == REFUSED
        theirs.sendall(b"login: ")
        assert (stream.receive_into(room), bytes(room), stream.unread()) == (4, b"logi", 3)
        assert (stream.receive_into(room), bytes(room[:3])) == (3, b"n: ")
        theirs.sendall(IAC + SB + b"x" * LONGEST)
        received = b""
        while len(received) < LONGEST + 2:
            count = stream.receive_into(room)
            received += room[:count]
            assert stream.holds or stream.unread() or len(received) == LONGEST + 2
        assert received == IAC + SB + b"x" * LONGEST
    assert stream.receive_into(room) == 0
    stream.close()
    assert why == ["it closed the connection"]


@pytest.mark.parametrize(("said", "held"), [(HELLO + b"a\r", b"\r"), (IAC, IAC)])
def test_what_is_held_back_is_text_where_nothing_follows(said: bytes, held: bytes) -> None:
    ours, theirs = socket.socketpair()
    stream = Telnet(ours, lambda why: None)
    room = memoryview(bytearray(100))
    with theirs:
        theirs.sendall(said)
        received = b""
        for refused in (False, True):
            if refused:
                assert not received.endswith(held)
                stream.refuse()
            with contextlib.suppress(BlockingIOError):
                while True:
                    received += room[: stream.receive_into(room)]
        assert received.endswith(held)
    stream.close()


def test_a_pipe_gives_its_bytes_and_its_end() -> None:
    reading, writing = os.pipe()
    closed: List[bool] = []
    stream = Piped(reading, lambda: closed.append(True))
    room = memoryview(bytearray(4))
    with pytest.raises(BlockingIOError):
        stream.receive_into(room)
    os.write(writing, b"hello")
    assert (stream.unread(), stream.receive_into(room), bytes(room)) == (5, 4, b"hell")
    assert not stream.refuse()
    os.close(writing)
    assert (stream.receive_into(room), stream.receive_into(room)) == (1, 0)
    stream.close()
    assert closed == [True]
