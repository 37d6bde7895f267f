"""Memory that strangers would have us need, and memory that is not there."""

from __future__ import annotations

import socket

import pytest
from intake_bench import Bench

from reclog.engine.intake.batch import Batch
from reclog.engine.intake.valve import RETRY_AFTER
from reclog.engine.stores.store import PausingStore


def test_stamps_on_bare_newlines_need_little_memory(bench: Bench) -> None:
    bench.serve(stamp=True)
    batch = bench.store.batch = bench.intake._batch = Batch()  # the bench's own adds no stamps
    bench.intake._settling._batch = batch
    held: list[int] = []
    bench.store.on_flush = lambda: held.append(batch.queued)
    sender = bench.queue.comes("192.0.2.7", "192.0.2.7:40000")
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
    sent = sum(sender.send(b"\n" * 100_000) for _ in range(2))
    sender.close()
    bench.until(lambda: batch.lines == sent)
    assert max(held) < 2 * 1024 * 1024
    assert bench.store.written > 40 * sent


@pytest.mark.parametrize("stamp", [False, True])
def test_without_memory_senders_are_held_back(
    bench: Bench, stamp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = bench.serve(stamp=stamp)
    sender = bench.queue.comes("192.0.2.7")
    bench.settle()

    def none_left(*_: object) -> memoryview:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(bench.store.batch, "room", none_left)
        sender.send(b"line\n")
        bench.until(lambda: intake.paused)
    assert bench.store.reasons == ["no memory left"]
    bench.later(RETRY_AFTER)
    bench.until_stored(b"line\n")
    assert not intake.paused


class Store(PausingStore):
    """A store that needs memory to write."""

    memory = 0

    def _write(self) -> None:
        if not self.memory:
            raise MemoryError
        self.batch.written(self.batch.queued)


def test_a_store_without_memory_pauses() -> None:
    said: list[str] = []
    store = Store(lambda event, **_: said.append(event))
    store.batch.add(1, b"line\n")
    assert not store.flush()
    assert store.paused == "no memory left"
    store.memory = 1
    assert store.flush()
    assert said == ["paused", "resumed"]
    store.pause("no memory left")  # with nothing to write
    assert store.flush()
    assert not store.paused
