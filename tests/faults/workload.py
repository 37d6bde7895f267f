"""Senders whose every line can be told: by whom, on which connection, which number, and whether it is whole.

A line is `<sender>.<connection> <number> <any bytes but a newline> <CRC-32 of all before>`; some end in CRLF.
It follows from these numbers alone, so the checker makes it again instead of keeping it. What the receiver's
kernel has accepted is what was sent less SIOCOUTQ (tcp(7)), not what `send` took.

One more sender sends datagrams, a line each, now and then. What is refused it knows soon (ICMP): then it
goes on as another one, as who connects again.
"""

from __future__ import annotations

import bisect
import contextlib
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable

from swarm import Crowd
from swarm import unacknowledged as unacknowledged_by
from tls_sender import TlsSocket

_ANY = bytes(byte for byte in range(256) if byte != 0x0A) * 400
#: One line in so many is long: more than a segment, a socket buffer's share, a read.
_LONG_ONE_IN = 400
#: Seconds between two datagrams: what waits of them while nobody reads has room in the kernel.
POST_EVERY = 0.05
#: Seconds that a sender, told to end, waits for its receiver.
END_WITHIN = 60.0


def line_of(key: bytes, number: int) -> bytes:
    """Return line `number` of the connection `key`."""
    begin = b"%s %d " % (key, number)
    dice = zlib.crc32(begin)
    length = dice % 90 if dice % _LONG_ONE_IN else 5000 + dice % 60000
    start = dice % 255
    begin += _ANY[start : start + length]
    return b"%s %08x%s\n" % (begin, zlib.crc32(begin), b"" if dice % 7 else b"\r")


class Stream:
    """What one connection has sent, and how much of it its receiver's kernel had accepted, and when."""

    def __init__(self, key: bytes, datagrams: bool = False) -> None:
        self.key = key
        #: Whether each line is sent by itself: one that is missing says nothing of the next.
        self.datagrams = datagrams
        self.began = time.monotonic()
        #: When it ended, however it did; None while it goes on.
        self.ended: float | None = None
        #: Whether the other side ended it.
        self.broken = False
        #: Bytes that `send` took.
        self.sent = 0
        #: Where each line ends, in bytes of the stream.
        self.ends: list[int] = []
        self._times: list[float] = []
        self._accepted: list[int] = []

    def mark(self, outstanding: int) -> None:
        """Take note that the receiver's kernel has all but `outstanding` bytes."""
        accepted = self.sent - outstanding
        if not self._accepted or accepted > self._accepted[-1]:
            self._times.append(time.monotonic())
            self._accepted.append(accepted)

    def accepted_at(self, number: int) -> float:
        """Return when line `number` was known to be accepted; when the stream ended if it never was."""
        index = bisect.bisect_left(self._accepted, self.ends[number])
        return self._times[index] if index < len(self._times) else self.ended or self.began

    @property
    def lines_sent(self) -> int:
        """Whole lines that `send` took."""
        return bisect.bisect_right(self.ends, self.sent)

    def lines_accepted(self, by: float = float("inf")) -> int:
        """Return how many whole lines had been accepted at a time (monotonic)."""
        index = bisect.bisect_right(self._times, by)
        return bisect.bisect_right(self.ends, self._accepted[index - 1]) if index else 0


class Workload:
    """Senders that write, each on a connection of its own at a time, until told to end."""

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        senders: int = 6,
        seed: int = 0,
        pause: float = 0.02,
        patience: float = END_WITHIN,
        strict: bool = True,
        post: Callable[[], socket.socket | None] = lambda: None,
    ) -> None:
        """`pause` is the longest silence between two pieces, in seconds; `post` what datagrams are sent on.

        A sender, told to end, waits `patience` seconds for its receiver to take the rest; if it does not, a
        strict one fails, any other takes its connection for broken.
        """
        self.streams: list[Stream] = []
        self._connect = connect
        self._pause = pause
        self._patience = patience
        self._stuck = AssertionError if strict else TimeoutError
        self._over = threading.Event()
        self._lock = threading.Lock()
        #: Held while a datagram is sent.
        self.posting = threading.Lock()
        #: The first number that no sender of a burst has had.
        self._next = 1000
        dice = random.Random(seed)
        works = [(number, random.Random(dice.random())) for number in range(senders)]
        senders_of_streams = [lambda work=work: self._send(*work) for work in works]
        self._crowd = Crowd([*senders_of_streams, lambda: self._post(post, senders)])

    @property
    def lines(self) -> int:
        """Lines that were begun."""
        return sum(len(stream.ends) for stream in list(self.streams))

    def end(self) -> None:
        """Have each sender finish its line, see it accepted, and close. Raises what a sender raised."""
        self._over.set()
        self._crowd.join(self._patience + 10)

    def burst(self, senders: int, threads: int = 100) -> None:
        """Have so many more senders connect at once; each writes a line and closes."""
        first = self._next
        self._next += senders  # also if some can't connect: no key is used twice

        def some(thread: int) -> None:
            for number in range(first + thread, first + senders, threads):
                self._one_line(b"%d.0" % number)

        Crowd([lambda thread=thread: some(thread) for thread in range(threads)]).join(END_WITHIN)  # type: ignore[misc]

    def _one_line(self, key: bytes) -> None:
        stream = Stream(key)
        try:
            sock = self._connect()
        except OSError:
            return  # it knows that it was not heard
        with self._lock:
            self.streams.append(stream)
        with contextlib.closing(sock):
            try:
                sock.settimeout(10)
                line = line_of(key, 0)
                stream.ends.append(len(line))
                sock.sendall(line)
                stream.sent = len(line)
                stream.mark(0)  # that is what it believes, as it closes
            except OSError:
                stream.broken = True
        stream.ended = time.monotonic()

    def _send(self, sender: int, dice: random.Random) -> None:
        connection = 0
        while not self._over.is_set():
            stream = Stream(b"%d.%d" % (sender, connection))  # begun before it can be accepted
            try:
                sock = self._connect()
            except OSError:
                self._over.wait(0.03)
                continue
            connection += 1
            with self._lock:
                self.streams.append(stream)
            with contextlib.closing(sock):
                try:
                    self._talk(sock, stream, dice)
                except OSError:
                    stream.broken = True
            stream.ended = time.monotonic()

    def _post(self, post: Callable[[], socket.socket | None], sender: int) -> None:
        connection = 0
        while not self._over.is_set():
            sock = post()
            if sock is None:
                return
            stream = Stream(b"%d.%d" % (sender, connection), datagrams=True)
            connection += 1
            with self._lock:
                self.streams.append(stream)
            with sock:
                try:
                    while not self._over.is_set():
                        self._post_one(sock, stream)
                except OSError:
                    stream.broken = True
            stream.ended = time.monotonic()

    def _post_one(self, sock: socket.socket, stream: Stream) -> None:
        number = len(stream.ends)
        line = line_of(stream.key, number)
        with self.posting:
            stream.ends.append(stream.sent + len(line))
            sock.send(line if number % 2 else line[:-1])
            stream.sent += len(line)
        self._over.wait(POST_EVERY)
        refused = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if refused:
            raise OSError(refused, "it is refused")
        stream.mark(0)

    def _talk(self, sock: socket.socket, stream: Stream, dice: random.Random) -> None:
        sock.settimeout(0.5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each piece is a segment of its own
        last = 0
        leave_after = dice.choice([1, 30, 10_000, 10_000])
        while not self._over.is_set() and last < leave_after:
            batch = b""
            for _ in range(dice.choice([1, 1, 2, 10])):
                batch += line_of(stream.key, last)
                last += 1
                stream.ends.append(stream.sent + len(batch))
            for piece in _pieces(batch, dice):
                self._give(sock, stream, piece)
                if dice.random() < 0.3:
                    time.sleep(dice.random() * self._pause)
        until = time.monotonic() + self._patience
        while outstanding := unacknowledged(sock):
            stream.mark(outstanding)
            if _is_reset(sock):  # what it has not taken by now it never will
                raise ConnectionResetError
            if time.monotonic() > until:
                raise self._stuck(
                    f"the receiver does not take the last {outstanding} bytes of {stream.key!r}"
                )
            time.sleep(0.002)
        stream.mark(0)

    def _give(self, sock: socket.socket, stream: Stream, piece: bytes) -> None:
        until = time.monotonic() + self._patience
        while piece:
            with contextlib.suppress(TimeoutError):
                count = sock.send(piece)
                stream.sent += count
                piece = piece[count:]
                until = time.monotonic() + self._patience
            stream.mark(unacknowledged(sock))
            if self._over.is_set() and time.monotonic() > until:
                raise self._stuck(f"the receiver of {stream.key!r} takes nothing")


def unacknowledged(sock: socket.socket) -> int:
    """Return the bytes of text that were sent and that the receiver's kernel has not taken."""
    return sock.outstanding() if isinstance(sock, TlsSocket) else unacknowledged_by(sock)


def _is_reset(sock: socket.socket) -> bool:
    """Tell whether the other side has reset the connection (tcp_info.tcpi_state; 7 is TCP_CLOSE)."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7


def _pieces(data: bytes, dice: random.Random) -> list[bytes]:
    """Cut `data` as senders do: all at once, the text and its newline apart, or anywhere."""
    how = dice.random()
    if how < 0.4 or len(data) < 3:
        return [data]
    if how < 0.6:
        return [data[:-1], data[-1:]]
    cuts = sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.choice([1, 3, 12]))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
