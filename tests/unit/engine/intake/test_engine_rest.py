"""What a stop does with text that was accepted in part, and can't be read so."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from intake_bench import Bench
from tls_ends import Sender, files, wait_for

from reclog.engine.intake import intake
from reclog.engine.intake import sender as module
from reclog.engine.intake.roster import Limits
from reclog.engine.streams.tls import Secured
from reclog.engine.system.address import parse_network
from reclog.engine.system.kernel import LINUX

pytestmark = pytest.mark.skipif(not LINUX, reason="packet filters are Linux's")
RECORD = b"y" * 5000 + b"\n"


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.loop.now = time.monotonic  # what is awaited comes in its own time
    yield bench
    bench.close()


def shaken(bench: Bench, senders: int) -> list[Sender]:
    """Return senders that have said a line each."""
    bench.serve()
    _, port = bench.listen(Secured(bench.loop, *files(), "").carry)
    met = [Sender(port) for _ in range(senders)]
    for sender in met:
        words = sender.next_words()
        while words:
            sender.sock.sendall(words)
            sender.sock.settimeout(0.02)
            bench.settle()
            with contextlib.suppress(OSError):
                sender.hear()
            words = sender.next_words()
        sender.sock.settimeout(10)
        sender.say(b"line\n")
    bench.until(lambda: bench.store.text.count(b"line\n") == senders)
    return met


def here(bench: Bench) -> int:
    return sum(sender.stream.half for sender in bench.intake.roster.senders.values())


def test_the_rest_of_what_was_accepted_is_awaited_from_all_at_once(bench: Bench) -> None:
    senders = shaken(bench, 12)
    rests = []
    for sender in senders:
        record = sender.record(RECORD)
        sender.sock.sendall(record[:1000])
        rests.append(record[1000:] + sender.record(b"behind\n"))
    bench.until(lambda: here(bench) == 12_000)

    def send_the_rest() -> None:
        wait_for(refused.is_set)
        for sender, rest in zip(senders, rests):
            sender.sock.sendall(rest)

    refused = threading.Event()
    thread = threading.Thread(target=send_the_rest)
    thread.start()
    turn = bench.loop.turn

    def turned(at_most: float | None = None) -> None:
        refused.set()  # all were told, and are waited for
        turn(at_most)

    bench.loop.turn = turned  # type: ignore[method-assign]
    began = time.monotonic()
    assert bench.intake.drain_senders(began + 10)
    assert time.monotonic() - began < module.REST_WITHIN
    thread.join()
    assert bench.store.text.count(RECORD) == 12
    assert b"behind" not in bench.store.text
    assert bench.intake.left_behind() == (0, 0)
    for sender in senders:
        sender.close()


@pytest.mark.parametrize("comes", [True, False])
def test_who_is_told_to_go_has_the_rest_of_its_record_taken_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    (sender,) = shaken(bench, 1)
    record = sender.record(RECORD)
    sender.sock.sendall(record[:1000])
    bench.until(lambda: here(bench) == 1000)
    monkeypatch.setattr(module, "REST_WITHIN", 10.0 if comes else 0.2)
    bench.intake.adopt(Limits(allow=[parse_network("192.0.2.1")]))
    bench.settle()
    assert bench.intake.senders == 1
    if comes:
        sender.sock.sendall(record[1000:] + sender.record(b"behind\n"))
    bench.until(lambda: not bench.intake.senders)
    assert bench.store.text == b"line\n" + RECORD * comes
    sender.close()


def test_a_rest_that_does_not_come_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "REST_WITHIN", 0.2)
    stuck, sound = shaken(bench, 2)
    stuck.sock.sendall(stuck.record(RECORD)[:1000])
    sound.say(b"sound\n")
    bench.until(lambda: here(bench) == 1000)
    began = time.monotonic()
    assert not bench.intake.drain_senders(began + 10)
    assert time.monotonic() - began < 5
    assert bench.intake.left_behind() == (1, 1000)
    assert b"sound\n" in bench.store.text
    stuck.close()
    sound.close()
