"""UDP for real: addresses of both families, what the kernel drops, and a stop."""

from __future__ import annotations

import socket
from typing import Any, Iterator, List

import pytest
from intake_bench import Bench
from scripted import Said

from reclog.engine.errors import AddressUnusable, PortTaken
from reclog.engine.sources import udp as module
from reclog.engine.sources.source import Asked
from reclog.engine.sources.udp import BUFFER, Udp


class UdpBench(Bench):
    """A bench that receives datagrams."""

    def __init__(self) -> None:
        super().__init__()
        self.said = Said()
        self.serve()
        self.udp: Udp

    def bind(self, address: str = "127.0.0.1", port: int = 0) -> int:
        """Receive at an address; return the port."""
        self.udp = Udp(self.loop, self.intake, Asked(address, port), "", self.said)
        self.udp.start(0)
        self.closing.insert(0, self.udp.close)
        assert self.udp._sock is not None
        return int(self.udp._sock.getsockname()[1])

    @property
    def stated(self) -> int:
        return sum(facts["datagrams"] for event, facts in self.said.events if event == "datagrams dropped")


@pytest.fixture
def bench() -> Iterator[UdpBench]:
    bench = UdpBench()
    yield bench
    bench.close()


def send(to: str, port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for one in datagrams:
            sock.sendto(one, (to, port))


ADDRESSES = [
    ("127.0.0.1", ["127.0.0.1"]),
    ("0.0.0.0", ["127.0.0.1"]),
    ("::1", ["::1"]),
    ("::", ["::1", "127.0.0.1"]),
]


@pytest.mark.parametrize(("bind", "reached"), ADDRESSES)
def test_datagrams_of_each_family_come_in(bench: UdpBench, bind: str, reached: List[str]) -> None:
    port = bench.bind(bind)
    for to in reached:
        send(to, port, b"for " + to.encode(), b"x" * 65507)
    wanted = b"".join(b"for %s\n%s\n" % (to.encode(), b"x" * 65507) for to in reached)
    bench.until(lambda: bench.store.written == len(wanted))


@pytest.mark.parametrize(("bind", "reached"), ADDRESSES)
def test_a_stop_takes_what_the_kernel_has_and_no_more(bench: UdpBench, bind: str, reached: List[str]) -> None:
    port = bench.bind(bind)
    for to in reached:
        send(to, port, *[b"before"] * 100)
    bench.udp.refuse_newcomers()
    for to in reached:
        send(to, port, *[b"behind"] * 100)
        with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((to, port))
            sock.send(b"told")
            with pytest.raises(ConnectionRefusedError):
                sock.send(b"so")
    assert bench.udp.drain(bench.soon())
    assert bench.intake.datagrams.count == 100 * len(reached)
    assert bench.udp.left_behind() == bench.udp.dropped() == 0
    bench.udp.close()
    assert not bench.said.events  # nothing was dropped that came before


def test_where_it_can_not_be_connected_a_filter_does(
    bench: UdpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = bench.bind("127.0.0.2")
    assert bench.udp._sock is not None
    host, own = bench.udp._sock.getsockname()

    class Unconnectable(socket.socket):
        def connect(self, address: Any) -> None:
            raise OSError("no loopback")

    sock = bench.udp._sock
    bench.udp._sock = Unconnectable(fileno=sock.detach())
    bench.udp.fileno = bench.udp._sock.fileno
    bench.udp.receive_into = bench.udp._sock.recvfrom_into
    send(host, port, b"before")
    bench.udp.refuse_newcomers()
    send(host, own, b"behind")
    assert bench.udp.drain(bench.soon())
    bench.udp.close()
    assert bench.intake.datagrams.count == 1
    assert not bench.said.events


def test_received_and_dropped_are_all_that_were_sent(
    bench: UdpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUFFER", 64 * 1024)
    port = bench.bind()
    for _ in range(5):
        send("127.0.0.1", port, *[b"flood"] * 1000)
        bench.settle()
    assert 0 < bench.intake.datagrams.count < 5000
    assert bench.intake.datagrams.count + bench.udp.dropped() == 5000
    assert 0 < bench.stated <= bench.udp.dropped()
    send("127.0.0.1", port, *[b"the last ones, of which no datagram behind them tells"] * 1000)
    bench.udp.refuse_newcomers()
    assert bench.udp.drain(bench.soon())
    bench.udp.close()
    assert bench.intake.datagrams.count + bench.stated == 6000


def test_the_count_goes_on_where_it_wraps(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.bind()
    counts = iter([2**32 - 5, 3, 3, None, 4])
    monkeypatch.setattr(module, "dropped", lambda sock: next(counts))
    bench.udp._seen = 2**32 - 7
    assert [bench.udp.dropped() for _ in range(5)] == [2, 10, 10, 10, 11]


def test_what_can_not_be_recorded_at_a_stop_is_counted(bench: UdpBench) -> None:
    port = bench.bind()
    bench.store.full = True
    send("127.0.0.1", port, *[b"x" * 1000] * 3000)
    bench.settle()
    bench.udp.refuse_newcomers()
    assert not bench.udp.drain(bench.soon(0))
    left = bench.udp.left_behind()
    assert left == 1000 * (3000 - bench.intake.datagrams.count) > 0
    bench.udp.close()
    assert bench.intake.datagrams.count + bench.stated == 3000


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_busy_port_is_said(bench: UdpBench, bind: str) -> None:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((bind, 0))
        with pytest.raises(PortTaken, match=r"UDP port \d+ is in use already"):
            bench.bind(bind, other.getsockname()[1])


@pytest.mark.parametrize("bind", ["192.0.2.1", "example.com", "1.2.3"])
def test_an_address_that_is_not_ours_is_said(bench: UdpBench, bind: str) -> None:
    with pytest.raises(AddressUnusable):
        bench.bind(bind)


def test_what_the_system_lacks_is_said(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.bind()
    assert bench.udp.shortages() == [] or bench.udp._held < BUFFER
    bench.udp._held = 212_992
    monkeypatch.setattr(module, "dropped", lambda sock: None)
    few, untold = bench.udp.shortages()
    assert "208 KiB" in few
    assert "net.core.rmem_max=8388608" in few
    assert untold == "This system does not tell how many datagrams it drops."
