from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from scripted import Clock, Said, TurnUntil

from reclog.engine.errors import EngineError
from reclog.engine.feed.client import FeedClient
from reclog.engine.feed.handshake import HANDSHAKE_WITHIN, AsRelay
from reclog.engine.feed.protocol import FeedError
from reclog.engine.feed.tunnel import DIAL_AGAIN, LASTED, LOST_AGAIN, Tunnel
from reclog.engine.system.loop import Loop

SECRET = "5e" * 32
ANSWER = {"spool": "s", "offset": 0, "end": 0}


class Bench:
    """A tunnel whose ssh is played by a listening socket."""

    def __init__(self, loop: Loop) -> None:
        self.clock = Clock()
        loop.now = self.clock
        self.loop = loop
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(5)
        config = {
            "port_local": self.sock.getsockname()[1],
            "secret": SECRET,
            "ssh_command": ["true"],
            "start_command": ["true"],
            "relay_listens": False,
        }
        tunnel: Any = Tunnel(loop, config, "/", Said(), self)
        tunnel._ssh = SimpleNamespace(pid=1, listens_on=lambda port: True, stop=lambda: None)
        tunnel._starter = SimpleNamespace(pid=1, stop=lambda: None)
        self.tunnel = tunnel
        self.client: FeedClient | None = None
        self.refusal: EngineError | None = None

    def hello(self) -> dict[str, Any]:
        return {"collector": "me"}

    def connected(self, client: FeedClient, answer: dict[str, Any]) -> None:
        self.client = client
        assert answer == ANSWER

    def disconnected(self, reason: str) -> None: ...

    def refused(self, error: EngineError) -> None:
        self.refusal = error

    def turn(self, seconds: float = 0.0) -> None:
        self.clock.time += seconds
        self.loop.turn(at_most=0.01)

    def close(self) -> None:
        self.tunnel.stop()
        self.sock.close()
        if self.client is not None:
            self.client.close()


@pytest.fixture
def bench(loop: Loop) -> Iterator[Bench]:
    bench = Bench(loop)
    yield bench
    bench.close()


def answered(bench: Bench, turn_until: TurnUntil, answer: dict[str, Any], seen: Callable[[], bool]) -> None:
    relay = AsRelay(SECRET, 0.0, lambda hello: answer)
    bench.tunnel._dial()
    there, _ = bench.sock.accept()
    with there:
        there.sendall(relay.greeting)
        there.setblocking(False)

        def look() -> bool:
            try:
                there.sendall(relay.take(there.recv(4096)))
            except (BlockingIOError, ConnectionError):
                pass
            return seen()

        turn_until(look)


def test_a_relay_that_answers_is_connected(bench: Bench, turn_until: TurnUntil) -> None:
    answered(bench, turn_until, ANSWER, lambda: bench.client is not None)
    assert bench.tunnel.trouble == ""


def test_a_refusal_ends_it(bench: Bench, turn_until: TurnUntil) -> None:
    refused = {"refused": "owner", "owner": "ann", "since": "then"}
    answered(bench, turn_until, refused, lambda: bench.refusal is not None)
    assert "ann" in str(bench.refusal)
    assert bench.tunnel._client is None


@pytest.mark.parametrize("before", [False, True])
def test_a_relay_of_another_version_ends_what_begins(
    bench: Bench, turn_until: TurnUntil, before: bool
) -> None:
    bench.tunnel._connected_once = before
    bench.tunnel._dial()
    there, _ = bench.sock.accept()
    with there:
        there.sendall(b"reclog-feed 1 " + b"0" * 32 + b"\n")
        turn_until(lambda: bench.tunnel.trouble != "")
    assert "its feed is 1, ours" in bench.tunnel.trouble
    assert getattr(bench.refusal, "cause", "") == ("" if before else "version")


def test_why_the_relay_does_not_start_is_seen(bench: Bench) -> None:
    bench.tunnel._starter_says('{"ready": false, "message": "Port 7 is in use already.' + "x" * 1000 + '"}')
    bench.tunnel._failed(FeedError("the connection was closed"))
    assert bench.tunnel.trouble.startswith("the relay does not start: Port 7 is in use already.x")
    assert len(bench.tunnel.trouble) < 300
    for words in ('{"ready": true}', "no JSON", '{"ready": []}'):
        bench.tunnel._starter_says(words)
    bench.tunnel._starter_says('{"ready": true}')
    bench.tunnel._failed(FeedError("the connection was closed"))
    assert bench.tunnel.trouble == "the relay does not answer (the connection was closed)"


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        ("channel 2: open failed: connect failed: open failed", [True, False]),
        ("channel 2: open failed: administratively prohibited: open failed", [True, True]),
        ("Connection to trem closed", [False, False]),
    ],
)
def test_what_forbids_the_tunnel(bench: Bench, words: str, forbidden: list[bool]) -> None:
    for listens, expected in zip((True, False), forbidden):
        for before in (False, True):
            bench.refusal = None
            bench.tunnel._relay_listens, bench.tunnel._connected_once = listens, before
            bench.tunnel._ssh_says(words)
            assert (bench.refusal is not None) == (expected and not before)


def test_what_broke_off_at_once_is_not_dialled_at_once(bench: Bench, turn_until: TurnUntil) -> None:
    for lasted, pause in ((0.1, LASTED), (LASTED + 0.1, LOST_AGAIN)):
        answered(bench, turn_until, ANSWER, lambda: bench.client is not None)
        bench.clock.time += lasted
        bench.tunnel.lost("what it said")
        assert bench.tunnel._dial_timer.when == pytest.approx(bench.clock.time + pause)
        assert bench.client is not None
        bench.client.close()
        bench.client = None


def test_a_relay_that_says_nothing_holds_nothing_up_and_is_dialled_again(bench: Bench) -> None:
    bench.tunnel._dial()  # returns, and nobody has accepted
    first, _ = bench.sock.accept()
    bench.turn(HANDSHAKE_WITHIN - 0.1)
    assert bench.tunnel.trouble == ""
    bench.turn(0.2)
    assert "says nothing" in bench.tunnel.trouble
    assert first.recv(1) == b""
    bench.turn(DIAL_AGAIN + 0.1)
    second, _ = bench.sock.accept()
    bench.tunnel.stop()  # in the middle of it
    assert second.recv(1) == b""
    first.close()
    second.close()


def test_a_tunnel_whose_end_is_closed_is_said_to_be(bench: Bench) -> None:
    bench.sock.close()
    bench.tunnel._dial()
    bench.turn()
    bench.turn()
    assert "Connection refused" in bench.tunnel.trouble
