"""Several sources at once: streams by one, datagrams by another, to the same port and store."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path
from typing import Iterator

import pytest
from intake_bench import MemoryStore

from reclog.engine.daemons.config import Listening
from reclog.engine.daemons.entrance import Entrance
from reclog.engine.intake.token import Token
from reclog.engine.records.events import EventLog
from reclog.engine.system.loop import Loop


@pytest.fixture
def port() -> int:
    """Return a port that is free for both."""
    while True:
        with socket.socket() as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            one.bind(("127.0.0.1", 0))
            try:
                other.bind(one.getsockname())
            except OSError:
                continue
            return int(one.getsockname()[1])


class Door:
    """An entrance, its store, and what it says."""

    def __init__(self, folder: Path, port: int, udp: bool = True) -> None:
        self.loop, self.store = Loop(), MemoryStore()
        self.path = folder / "events.log"
        self.config = Listening(port, "127.0.0.1", "builtin", [], False, 2.0, udp=udp)
        log = EventLog(str(self.path))
        self.entrance = Entrance(self.loop, self.store, self.config, str(folder), log)
        self.notes = self.entrance.open()

    def close(self) -> None:
        self.entrance.close()
        self.loop.close()


@pytest.fixture
def door(tmp_path: Path, port: int) -> Iterator[Door]:
    door = Door(tmp_path, port)
    yield door
    door.close()


def say(port: int, text: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(text, ("127.0.0.1", port))


def test_streams_and_datagrams_come_to_one_port(door: Door, port: int) -> None:
    assert not door.notes or "rmem_max" in door.notes[0]
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"stream\n")
        say(port, b"datagram")
    assert door.entrance.drain(door.loop.now() + 5).complete
    assert (door.store.batch.lines, door.store.written) == (2, len(b"stream\ndatagram\n"))
    facts = door.entrance.facts()
    assert (facts["listener"], facts["udp"], facts["datagrams"]) == ("builtin", True, 1)
    assert facts["datagrams_dropped"] == 0


def test_a_busy_udp_port_is_a_note(tmp_path: Path, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        door = Door(tmp_path, port)
        said = f"Datagrams are not recorded: UDP port {port} is in use already (`ss -ulpn` tells by whom)."
        assert said in door.notes
        assert "no datagrams" in door.path.read_text()
        assert not door.entrance.facts()["udp"]
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"stream\n")
        assert door.entrance.drain(door.loop.now() + 5).complete
        assert door.store.batch.lines == 1
        door.close()


def test_without_udp_nothing_is_bound(tmp_path: Path, port: int) -> None:
    door = Door(tmp_path, port, udp=False)
    say(port, b"nobody hears it")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
    assert not door.entrance.facts()["udp"]
    door.close()


@pytest.mark.parametrize("full", [False, True])
def test_a_stop_says_what_was_left(door: Door, port: int, full: bool) -> None:
    door.store.full = full
    for _ in range(2000):
        say(port, b"x" * 1000)
    drained = door.entrance.drain(door.loop.now() + (0.5 if full else 5))
    assert drained.complete is not full
    taken = door.entrance.intake.datagrams.count
    assert taken + door.entrance.facts()["datagrams_dropped"] == 2000
    assert drained.left_bytes == (1000 * (2000 - taken) + door.store.batch.queued if full else 0)


def test_while_a_token_is_asked_for_there_are_no_datagrams(door: Door, port: int) -> None:
    say(port, b"before")
    asking = dataclasses.replace(door.config, token=Token.of("a token of twenty").word)
    door.entrance.adopt(asking)
    assert (door.entrance.intake.datagrams.count, door.entrance.facts()["udp"]) == (1, False)
    assert "can't say a token" in door.path.read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
    door.entrance.adopt(door.config)
    say(port, b"behind")
    assert door.entrance.facts()["udp"]
    assert door.entrance.drain(door.loop.now() + 5).complete
    assert door.store.written == len(b"before\nbehind\n")
