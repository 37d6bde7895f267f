"""What strangers do to a tremplin's ports: they come by the thousand, stay, and say what means nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from scanner import hello
from stage import Fault, Stage
from swarm import Crowd, flood
from through import Through
from through_acts import stating, system_of

#: Addresses that a stranger has, and silent connections from each.
ADDRESSES, SILENT = 50, 20
#: Bytes a second of bare newlines, which are lines, and of other text of theirs.
NEWLINES, NOISE = 200_000, 4_800_000
#: Bytes that a relay may have resident meanwhile.
MEMORY = 80_000_000


def strangers_flood(stage: Stage) -> None:
    """1,000 strangers a second: who is honest gets in, and no hole is washed away."""
    system = system_of(stage)
    words = [b"half a line of a stranger %08x" % stage.dice.getrandbits(32) for _ in range(500)]
    stage.notes.update(words)
    came = [0]

    def come(over: threading.Event) -> None:
        came[0] = flood(system.recording.port, words, over)

    with stating(stage, "many connections", there=True), _holes_stay(system), _meanwhile(system, come):
        stage.see_recording(15.0)
        stage.pause(1.5, 1.5)
        stage.see_recording(15.0)
    assert came[0] > 500, "few strangers came"


def stranger_does_everything(stage: Stage) -> None:
    """Connections that stay silent, floods, newlines, noise, half handshakes, all at once, at 5 MB/s.

    Where senders speak TLS nothing of it is text.
    """
    system = system_of(stage)
    port, noise = system.recording.port, b"noise of a stranger %08x" % stage.dice.getrandbits(32)
    stage.notes.update((noise, b""))
    works = [
        lambda over: flood(port, [noise], over, 300),
        lambda over: _stay_silent(port, over),
        lambda over: _half_shake(port, over),
        lambda over: _write(port, b"\n" * 1000, NEWLINES, over),
        lambda over: _write(port, noise.ljust(65536, b"\r") + b"\n", NOISE, over),
    ]
    relay, most = stage.the("relay"), 0
    with _holes_stay(system), _meanwhile(system, *works), contextlib.ExitStack() as half:
        until = time.monotonic() + 3.0 + stage.dice.random() * 9.0
        while time.monotonic() < until:
            sock = half.enter_context(system.laptop.call(lambda: _at_the_tunnel(system)))
            sock.sendall(b"0" * 31)
            stage.see_recording(15.0)
            most = max(most, relay.memory_info().rss)
    assert most < MEMORY, f"the relay had {most} bytes"


def _at_the_tunnel(system: Through) -> socket.socket:
    return socket.create_connection(("127.0.0.1", system.recording.port_local), timeout=5)


def _stay_silent(port: int, over: threading.Event) -> None:
    """Connect from many addresses, and stay as long as it is allowed."""
    with contextlib.ExitStack() as held:
        for number in range(ADDRESSES * SILENT):
            source = (f"127.0.0.{2 + number % ADDRESSES}", 0)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_connection(("127.0.0.1", port), 5, source))
        over.wait()


def _half_shake(port: int, over: threading.Event) -> None:
    """Say some of a TLS hello, and stay: of 200 the oldest goes."""
    said, here = hello(), deque[socket.socket]()
    while not over.wait(0.01):
        with contextlib.suppress(OSError):
            sock = socket.create_connection(("127.0.0.1", port), timeout=5)
            here.append(sock)
            # As much as tells what it is: less is text where TLS is not spoken.
            sock.sendall(said[: 6 + len(here) % (len(said) - 6)])
        if len(here) > 200:
            here.popleft().close()
    for sock in here:
        sock.close()


def _write(port: int, block: bytes, per_second: int, over: threading.Event) -> None:
    """Write a block again and again, so many bytes a second, and end with a whole one."""
    began, written = time.monotonic(), 0
    while not over.is_set():
        # Whoever is told to speak TLS is closed, and comes again.
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 30) as sock:
            while not over.wait(0.002):
                while written < (time.monotonic() - began) * per_second and not over.is_set():
                    sock.sendall(block)
                    written += len(block)


@contextlib.contextmanager
def _meanwhile(system: Through, *works: Callable[[threading.Event], object]) -> Iterator[None]:
    """Have all of this done on the tremplin meanwhile, each until its event is set."""
    over = threading.Event()
    crowd = Crowd([lambda work=work: system.jump.call(lambda: work(over)) for work in works])  # type: ignore[misc]
    try:
        yield
    finally:
        over.set()
        crowd.join()


@contextlib.contextmanager
def _holes_stay(system: Through) -> Iterator[None]:
    """See that what the relay has stated of holes is there afterwards."""
    known = _holes(system)
    assert b'"started"' in known
    yield
    assert _holes(system).startswith(known), "holes are washed away"


def _holes(system: Through) -> bytes:
    """Return what the relay has stated of holes."""
    paths = [system.relay_folder / name for name in ("holes.log.1", "holes.log")]
    return b"".join(path.read_bytes() for path in paths if path.exists())


STRANGERS: dict[str, Fault] = {
    "strangers flood": strangers_flood,
    "a stranger does everything": stranger_does_everything,
}
