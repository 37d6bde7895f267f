"""Strangers: let in once they have shown that they may send, bounded, and never a byte of them anywhere."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

import pytest
from intake_bench import Bench

from reclog.engine.intake.gate import ROOM_AGAIN
from reclog.engine.intake.roster import Limits
from reclog.engine.intake.strangers import EACH, GRACE, LONGEST
from reclog.engine.intake.token import Token
from reclog.engine.streams.plain import Plain
from reclog.engine.system.address import parse_network

SAID = b"k7pw-m3xq-9hd"
TOKEN = Token.of(SAID.decode())


def refused(bench: Bench) -> list[str]:
    return [event["why"] for event in bench.events("refused")]


def gone(sock: socket.socket) -> bool:
    try:
        while sock.recv(65536):
            pass  # an answer
        return True
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("apart", [[], [3], [13], [14], range(1, 30)])
def test_what_follows_the_token_is_recorded_and_nothing_else(
    bench: Bench, apart: list[int], end: bytes
) -> None:
    intake = bench.serve(token=TOKEN)
    sender = bench.queue.comes("192.0.2.1")
    text = SAID + end + b"\r\nfirst\nsecond\n"
    for start, stop in zip([0, *apart], [*apart, len(text)]):
        sender.send(text[start:stop])
        bench.settle()
    bench.until_stored(b"\r\nfirst\nsecond\n")
    assert intake.roster.connects == 1
    assert not refused(bench)


def test_a_sender_of_one_line_never_is_a_stranger(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, strangers=2, partial_after=60)
    waiting = bench.queue.comes("192.0.2.9")
    bench.settle()
    for number in range(50):
        with bench.queue.comes("192.0.2.1") as sender:
            sender.send(SAID + b"\nline %d\n" % number)
    bench.until_stored(b"".join(b"line %d\n" % number for number in range(50)))
    assert not gone(waiting)
    assert (intake.senders, intake.roster.connects) == (0, 50)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"hello\n", "wrong token"),
        (SAID + b"x\n", "wrong token"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "speaks HTTP: "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), "speaks TLS: "),
        (b"\0" * 100_000, "wrong token"),
        (b"\n", "wrong token"),
        (b"", "said no token"),
        (SAID, "said no token"),
        (SAID + b"\r", "said no token"),
    ],
)
@pytest.mark.parametrize("closes", [False, True])
def test_nothing_of_a_stranger_is_kept(bench: Bench, said: bytes, why: str, closes: bool) -> None:
    intake = bench.serve(token=TOKEN, partial_after=0.1)
    stranger = bench.queue.comes("192.0.2.7", "192.0.2.7:4")
    stranger.send(said)
    if closes:
        stranger.close()
    bench.later(LONGEST + 1)
    assert closes or gone(stranger)
    (event,) = bench.events("refused")
    assert event["sender"] == "192.0.2.7:4"
    assert event["why"].startswith(why)
    assert (intake.roster.refused, intake.roster.connects, intake.senders) == (1, 0, 0)
    assert (bench.store.texts, bench.store.batch.queued, intake.splits) == ([], 0, 0)
    assert not bench.events("connect")


def test_a_stranger_has_its_time_whatever_it_drips(bench: Bench) -> None:
    bench.serve(token=TOKEN)
    stranger = bench.queue.comes("192.0.2.7")
    for byte in SAID[:9]:
        stranger.send(bytes([byte]))
        bench.later(LONGEST / 10)
        assert not gone(stranger)
    bench.later(LONGEST / 10)
    assert gone(stranger)
    assert refused(bench) == ["said no token"]


def test_the_oldest_of_an_address_makes_room(bench: Bench) -> None:
    bench.serve(token=TOKEN)
    other = bench.queue.comes("2001:db8:1::1")
    strangers = [bench.queue.comes(f"2001:db8::{number:x}") for number in range(EACH)]
    bench.later(GRACE)
    strangers += [bench.queue.comes("2001:db8::ffff") for _ in range(3)]
    bench.settle()
    assert [gone(one) for one in strangers] == [True] * 3 + [False] * EACH
    assert not gone(other)
    assert refused(bench) == ["said no token, and its place was needed"] * 3


def test_one_that_shows_it_in_the_moment_in_which_it_is_to_make_room_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = bench.serve(token=TOKEN)
    strangers = [bench.queue.comes(f"2001:db8::{number:x}") for number in range(EACH)]
    bench.later(GRACE)
    said: list[int] = []

    def look(stream: Plain) -> int:
        if not said:  # the oldest is looked at, and speaks right after that
            said.append(strangers[0].send(SAID + b"\nin that moment\n"))
        return 0

    monkeypatch.setattr(Plain, "unread", look)
    bench.queue.comes("2001:db8::ffff")
    bench.until_stored(b"in that moment\n")
    strangers[0].send(b"and later\n")
    bench.until_stored(b"in that moment\nand later\n")
    assert not gone(strangers[0])
    assert intake.roster.connects == 1
    assert not bench.events("disconnect")


def test_the_oldest_of_all_makes_room(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, strangers=20)
    strangers = [bench.queue.comes(f"192.0.2.{number}") for number in range(20)]
    bench.later(GRACE)
    strangers += [bench.queue.comes(f"198.51.100.{number}") for number in range(3)]
    bench.settle()
    assert [gone(one) for one in strangers] == [True] * 3 + [False] * 20
    assert not intake.gate.full


def test_time_gets_short_with_places(bench: Bench) -> None:
    bench.serve(token=TOKEN, strangers=20)
    first = [bench.queue.comes(f"192.0.2.{number}") for number in range(9)]
    bench.later(LONGEST / 2)
    assert not any(map(gone, first))
    more = [bench.queue.comes(f"198.51.100.{number}") for number in range(9)]
    bench.later(0)
    assert all(map(gone, first))
    assert not any(map(gone, more))
    bench.later(LONGEST / 2)
    assert not any(map(gone, more))
    bench.later(LONGEST / 2)
    assert all(map(gone, more))
    assert refused(bench) == ["said no token"] * 18


def test_a_burst_is_served_though_each_says_it_a_moment_later(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, strangers=20)
    coming = [bench.queue.comes("192.0.2.1") for _ in range(100)]
    while coming:
        bench.settle()
        here = len(coming) - bench.queue.waiting
        come, coming = coming[:here], coming[here:]
        assert 0 < len(come) <= 20
        for sender in come:
            sender.send(SAID + b"\nline\n")
        bench.later(ROOM_AGAIN)
    bench.until_stored(b"line\n" * 100)
    assert not refused(bench)
    assert intake.roster.connects == 100


def test_who_is_not_allowed_is_not_heard(bench: Bench) -> None:
    bench.serve(token=TOKEN, allow=[parse_network("192.0.2.0/24")])
    bench.queue.comes("198.51.100.1").send(SAID + b"\nnot allowed\n")
    bench.queue.comes("192.0.2.1").send(SAID + b"\nallowed\n")
    silent = bench.queue.comes("198.51.100.1")
    bench.until_stored(b"allowed\n")
    bench.settle()
    assert gone(silent)
    assert refused(bench) == ["its address is not allowed (--allow)"] * 2


def test_strangers_take_no_place_of_senders(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, senders=2)
    strangers = [bench.queue.comes(f"192.0.2.{number}") for number in range(10)]
    senders = [bench.queue.comes("198.51.100.1") for _ in range(2)]
    for sender in senders:
        sender.send(SAID + b"\n")
    bench.until(lambda: intake.senders == 2)
    assert intake.gate.full
    strangers[0].send(SAID + b"\nno place\n")
    strangers[1].send(b"nonsense\n")
    bench.settle()
    assert (intake.senders, bench.store.text, refused(bench)) == (2, b"", [])
    senders[0].close()
    bench.until_stored(b"no place\n")
    bench.later(0)
    assert refused(bench) == ["wrong token"] or intake.gate.full
    strangers[0].close()
    bench.until(lambda: intake.roster.refused == 1)
    assert refused(bench) == ["wrong token"]


def test_places_are_kept_while_strangers_crowd(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, senders=1, strangers=2)
    first, _ = bench.queue.comes("192.0.2.1"), bench.queue.comes("192.0.2.2")
    bench.settle()
    assert intake.gate.full
    first.send(SAID + b"\n")
    bench.until(lambda: intake.senders == 1)
    bench.queue.comes("192.0.2.3").send(SAID + b"\n")
    bench.later(ROOM_AGAIN)
    assert (intake.senders, bench.queue.waiting) == (1, 1)


def test_a_silent_sender_makes_room_for_one_who_has_shown_that_it_may_send(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, senders=1)
    late = bench.queue.comes("192.0.2.2")
    bench.settle()
    silent = bench.queue.comes("192.0.2.1")
    silent.send(SAID + b"\n")
    bench.until(lambda: intake.senders == 1)
    late.send(SAID + b"\nhere\n")
    for _ in range(14):
        bench.later(1)
    assert bench.store.text == b"here\n"
    assert gone(silent)


def test_strangers_are_not_heard_while_the_store_takes_nothing(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN)
    sender, proven, begun, late = (bench.queue.comes("192.0.2.1") for _ in range(4))
    bench.store.full = True
    sender.send(SAID + b"\nfirst\n")
    bench.until(lambda: intake.paused)
    proven.send(SAID + b"\nwaits like any sender\n")
    begun.send(SAID)
    bench.later(LONGEST + 1)
    assert gone(late)
    assert not gone(proven)
    assert intake.senders == 1
    bench.store.full = False
    bench.later(1)
    bench.until_stored(b"first\nwaits like any sender\n")
    begun.send(b"\nits time began anew\n")
    bench.until_stored(b"first\nwaits like any sender\nits time began anew\n")
    assert refused(bench) == ["said no token"]


def test_a_stop_takes_in_who_has_said_it_and_no_one_else(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, partial_after=60)
    listener, port = bench.listen()
    here = [bench.connect(port) for _ in range(3)]
    bench.settle()
    listener.refuse_newcomers()
    waiting = [bench.queue.comes("192.0.2.1") for _ in range(3)]
    for senders in (here, waiting):
        senders[0].send(SAID + b"\nlast words")
        senders[1].send(b"a stranger's\n")
        senders[2].send(SAID[:5])
    assert intake.drain(bench.queue, bench.soon())
    assert intake.drain_senders(bench.soon())
    assert intake.hand_on_all(bench.soon())
    assert intake.left_behind() == (0, 0)
    assert bench.store.text == b"last words" * 2
    assert sorted(refused(bench)) == ["said no token"] * 2 + ["wrong token"] * 2


class Late(Plain):
    """A stream to which what was said last comes just before it is made to accept no more."""

    says: Callable[[], object]

    def refuse(self) -> bool:
        self.says()
        return super().refuse()


def test_a_stop_hears_what_was_accepted_until_then(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, partial_after=60)
    sender = bench.queue.comes("192.0.2.1", stream=Late)
    Late.says = staticmethod(lambda: sender.send(SAID + b"\nlast words\n"))
    bench.settle()
    assert intake.drain_senders(bench.soon())
    assert bench.store.text.startswith(b"last words\n")


def test_a_token_that_is_asked_for_anew_is_asked_of_all(bench: Bench) -> None:
    intake = bench.serve()
    connected = bench.queue.comes("192.0.2.1")
    connected.send(b"accepted\n")
    bench.until_stored(b"accepted\n")
    intake.adopt(Limits(token=TOKEN))
    bench.until(lambda: intake.senders == 0)
    (left,) = bench.events("disconnect")
    assert left["why"] == "a token is asked for that it has not said (--token)"
    stays, stranger = bench.queue.comes("192.0.2.1"), bench.queue.comes("192.0.2.1")
    stays.send(SAID + b"\n")
    bench.until(lambda: intake.senders == 1)
    intake.adopt(Limits(token=TOKEN, stamp=True))
    bench.settle()
    assert not gone(stays)
    assert not gone(stranger)
    intake.adopt(Limits())
    bench.settle()
    assert not gone(stays)
    assert gone(stranger)
    bench.queue.comes("192.0.2.1").send(b"anybody\n")
    bench.until_stored(b"accepted\nanybody\n")


@pytest.mark.parametrize("token", [None, Token.of("another-token")])
def test_who_has_said_it_as_another_is_asked_for_is_recorded(bench: Bench, token: Token | None) -> None:
    intake = bench.serve(token=TOKEN)
    stranger = bench.queue.comes("192.0.2.1")
    bench.settle()
    stranger.send(SAID + b"\nsaid before\n")
    intake.adopt(Limits(token=token))
    bench.until_stored(b"said before\n")
    bench.settle()
    assert gone(stranger) == (token is not None)
    assert not refused(bench)


class Shaking(Plain):
    """A stream whose handshake is one byte of its sender's."""

    shaking = True

    def receive_into(self, room: memoryview) -> int:
        if self.shaking:
            if not super().receive_into(memoryview(bytearray(1))):
                raise ConnectionResetError(errno.ECONNRESET, "no handshake")
            self.shaking = False
        return super().receive_into(room) if room else 0


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_handshake_comes_before_the_token(bench: Bench, token: Token | None) -> None:
    intake = bench.serve(token=token)
    senders = [bench.queue.comes("192.0.2.1", stream=Shaking) for _ in range(3)]
    senders[0].send(b"!")
    bench.settle()
    assert intake.senders == int(token is None)
    senders[0].send((SAID + b"\n" if token else b"") + b"line\n")
    bench.until_stored(b"line\n")
    senders[1].close()
    bench.later(LONGEST)
    assert gone(senders[2])
    assert sorted(refused(bench)) == ["made no handshake", "no handshake"]
    assert intake.senders == 1


class Busy(Shaking):
    """A stream whose handshake waits for its turn."""

    def receive_into(self, room: memoryview) -> int:
        raise BlockingIOError


def test_who_waits_for_us_makes_no_room(bench: Bench) -> None:
    intake = bench.serve(strangers=2)
    strangers = [bench.queue.comes("192.0.2.1", stream=Busy) for _ in range(2)]
    for one in strangers:
        one.send(b"hello")
    bench.later(GRACE)
    bench.queue.comes("192.0.2.2", stream=Shaking)
    bench.settle()
    assert not any(map(gone, strangers))
    assert intake.gate.full


def test_few_descriptors_are_shared(bench: Bench) -> None:
    intake = bench.serve(token=TOKEN, strangers=1)
    bench.queue.fails(errno.EMFILE)
    stranger = bench.queue.comes("192.0.2.1")
    bench.settle()
    assert intake.gate.full
    bench.later(1)
    stranger.send(SAID + b"\nline\n")
    bench.until_stored(b"line\n")
