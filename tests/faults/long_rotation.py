"""Many lines at full speed through a rotation, with many kills; `--help` tells the words.

Senders write as fast as the system takes it; each kill comes in the middle, at a random moment or at a point
of a rotation. In the pieces, those that --keep removed (a link keeps them) and the file there has to be of
each connection its first lines, each once, in order: all of them through a tremplin, whose collector is
killed, and all but a hole at the end where a recorder was.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parents[1])]

from bench import Home, wait_until  # noqa: E402 the path comes first
from lan import Lan  # noqa: E402
from rotation_faults import CUT, PACKED, REMOVED  # noqa: E402
from stage import System  # noqa: E402
from swarm import runs  # noqa: E402
from through import Through  # noqa: E402
from through_points import arm  # noqa: E402

ROTATION = ["--rotate", "10MiB", "--keep", "5", "--compress"]
#: Lines of one send; senders at once.
_BLOCK, _SENDERS = 500, 4
_TEXT = b"what a device says, and then some more of it, as it goes"


class Sender:
    """Writes numbered lines, on one connection after the other, as many as it may by now."""

    def __init__(self, system: System, number: int, text: bytes = _TEXT) -> None:
        """`text` is what stands behind a line's number."""
        self.may = self.sent = 0
        #: Of each connection, by its key: how many whole lines were sent, and whether it broke.
        self.connections: dict[bytes, tuple[int, bool]] = {}
        self._system, self._number, self._text = system, number, text
        self._over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Write what it may, and close."""
        self._over.set()
        self.thread.join(300)
        assert not self.thread.is_alive(), "a sender does not end"

    def _run(self) -> None:
        while not self._over.is_set() or self.sent < self.may:
            try:
                sock = self._system.connect()
            except OSError:
                time.sleep(0.02)
                continue
            key = b"%d.%d" % (self._number, len(self.connections))
            with contextlib.closing(sock):
                self._talk(key, sock)

    def _talk(self, key: bytes, sock: socket.socket) -> None:
        sock.settimeout(120)
        count = 0
        self.connections[key] = 0, True
        with contextlib.suppress(OSError):
            while not self._over.is_set() or self.sent < self.may:
                if self.sent >= self.may:
                    time.sleep(0.002)
                    continue
                block = range(count, count + _BLOCK)
                sock.sendall(b"".join(b"%s %d %s\n" % (key, number, self._text) for number in block))
                count, self.sent = count + _BLOCK, self.sent + _BLOCK
                self.connections[key] = count, True
            # Who was told to wait, and is over, has not sent anything since a kill by which to know of it.
            self.connections[key] = count, _is_over(sock)


def _is_over(sock: socket.socket) -> bool:
    """Tell whether the other side, which never says anything, has ended. Raises OSError if it was killed."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        return not sock.recv(1)
    return False


def kill(system: Lan | Through, role: str, dice: random.Random) -> None:
    """Kill the daemon at a random moment, or at a point if that is reached soon; start it again."""
    (daemon,) = wait_until(lambda: system.processes(role), 30, f"there is a {role}")
    if dice.random() < 0.5:
        point = dice.choice((*CUT, *PACKED, *REMOVED))
        reached = (
            system.arm(point, "kill") if isinstance(system, Lan) else arm(system.points_here, point, "kill")
        )
        until = time.monotonic() + 1.0
        while not reached.exists() and time.monotonic() < until:
            time.sleep(0.01)
        reached.with_suffix("").unlink(missing_ok=True)
    else:
        time.sleep(dice.random() * 0.3)
    with contextlib.suppress(ProcessLookupError):
        daemon.send_signal(signal.SIGKILL)
    wait_until(lambda: not runs(daemon), 20, "it ends")
    system.again()


def see(files: list[Path], senders: list[Sender], strict: bool, text: bytes = _TEXT) -> tuple[int, int]:
    """See that all is there that is owed; return how many lines are, and how many are missing at ends.

    Where it is not `strict`, half a line may stand where a connection broke.
    """
    ends = {key for one in senders for key, (_, cut) in one.connections.items() if cut and not strict}
    found: dict[bytes, int] = {}
    for line in _lines(files):
        key, _, rest = line.partition(b" ")
        if key in (b"reclog", b""):
            continue
        expected = found.get(key, 0)
        if rest == b"%d %s" % (expected, text):
            found[key] = expected + 1
            continue
        halves = [one for one in ends if (b"%s %d %s" % (one, found.get(one, 0), text)).startswith(line)]
        assert halves, f"{line[:100]!r} comes where line {expected} of {key!r} is due, or a half of it"
        if len(halves) == 1:
            ends.remove(halves[0])
    missing = 0
    for sender in senders:
        for key, (sent, broken) in sender.connections.items():
            there = found.get(key, 0)
            assert there == sent or (broken and (there < sent + _BLOCK) and not strict), (
                f"{key!r}: {there} of {sent}"
            )
            missing += max(0, sent - there)
    return sum(found.values()), missing


def _lines(files: list[Path]) -> Iterator[bytes]:
    rest = b""
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                *lines, rest = (rest + block).split(b"\n")
                yield from lines


def main() -> int:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--system", choices=["lan", "tremplin"], default="lan")
    words.add_argument("--lines", type=int, default=1_000_000)
    words.add_argument("--kills", type=int, default=20)
    words.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    told = words.parse_args()
    dice = random.Random(told.seed)
    with tempfile.TemporaryDirectory(prefix="reclog-rotation-") as folder:
        home = Home(Path(folder))
        Path(folder).chmod(0o755)
        system: Lan | Through = (
            Lan(home, "builtin", disk=False) if told.system == "lan" else Through(home, home.path / "hosts")
        )
        with contextlib.closing(system):
            system.set_aside.words = ROTATION
            system.start()
            began = time.monotonic()
            senders = [Sender(system, number) for number in range(_SENDERS)]
            for number in range(told.kills):
                for sender in senders:
                    sender.may = told.lines * (number + 1) // (told.kills * _SENDERS)
                kill(system, "recorder" if told.system == "lan" else "collector", dice)
            for sender in senders:
                sender.may = told.lines // _SENDERS
            for sender in senders:
                sender.end()
            system.stop()
            there, missing = see(system.files, senders, told.system == "tremplin")
            took = time.monotonic() - began
    sent = sum(sender.sent for sender in senders)
    print(
        f"{told.system}, seed {told.seed}: {sent} lines sent, {there} recorded, {missing} missing where a "
        f"recorder was killed, {told.kills} kills, {took:.0f} s: each once and in order"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
