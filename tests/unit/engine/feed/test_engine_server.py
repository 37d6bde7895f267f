from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from relay_end import SECRET, Caller, RelayEnd
from scripted import Clock

from reclog.engine.feed import handshake
from reclog.engine.feed import protocol as frames
from reclog.engine.feed import server as module
from reclog.engine.feed.owner import Owner
from reclog.engine.feed.protocol import ACK, BEAT, DATA, JUMP, LAST, RUNS, STOP
from reclog.engine.feed.server import STRANGERS
from reclog.engine.stores.index.packet import unpack
from reclog.engine.stores.mark import RESERVE
from reclog.engine.system.loop import Loop


class Bench(RelayEnd):
    """A relay's end whose time a test moves."""

    def __init__(self, loop: Loop, folder: Path) -> None:
        self.clock = loop.now = Clock()
        super().__init__(str(folder), loop)

    @property
    def saved_owner(self) -> str:
        return Owner(self.owner._path, self.say).name

    def owner_client(self, name: str = "me", **hello: Any) -> Caller:
        client = self.connect()
        client.shake_hands(name, **hello)
        return client


@pytest.fixture
def bench(loop: Loop, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(loop, tmp_path / "spool")
    yield bench
    bench.close()


def test_the_owner_gets_the_spool_and_what_comes(bench: Bench) -> None:
    bench.write(b"before\n")
    client = bench.owner_client(spool=None, offset=0)
    assert client.answer == {"spool": bench.spool.id, "offset": 0, "end": 7, "known": False}
    client.until(lambda: client.data() == b"before\n")
    bench.write(b"after\n")
    client.until(lambda: client.data() == b"before\nafter\n")
    assert bench.saved_owner == "me"
    assert bench.feed.connected


@pytest.mark.parametrize("offset", [0, 3, 7])
def test_a_known_collector_goes_on_at_its_offset(bench: Bench, offset: int) -> None:
    bench.write(b"before\n")
    client = bench.owner_client(spool=bench.spool.id, offset=offset)
    bench.write(b"after\n")
    client.until(lambda: client.data() == b"before\nafter\n"[offset:])
    assert client.frames()[0].offset == offset


@pytest.mark.parametrize("hello", [{"spool": "another", "offset": 3}, {"offset": 99}, {"offset": -1}])
def test_a_collector_of_another_spool_gets_what_nobody_took(bench: Bench, hello: dict[str, Any]) -> None:
    bench.write(b"taken\nwaiting\n")
    bench.spool.ack(6)
    client = bench.owner_client(**{"spool": bench.spool.id, **hello})
    assert (client.answer["known"], client.answer["offset"]) == (False, 6)
    client.until(lambda: client.data() == b"waiting\n")


def test_large_backlogs_come_in_order_and_whole(bench: Bench) -> None:
    text = b"".join(b"%09d\n" % number for number in range(90_000))
    bench.write(text)
    client = bench.owner_client()
    client.until(lambda: len(client.data()) >= len(text))
    assert client.data() == text
    offset = 0
    for frame in [frame for frame in client.frames() if frame.kind == DATA]:
        assert frame.offset == offset
        offset += len(frame.payload)


def test_a_jump_is_told(bench: Bench) -> None:
    bench.write(b"before the cut\n")
    bench.spool.end += RESERVE
    bench.spool._open_segment(anew=True)
    bench.write(b"after\n")
    client = bench.owner_client()
    client.until(lambda: client.data() == b"before the cut\nafter\n")
    kinds = [frame.kind for frame in client.frames() if frame.kind != BEAT]
    assert kinds == [DATA, JUMP, DATA]
    jump = client.frames()[[frame.kind for frame in client.frames()].index(JUMP)]
    assert (jump.json()["from"], jump.offset) == (15, 15 + RESERVE)


def test_beats_come_while_nothing_else_does(bench: Bench) -> None:
    client = bench.owner_client()
    for count in (1, 2, 3):
        bench.clock.time += module.BEAT_EVERY
        client.until(lambda count=count: [frame.kind for frame in client.frames()].count(BEAT) == count)  # type: ignore[misc]
    assert client.frames()[-1].json() == {"lines": 0}


# -- strangers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        b"\n",
        b'{"collector": "me", "spool": null, "offset": 0}\n',
        b"0" * 32 + b" " + b"0" * 64 + b'\n{"collector": "me"}\n',
        b"\xff" * 40 + b"\n",
        b"x" * 5000,
        frames.encode(STOP, 0) + b"\n",
        frames.encode(ACK, 10) + b"\n",
    ],
)
def test_a_stranger_gets_a_greeting_and_no_more(bench: Bench, words: bytes) -> None:
    bench.write(b"private\n")
    client = bench.connect()
    handshake.read_greeting(client.line())
    client.sock.sendall(words)
    client.until(lambda: client.closed)
    assert client.heard == b""
    assert (bench.stops, bench.spool.acked, bench.owner.name) == (0, 0, "")


def test_who_knows_another_secret_gets_no_proof(bench: Bench) -> None:
    client = bench.connect()
    nonce = handshake.read_greeting(client.line())
    client.sock.sendall(handshake.answer("0f" * 32, nonce, handshake.nonce()))
    client.until(lambda: client.closed)
    assert client.heard == b""


def test_an_answer_heard_elsewhere_is_worth_nothing(bench: Bench) -> None:
    first = bench.connect()
    answer = handshake.answer(SECRET, handshake.read_greeting(first.line()), handshake.nonce())
    second = bench.connect()
    second.line()
    second.sock.sendall(answer)
    second.until(lambda: second.closed)
    assert second.heard == b""


def test_who_says_nothing_is_closed_in_time(bench: Bench) -> None:
    silent, half, proved, owner = bench.connect(), bench.connect(), bench.connect(), bench.owner_client()
    half.sock.sendall(b"0123")
    proved.prove()
    for client in (silent, half, proved):
        assert not client.closed
    bench.clock.time += handshake.HANDSHAKE_WITHIN + 0.1
    for client in (silent, half, proved):
        client.until(lambda client=client: client.closed)  # type: ignore[misc]
    bench.write(b"line\n")
    owner.until(lambda: owner.data() == b"line\n")


def test_the_oldest_stranger_makes_room(bench: Bench) -> None:
    strangers = [bench.connect() for _ in range(STRANGERS)]
    for stranger in strangers:
        stranger.line()
    assert not any(stranger.closed for stranger in strangers)
    owner = bench.connect()
    owner.prove()
    strangers[0].until(lambda: strangers[0].closed)
    for _ in range(3 * STRANGERS):
        bench.connect().line()
    assert len(bench.feed._strangers) == STRANGERS
    # It has proved to know the secret, so no crowd takes its place from it.
    owner.sock.sendall(b'{"collector": "me"}\n')
    assert json.loads(owner.line())["offset"] == 0
    bench.write(b"line\n")
    owner.until(lambda: owner.data() == b"line\n")


@pytest.mark.parametrize("words", [b"[]\n", b"not json\n", b"{}\n", b'{"collector": "me", "offset": "x"}\n'])
def test_words_without_sense_end_the_connection_alone(bench: Bench, words: bytes) -> None:
    client = bench.connect()
    client.prove()
    client.sock.sendall(words)
    client.until(lambda: client.closed)
    assert bench.owner_client().answer["offset"] == 0


def test_who_leaves_inside_the_handshake_harms_nobody(bench: Bench) -> None:
    client = bench.connect()
    nonce = handshake.read_greeting(client.line())
    client.sock.sendall(handshake.answer(SECRET, nonce, handshake.nonce()) + b'{"collector": "me"}\n')
    client.break_off()
    bench.until(lambda: not bench.feed._strangers)
    owner = bench.owner_client()
    bench.write(b"line\n")
    owner.until(lambda: owner.data() == b"line\n")


def test_who_is_gone_when_it_is_answered_is_not_served(bench: Bench) -> None:
    client = bench.connect()
    client.prove()
    peer = bench.feed._strangers[0]
    real = peer.sock

    class Broken:
        def sendmsg(self, pieces: list[bytes]) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return real.fileno()

        def close(self) -> None:
            real.close()

    peer.sock = Broken()  # type: ignore[assignment]
    peer._take(b'{"collector": "me"}\n')
    assert not bench.feed.connected
    assert bench.owner_client().answer["offset"] == 0


# -- the owner -------------------------------------------------------------------------------------------


def test_the_owner_replaces_itself_at_once(bench: Bench) -> None:
    first = bench.owner_client()
    second = bench.owner_client()
    first.until(lambda: first.closed)
    bench.write(b"line\n")
    second.until(lambda: second.data() == b"line\n")
    assert "collector replaced" in bench.events
    assert bench.saved_owner == "me"


def test_another_collector_is_refused_by_name(bench: Bench) -> None:
    owner = bench.owner_client()
    bench.owner.since = "today"
    other = bench.owner_client("other")
    assert other.answer == {"refused": "owner", "owner": "me", "since": "today"}
    other.until(lambda: other.closed)
    bench.write(b"line\n")
    owner.until(lambda: owner.data() == b"line\n")
    assert bench.owner.name == "me"


def test_an_owner_who_is_away_keeps_its_spool(bench: Bench) -> None:
    bench.owner_client().break_off()
    bench.until(lambda: not bench.feed.connected)
    assert bench.owner_client("other").answer["refused"] == "owner"


def test_another_collector_may_take_over(bench: Bench) -> None:
    owner = bench.owner_client()
    other = bench.owner_client("other", take_over=True)
    owner.until(lambda: owner.closed)
    bench.write(b"line\n")
    other.until(lambda: other.data() == b"line\n")
    assert bench.saved_owner == "other"
    assert bench.owner_client("me").answer["owner"] == "other"


def test_a_take_over_from_a_broken_connection(bench: Bench) -> None:
    bench.write(b"x" * 100_000 + b"\n")
    bench.owner_client().break_off()  # not seen yet by the feed
    other = bench.owner_client("other", take_over=True)
    other.until(lambda: len(other.data()) == 100_001)


def test_acks_of_one_who_was_replaced_count_no_more(bench: Bench) -> None:
    bench.write(b"line\n")
    first = bench.owner_client()
    bench.owner_client()
    try:
        first.send(ACK, 5)
    except OSError:
        pass  # it was closed already
    first.until(lambda: first.closed)
    assert bench.spool.acked == 0


def test_an_ack_deletes_segments(bench: Bench, tmp_path: Path) -> None:
    bench.spool._segment_size = 100
    bench.write(b"".join(b"%09d\n" % number for number in range(100)))
    assert len(list((tmp_path / "spool").glob("*.seg"))) == 10
    client = bench.owner_client()
    client.send(ACK, 550)
    bench.until(lambda: bench.spool.acked == 550)
    assert min((tmp_path / "spool").glob("*.seg")).stem == "%020d" % 500
    client.send(ACK, 5000)  # nobody has that
    client.send(ACK, 100)
    client.send(ACK, 1000)
    bench.until(lambda: bench.spool.acked == 1000)


def test_the_end_is_told_and_acked(bench: Bench) -> None:
    bench.write(b"line\n")
    client = bench.owner_client()
    client.send(STOP, 0)
    bench.until(lambda: bench.stops == 1)
    bench.write(b"last line\n")
    bench.feed.ending = True
    client.until(lambda: client.frames()[-1:] != [] and client.frames()[-1].kind == LAST)
    assert client.data() == b"line\nlast line\n"
    assert client.frames()[-1].offset == 15
    client.send(ACK, 5)
    bench.until(lambda: bench.spool.acked == 5)
    assert not bench.feed.finished
    client.send(ACK, 15)
    bench.until(lambda: bench.feed.finished)


def test_an_end_that_was_acked_before_is_told_again(bench: Bench) -> None:
    bench.write(b"line\n")
    bench.owner_client().send(ACK, 5)
    bench.until(lambda: bench.spool.acked == 5)
    bench.feed.ending = True
    client = bench.owner_client(spool=bench.spool.id, offset=5)
    client.until(lambda: [frame.kind for frame in client.frames()][-1:] == [LAST])
    client.send(ACK, 5)
    bench.until(lambda: bench.feed.finished)


@pytest.mark.parametrize("words", [frames.encode(DATA, 0, b"intruder\n"), b"GET / HTTP/1.1\r\n\r\n\r\n"])
def test_an_owner_that_talks_nonsense_is_disconnected(bench: Bench, words: bytes) -> None:
    client = bench.owner_client()
    client.sock.sendall(words)
    client.until(lambda: client.closed)
    assert not bench.feed.connected
    assert bench.owner_client().answer["offset"] == 0


def test_a_backlog_does_not_keep_the_loop(bench: Bench) -> None:
    """Senders are served between the pieces of a backlog, however fast the collector takes it."""
    bench.write(b"".join(b"%09d\n" % number for number in range(100_000)))
    client = bench.owner_client()
    pushes = []

    class Fast:
        """A socket that always has room."""

        def sendmsg(self, pieces: list[bytes]) -> int:
            pushes.append(sum(len(piece) for piece in pieces))
            return pushes[-1]

        def fileno(self) -> int:
            return real.fileno()

    peer = bench.feed._peer
    assert peer is not None
    client.until(lambda: not peer.backlog)
    peer.cursor = bench.spool.cursor(0)
    bench.spool.limit = 1 << 30
    bench.write(b"x" * 20_000_000 + b"\n")
    real = peer.sock
    peer.sock = Fast()  # type: ignore[assignment]
    try:
        peer._push()
    finally:
        peer.sock = real
    assert 0 < sum(pushes) < 10_000_000


def test_who_said_it_goes_before_the_bytes_where_that_is_asked_for(bench: Bench) -> None:
    bench.write(b"one\n", "10.0.0.1")
    bench.write(b"two\n", "10.0.0.2")
    client = bench.owner_client(runs=True)
    assert client.answer["runs"] is True
    assert abs(client.answer["now_ms"] - time.time() * 1000) < 5000
    client.until(lambda: client.data() == b"one\ntwo\n")
    bench.write(b"more\n", "10.0.0.1")
    client.until(lambda: client.data().endswith(b"more\n"))
    said, end = [], 0
    for frame in client.frames():
        if frame.kind == RUNS:
            said += list(unpack(frame.offset, frame.payload))
        elif frame.kind == DATA:
            end = frame.offset + len(frame.payload)
            assert said[-1].end >= end, "the bytes came first"
    assert [(run.begin, run.end, run.sender) for run in said] == [
        *[(0, 4, "10.0.0.1"), (4, 8, "10.0.0.2"), (8, 13, "10.0.0.1")]
    ]


@pytest.mark.parametrize("hello", [{}, {"runs": False}, {"runs": 1}, {"runs": "true"}])
def test_who_does_not_ask_is_served_as_ever(bench: Bench, hello: dict[str, Any]) -> None:
    bench.write(b"one\n", "10.0.0.1")
    client = bench.owner_client(**hello)
    assert set(client.answer) == {"spool", "offset", "end", "known"}
    client.until(lambda: client.data() == b"one\n")
    assert RUNS not in {frame.kind for frame in client.frames()}
