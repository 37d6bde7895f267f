"""Into a stream and out of it: `inv publish` and `inv subscribe`, beside a bare loop of nats-py."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats
import nats_servers
import psutil
from bench import Home, wait_until
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy
from nats.js.client import JetStreamContext

from benchmarks.rows import Job, Row, Run
from benchmarks.trial import Stage
from reclog.stream.box import BATCH
from reclog.stream.jetstream import EXPECTED
from reclog.stream.message import EVERYTHING, LARGEST, Identity, encode, subject

TITLE = "A stream of one server: 256 KiB a message, one in flight in, 16 out"
IN, OUT = "into the stream", "out of the stream"
BARE, PUBLISH, SUBSCRIBE = "nats-py, bare", "inv publish", "inv subscribe"
#: … each expected behind the last, as ours are: the server looks that up.
FENCED = "nats-py, bare, in order"
MESSAGES, QUICK_MESSAGES = 1600, 40
LINE = b"x" * 99 + b"\n"
IDENTITY = Identity("0123456789abcdef", 1)
NAME = subject("bench", "bare")


def run(stage: Stage) -> list[Row]:
    """Time each against the server, with so many bytes that the start does not count."""
    count = QUICK_MESSAGES if stage.quick else MESSAGES
    payload = LINE * (LARGEST // len(LINE))
    total = count * len(payload)
    jobs = []
    with nats_servers.one(stage.folder / "stream") as server:

        def bare_in(_: int) -> Run:
            return _timed(total, server.url, lambda js: _publish(js, payload, count))

        def fenced_in(_: int) -> Run:
            return _timed(total, server.url, lambda js: _publish(js, payload, count, fenced=True))

        def bare_out(_: int) -> Run:
            return _timed(total, server.url, lambda js: _fetch(js, count))

        def subscribed(number: int) -> Run:
            return _subscribed(Home(stage.folder / f"home-{number}"), server.url, total)

        def published(number: int) -> Run:
            return _published(stage.folder / f"out-{number}", server.url, payload, count)

        for case, system, once in (
            (IN, FENCED, fenced_in),
            (IN, BARE, bare_in),
            (OUT, BARE, bare_out),
            (OUT, SUBSCRIBE, subscribed),
            (IN, PUBLISH, published),
        ):
            jobs.append(Job(Row(case, system), stage.times(3), once))
        return stage.rows(jobs)


def _timed(total: int, url: str, work: Callable[[JetStreamContext], Awaitable[None]]) -> Run:
    began, used = time.monotonic(), time.process_time()
    asyncio.run(_with(url, work))
    return _as_run(total, time.monotonic() - began, time.process_time() - used)


def _as_run(total: int, wall: float, cpu: float) -> Run:
    return {"wall": wall, "mb_per_s": total / wall / 1e6, "cpu": cpu}


async def _with(url: str, work: Callable[[JetStreamContext], Awaitable[None]]) -> None:
    connection = await nats.connect(url)
    try:
        await work(connection.jetstream())
    finally:
        await connection.close()


async def _publish(context: JetStreamContext, payload: bytes, count: int, fenced: bool = False) -> None:
    await context.add_stream(name="reclog", subjects=[EVERYTHING], discard=DiscardPolicy.NEW)
    await context.purge_stream("reclog")
    last = 0
    for number in range(count):
        headers = encode(IDENTITY, number * len(payload), payload, [])
        if fenced:
            headers[EXPECTED] = str(last)
        last = (await context.publish(NAME, payload, headers=headers)).seq


async def _fetch(context: JetStreamContext, count: int) -> None:
    config = ConsumerConfig(ack_policy=AckPolicy.NONE)
    subscription = await context.pull_subscribe(NAME, stream="reclog", config=config)
    had = 0
    while had < count:
        had += len(await subscription.fetch(BATCH, timeout=10))


def _subscribed(home: Home, url: str, total: int) -> Run:
    home.path.mkdir(parents=True)
    copy = home.path / "copy.log"
    done = home.inv("subscribe", "--from", url, "--subject", NAME, "--file", str(copy))
    assert done.returncode == 0, done.stderr
    (daemon,) = (one for one in home.processes() if "subscriber" in one.cmdline())
    try:
        return _watched(daemon, total, lambda: copy.stat().st_size)
    finally:
        home.inv("kill")
        copy.unlink()


def _published(folder: Path, url: str, payload: bytes, count: int) -> Run:
    """Publish a recording that is there already, under another subject."""
    home = Home(folder)
    folder.mkdir(parents=True)
    running = home.local("--listener", "builtin", "--no-udp")
    with running.connect() as sock:
        for _ in range(count):
            sock.sendall(payload)
    total = count * len(payload)
    wait_until(lambda: running.file.stat().st_size >= total, 120, "it is recorded")
    with running.file.open("rb") as file:  # else the disk is busy with it while the server syncs each message
        os.fsync(file.fileno())
    done = home.inv("publish", "--to", url, "--machine", folder.name)
    assert done.returncode == 0, done.stderr
    (daemon,) = (one for one in home.processes() if "publisher" in one.cmdline())
    try:
        (counters,) = (home.state / "reclog" / "publishers").glob("*/counters.json")
        return _watched(daemon, total, lambda: _sent(counters))
    finally:
        home.inv("kill")
        running.file.unlink()


def _sent(counters: Path) -> int:
    return sum(int(one["published"]) for one in json.loads(counters.read_text())["recordings"])


def _watched(daemon: psutil.Process, total: int, so_far: Callable[[], int]) -> Run:
    """Time from the first that is seen of it to the end; what it takes of the processor and of memory."""
    at = wait_until(so_far, 30, "it begins")
    began, used, most = time.monotonic(), sum(daemon.cpu_times()[:2]), 0
    while (now := so_far()) < total:
        most = max(most, daemon.memory_info().rss)
        time.sleep(0.005)
        assert time.monotonic() - began < 300, f"{now} of {total} bytes after 5 min"
    wall = time.monotonic() - began
    return {**_as_run(total - at, wall, sum(daemon.cpu_times()[:2]) - used), "memory": float(most)}
