"""Promises 4, 5, 7, 8 and 13 of a tremplin: what is killed or has no room, with real ssh."""

from __future__ import annotations

import contextlib
import random
import socket
import time

import psutil
import pytest
from bench import wait_until
from swarm import frozen, stays
from tremplin_bench import Tremplin
from tremplin_streams import (
    MIB,
    Bulk,
    Stream,
    again,
    all_comes,
    all_there,
    counters,
    is_what_the_relay_spooled,
    kill_collector,
    line_of,
    lines_of,
    listens,
    relay_died,
    wait_for,
)

# -- kills ------------------------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_40_kills_lose_nothing_and_double_nothing(trem: Tremplin) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    recording = trem.open()
    stream = Stream(recording, senders=8)
    victims = ["collector"] * 6 + ["ssh"] * 17 + ["session"] * 17
    dice.shuffle(victims)
    for victim in victims:
        stream.more(dice.randrange(1, 500))
        if victim == "collector":
            kill_collector(recording)
            again(recording)
            continue
        with contextlib.suppress(psutil.NoSuchProcess, StopIteration):  # it is being started again
            if victim == "ssh":
                recording.ssh.kill()
            elif sessions := trem.sessions():
                dice.choice(sessions).kill()
    stream.end()
    wait_for(recording, stream)
    assert all_there(recording.read(), stream)
    wait_until(lambda: is_what_the_relay_spooled(recording), what="the file is what the relay spooled")


def test_a_session_that_dies_inside_a_frame(trem: Tremplin) -> None:
    recording = trem.open()
    stream = Bulk(recording, 30 * MIB)
    for _ in range(6):
        size = recording.file.stat().st_size
        wait_until(lambda size=size: recording.file.stat().st_size > size + MIB or not stream.busy, 20)  # type: ignore[misc]
        for session in trem.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()
    all_comes(recording, stream)
    assert recording.events("disconnected")


def test_a_killed_collector_goes_on_inside_a_line(trem: Tremplin) -> None:
    recording = trem.open()
    with recording.connect() as sender:
        sender.sendall(b"half of a line")
        wait_until(lambda: recording.read().endswith(b"half of a line"))
        wait_until(lambda: counters(recording).get("lag_bytes") == 0, what="the half line is acked")
        kill_collector(recording)
        again(recording)
        sender.sendall(b" and its rest\n")
        wait_until(lambda: b" and its rest\n" in recording.read())
    wait_until(lambda: is_what_the_relay_spooled(recording))


# -- the relay's death -------------------------------------------------------------------------------


@pytest.mark.parametrize("reboot", [False, True], ids=["kill -9", "reboot"])
def test_a_dead_relay_is_started_again_and_keeps_its_spool(trem: Tremplin, reboot: bool) -> None:
    recording = trem.open()
    with frozen(recording.daemon):
        recording.send(b"".join(line_of(0, number) for number in range(1000)))
        wait_until(lambda: recording.relay_counters()["lines"] >= 1001, what="all is spooled")
        relay_died(recording, reboot)
        assert not listens(recording)
    wait_until(lambda: listens(recording), 15, "the relay is back")
    recording.send(b"".join(line_of(0, number) for number in range(1000, 2000)))
    wait_until(lambda: line_of(0, 1999) in recording.read())
    assert lines_of(recording.read(), 0) == [line_of(0, number) for number in range(2000)]
    assert recording.events("disconnected")
    assert recording.events("starting the relay again")
    assert len(recording.relay_events("started")) == 2
    assert not recording.events("gap")


def test_a_relay_waits_for_its_port(trem: Tremplin) -> None:
    recording = trem.open()
    with socket.socket() as stranger:
        with frozen(recording.daemon):
            relay_died(recording)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("0.0.0.0", recording.port))
            stranger.listen()
        wait_until(lambda: counters(recording).get("state") == "paused", 15, "status says it")
        status = recording.status()
        assert status["state"] == "paused"
        assert str(recording.port) in str(counters(recording)["paused_for"])
    wait_until(lambda: counters(recording).get("state") == "recording", what="the relay has its port")
    recording.send(b"hello again\n")
    wait_until(lambda: recording.read().endswith(b"hello again\n"))
    assert recording.relay_events("port is taken")
    assert recording.relay_events("port is free again")


# -- room --------------------------------------------------------------------------------------------


def test_a_full_spool_holds_senders_back(trem: Tremplin) -> None:
    recording = trem.open("--spool-max", "4MiB")
    kill_collector(recording)
    stream = Bulk(recording, 40 * MIB)
    wait_until(lambda: "spool full" in recording.relay_counters()["paused_for"], what="the spool is full")

    def room() -> int:
        used = 0
        for path in trem.files():
            with contextlib.suppress(FileNotFoundError):  # a segment may be deleted meanwhile
                used += path.stat().st_blocks * 512
        return used

    stays(lambda: room() < 6 * MIB and stream.busy, 1.0, "senders wait, and the spool stays small")
    again(recording, "--spool-max", "4MiB")
    wait_until(lambda: room() < 6 * MIB and not stream.busy, 30, "the senders go on")
    all_comes(recording, stream)
    assert recording.relay_events("paused")
    assert recording.relay_events("resumed")


def test_a_frozen_collector_catches_up(trem: Tremplin) -> None:
    recording = trem.open()
    stream = Stream(recording, senders=4)
    stream.more(100)
    with frozen(recording.daemon):
        stays(lambda: recording.daemon.status() == psutil.STATUS_STOPPED, 15)
    thawed = time.monotonic()
    until_now = list(stream.sent)
    wait_until(
        lambda: all(line_of(n, count - 1) in recording.read() for n, count in enumerate(until_now)), 5.0
    )
    assert time.monotonic() - thawed < 5
    stream.end()
    wait_for(recording, stream)
    assert all_there(recording.read(), stream)
    wait_until(lambda: is_what_the_relay_spooled(recording))
