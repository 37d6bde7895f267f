"""The whole path between three hosts, with all default ports: network namespaces, real links and filters."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench import Home, wait_until
from netns import FILTER, PORT_IN, PORT_OUT, Hosts, Namespace, link
from swarm import stays
from tremplin_bench import tremplin
from tremplin_streams import Stream, all_there, counters, is_what_the_relay_spooled, wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def namespaces() -> Iterator[list[Namespace]]:
    """Give a test network namespaces; afterwards see that no process is left in them."""
    made: list[Namespace] = []
    yield made
    left = {one.name: one.remove() for one in made}
    assert not any(left.values()), f"left behind: {left}"


@pytest.fixture
def hosts(home: Home, tmp_path: Path, namespaces: list[Namespace]) -> Iterator[Hosts]:
    namespaces += [Namespace("d"), Namespace("t"), Namespace("l")]
    device, jump, laptop = namespaces
    link(device, "device", 1, jump)
    link(laptop, "laptop", 2, jump)
    home.within = laptop.within
    with tremplin(home, tmp_path / "tremplin", "10.77.2.1", jump.within) as trem:
        jump.run("nft", "-f", "-", text=FILTER % (trem.port, PORT_IN))
        yield Hosts(device, jump, laptop, trem)
        home.kill_all()
        for session in trem.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()  # sshd would wait hours for the client that the cut took from it
    home.within = []


def reaches(host: Namespace, address: str, port: int) -> bool:
    def attempt() -> bool:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            return False
        return True

    return host.call(attempt)


def test_the_whole_path_with_all_defaults(hosts: Hosts) -> None:
    recording = hosts.open()
    stream = Stream(recording, senders=4)
    stream.more(400)
    assert reaches(hosts.device, "10.77.1.1", PORT_IN)
    for port in (PORT_OUT, hosts.trem.port):
        assert not reaches(hosts.device, "10.77.1.1", port)
    for port in (PORT_IN, PORT_OUT):
        assert not reaches(hosts.laptop, hosts.address, port)
    assert reaches(hosts.laptop, hosts.address, hosts.trem.port)
    # The laptop's own port is its own alone; nothing listens for others there.
    assert reaches(hosts.laptop, "127.0.0.1", PORT_IN)
    assert not reaches(hosts.laptop, "10.77.2.2", PORT_IN)
    assert not reaches(hosts.jump, "10.77.2.2", PORT_IN)
    stream.end()
    wait_for(recording, stream)
    assert all_there(recording.read(), stream)
    proved = hosts.trem.home.inv("test-connection")
    assert proved.returncode == 0, proved.stderr + proved.stdout
    wait_until(lambda: is_what_the_relay_spooled(recording))
    done = hosts.trem.home.inv("kill")
    assert done.returncode == 0, done.stderr
    assert hosts.trem.processes() == []
    assert hosts.trem.files() == []


def test_a_link_cut_without_a_word(hosts: Hosts) -> None:
    recording = hosts.open()
    stream = Stream(recording, senders=4, per_second=100)
    stream.more(100)
    with hosts.cut():
        cut_at = time.monotonic()
        wait_until(lambda: counters(recording).get("state") == "reconnecting", 20, "the silence is noticed")
        stays(lambda: counters(recording).get("state") == "reconnecting", cut_at + 35 - time.monotonic())
        sent_meanwhile = list(stream.sent)
    back_at = time.monotonic()
    wait_until(lambda: counters(recording).get("state") == "recording", 5, "recording is back")
    lines = [b"sender-%d %07d " % (sender, count - 1) for sender, count in enumerate(sent_meanwhile)]
    wait_until(lambda: all(line in recording.read() for line in lines), 5, "it has caught up")
    print(f"back after {time.monotonic() - back_at:.2f} s")
    stream.end()
    wait_for(recording, stream)
    assert all_there(recording.read(), stream)
    wait_until(lambda: is_what_the_relay_spooled(recording))
    away = [event["away_seconds"] for event in recording.events("connected")]
    assert max(away) > 20


def test_both_ends_on_one_machine(home: Home, tmp_path: Path, namespaces: list[Namespace]) -> None:
    namespaces.append(Namespace("one"))
    one = namespaces[0]
    home.within = one.within
    with tremplin(home, tmp_path / "tremplin", within=one.within) as trem:
        file = tmp_path / "file.log"
        done = trem.fab("tremplin", "--file", str(file))
        assert done.returncode == 0, done.stderr + done.stdout
        assert "127.0.0.1:55515 here" in done.stdout
        assert "55514 is taken here: the next free port" in done.stdout
        with one.call(lambda: socket.create_connection(("127.0.0.1", PORT_IN))) as sock:
            sock.sendall(b"hello\n")
        wait_until(lambda: file.read_bytes().endswith(b"\nhello\n"))
        conflict = home.inv("local", "--file", str(tmp_path / "other.log"))
        assert conflict.returncode == 1
        assert "55514 is taken" in conflict.stderr
        assert home.inv("kill").returncode == 0
    home.within = []


def test_a_tremplin_beside_a_local_recording(home: Home, tmp_path: Path, namespaces: list[Namespace]) -> None:
    """The local port is one that a recorder of this machine has; the relay's is another."""
    namespaces.append(Namespace("one"))
    home.within = namespaces[0].within
    with tremplin(home, tmp_path / "tremplin", within=home.within) as trem:
        local = home.inv("local", "--file", str(tmp_path / "local.log"))
        assert local.returncode == 0, local.stderr
        done = trem.fab("tremplin", "--file", str(tmp_path / "file.log"), "--port-remote-in", "55600")
        assert done.returncode == 0, done.stderr + done.stdout
        assert "127.0.0.1:55515 here" in done.stdout
        assert "55514 is taken here: the next free port" in done.stdout
        assert home.inv("kill").returncode == 0
    home.within = []
