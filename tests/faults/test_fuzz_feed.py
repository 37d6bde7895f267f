"""The feed, both of its ends: what the other side says may be anything."""

from __future__ import annotations

import json
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from fuzz import ODD, ShakyDisk, Wire, bounded, cases, changed, cut_at, damaged, examples, raw
from hypothesis import given
from hypothesis import strategies as st

from reclog.engine.daemons.collector import Collector
from reclog.engine.daemons.daemon import Daemon
from reclog.engine.feed import protocol as frames
from reclog.engine.feed.protocol import ACK, BEAT, DATA, JUMP, LAST, STOP, Decoder, FeedError, Frame
from reclog.engine.feed.server import Feed, Owner
from reclog.engine.records.jsonfile import read_json
from reclog.engine.stores.spool import Spool
from reclog.engine.system.loop import Loop
from reclog.look.status import describe, rows
from reclog.recordings.registry import Recording, Registry

SECRET = "5e" * 32
RELAY, OURS = "0" * 32, "1" * 32
#: No file is longer (off_t), and an ack of more would not fit into its header.
OFFSET_MAX = 2**63 - 1
#: What no stranger may ever see.
TEXT = b"".join(b"classified %d\n" % number for number in range(40))


# -- the relay's end ----------------------------------------------------------------------------


class Relay:
    """A spool and its feed, and what it says of them."""

    def __init__(self, folder: str) -> None:
        self.loop = Loop()
        self.events: list[str] = []
        self.stops = 0
        self.spool = Spool(folder, 1 << 20, self.say, ShakyDisk(), boot="this")
        self.spool.open()
        self.spool.add(1, TEXT)
        assert self.spool.flush()
        self.owner = Owner("me", "then")
        self.feed = Feed(self.loop, self.spool, SECRET, self.owner, self.say, lambda: {"lines": 1})
        self.feed.on_stop = self._stop
        self.feed.listen(0)
        assert self.feed._sock is not None
        self.port = int(self.feed._sock.getsockname()[1])
        self.sockets: list[socket.socket] = []

    def say(self, event: str, **facts: Any) -> None:
        self.events.append(event)
        json.dumps(facts)

    def _stop(self) -> None:
        self.stops += 1

    def connect(self) -> Caller:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.sockets.append(sock)
        return Caller(self, sock)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.feed.close()
        self.spool.close()
        self.loop.close()


class Caller:
    """Who connects to the feed, in the same thread."""

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its pieces come one by one
        self.heard = b""
        self.closed = False

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            self.relay.loop.turn(at_most=0)
            self.listen()

    def listen(self) -> None:
        try:
            while not self.closed:
                data = self.sock.recv(1 << 20)
                self.heard += data
                self.closed = not data
        except BlockingIOError:
            pass
        except ConnectionError:
            self.closed = True

    def say(self, data: bytes) -> None:
        """Say it all, as far as anyone listens."""
        rest = memoryview(data)

        def said() -> bool:
            nonlocal rest
            try:
                rest = rest[self.sock.send(rest) :] if rest else rest
            except BlockingIOError:
                pass  # the loop's turn first
            except ConnectionError:
                self.closed = True
            self.turn(1)
            return self.closed or not rest

        bounded(said, at_most=200_000)

    def until(self, seen: Callable[[], bool]) -> None:
        def look() -> bool:
            self.turn(1)
            return seen()

        bounded(look, at_most=200_000)

    def until_closed(self) -> None:
        self.until(lambda: self.closed)

    def line(self) -> bytes:
        self.until(lambda: b"\n" in self.heard or self.closed)
        line, _, self.heard = self.heard.partition(b"\n")
        return line

    def prove(self) -> None:
        nonce = frames.read_greeting(self.line())
        self.say(frames.answer(SECRET, nonce, OURS))
        frames.check_relay(SECRET, OURS, nonce, self.line())


@contextmanager
def relay() -> Iterator[Relay]:
    with tempfile.TemporaryDirectory() as folder:
        relay = Relay(folder)
        try:
            yield relay
        finally:
            relay.close()


def served(relay: Relay, name: str = "me") -> list[Frame]:
    """Connect as the owner; return the frames that bring all that nobody has taken yet."""
    owner = relay.connect()
    owner.prove()
    owner.say(json.dumps({"collector": name, "spool": None, "offset": 0, "take_over": True}).encode() + b"\n")
    answer = json.loads(owner.line())
    assert answer["offset"] == relay.spool.acked
    decoder = Decoder()
    found: list[Frame] = []

    def all_came() -> bool:
        data, owner.heard = owner.heard, b""
        found.extend(decoder.feed(data))
        came = sum(len(frame.payload) for frame in found if frame.kind == DATA)
        return came >= relay.spool.end - relay.spool.acked

    owner.until(all_came)
    assert not owner.closed
    return found


def check_relay_goes_on(relay: Relay, most_acked: int = 0) -> None:
    """Nothing was lost: the owner gets all from the last honest ack on."""
    assert relay.spool.acked <= most_acked
    assert len(relay.feed._strangers) <= 65
    assert all(len(peer._line) <= 2 * 65536 for peer in relay.feed._strangers)
    data = b"".join(frame.payload for frame in served(relay) if frame.kind == DATA)
    assert data == TEXT[relay.spool.acked :]


def strangers_words(nonce: str) -> st.SearchStrategy[bytes]:
    proof = frames.answer(SECRET, nonce, OURS)
    wrong = frames.answer("00" * 32, nonce, OURS)
    hello = json.dumps({"collector": "me", "spool": None, "offset": 0}).encode() + b"\n"
    return st.one_of(
        st.binary(max_size=200),
        st.builds(
            bytes.__mul__,
            st.sampled_from([b"\n", b"a", b"\0", b" \n", b"[", b"\xff"]),
            st.integers(1, 70_000),
        ),
        st.sampled_from([wrong, frames.greeting(nonce), hello, frames.encode(ACK, 2**64 - 1), wrong + hello]),
        damaged(wrong + hello + frames.encode(ACK, len(TEXT))),
        damaged(proof).filter(lambda words: b"\n" not in words or not is_proof(nonce, words)),
    )


def is_proof(nonce: str, words: bytes) -> bool:
    try:
        frames.check_answer(SECRET, nonce, words.partition(b"\n")[0])
    except FeedError:
        return False
    return True


@examples(60)
@given(data=st.data(), many=st.integers(1, 3))
def test_a_stranger_gets_a_greeting_and_harms_nobody(data: st.DataObject, many: int) -> None:
    with relay() as there:
        for _ in range(many):
            stranger = there.connect()
            greeting = stranger.line()
            words = data.draw(strangers_words(frames.read_greeting(greeting)))
            for piece in cut_at(words, data.draw(st.lists(st.integers(0, 100_000), max_size=3))):
                stranger.say(piece)
            if b"\n" in words:
                stranger.until_closed()
            assert stranger.heard == b""
        assert not there.feed.connected
        check_relay_goes_on(there)


HELLO = {"collector": "me", "spool": None, "offset": 0, "take_over": False}


@examples(100)
@given(
    hello=st.one_of(
        changed(HELLO),
        damaged(json.dumps(HELLO).encode()),
        ODD.map(str.encode),
        st.binary(max_size=60),
        st.builds(bytes.__mul__, st.sampled_from([b"[", b'{"a":', b" "]), st.integers(1, 60_000)),
    ),
    cuts=st.lists(st.integers(0, 100_000), max_size=3),
)
def test_words_of_one_who_knows_the_secret(hello: bytes, cuts: list[int]) -> None:
    check_hello(hello, cuts)


def check_hello(hello: bytes, cuts: Sequence[int] = ()) -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        for piece in cut_at(hello + b"\n", cuts):
            caller.say(piece)
        # Either it makes sense and is answered, or the connection is over.
        caller.until(lambda: caller.closed or b"\n" in caller.heard)
        answered = caller.heard.partition(b"\n")[0]
        if answered:
            answer = json.loads(answered)
            if "refused" not in answer:
                assert type(answer["offset"]) is int
                assert 0 <= answer["offset"] <= there.spool.end
                assert type(there.owner.name) is str
        there.owner.name = "me"
        check_relay_goes_on(there)


@pytest.mark.parametrize("case", cases("hello"))
def test_kept_words(case: dict[str, Any]) -> None:
    check_hello(raw(case["hello"]))


OFFSETS = st.one_of(
    st.integers(0, len(TEXT) + 5),
    st.sampled_from([0, 1, len(TEXT) - 1, len(TEXT), len(TEXT) + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1]),
)
FRAME = st.builds(
    frames.encode,
    st.sampled_from([ACK] * 4 + [STOP, DATA, JUMP, BEAT, LAST]),
    OFFSETS,
    st.one_of(st.just(b""), st.binary(max_size=20), ODD.map(str.encode)),
)
#: A header alone, of any lengths.
HEADER = st.builds(
    lambda kind, length, offset, crc: struct.pack("!cIQI", kind, length, offset, crc),
    st.sampled_from([ACK, STOP, DATA, b"\0", b"X", b"a"]),
    st.sampled_from(
        [0, 1, 20, frames.PAYLOAD_MAX - 1, frames.PAYLOAD_MAX, frames.PAYLOAD_MAX + 1, 2**32 - 1]
    ),
    OFFSETS,
    st.integers(0, 2**32 - 1),
)
STREAM = st.lists(st.one_of(FRAME, FRAME, HEADER, st.binary(max_size=20)), max_size=6).map(b"".join)


@examples(100)
@given(
    stream=STREAM, offset=OFFSETS, cuts=st.lists(st.integers(0, 100_000), max_size=3), listens=st.booleans()
)
def test_frames_of_the_owner(stream: bytes, offset: int, cuts: list[int], listens: bool) -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        hello = {"collector": "me", "spool": there.spool.id, "offset": offset}
        caller.say(json.dumps(hello).encode() + b"\n" + (b"" if listens else stream))
        for piece in cut_at(stream, cuts) if listens else ():
            caller.say(piece)
        acked = there.spool.acked
        # Who is cut off may not have heard all that was on its way.
        assert caller.closed or acked <= max((one for one in sent_up_to(caller.heard)), default=0)
        # Nothing that it said ends the relay; what is no frame ends its connection.
        try:
            sent = list(Decoder().feed(stream))
        except FeedError:
            caller.until_closed()
        else:
            if any(frame.kind not in (ACK, STOP) for frame in sent):
                caller.until_closed()
        check_relay_goes_on(there, most_acked=acked)


def sent_up_to(heard: bytes) -> Iterator[int]:
    """Yield the offsets before which all was sent to one who heard this."""
    line, _, rest = heard.partition(b"\n")
    if line:
        yield int(json.loads(line).get("offset", 0))
    for frame in Decoder().feed(rest):
        if frame.kind in (DATA, JUMP):
            yield frame.offset + len(frame.payload) if frame.kind == DATA else frame.offset


def test_what_was_not_sent_can_not_be_acked() -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        hello = json.dumps({"collector": "me", "spool": there.spool.id, "offset": 0}).encode()
        caller.say(hello + b"\n" + frames.encode(ACK, len(TEXT)))  # with the hello: before anything came
        caller.until(lambda: len(caller.heard) > len(TEXT))
        assert there.spool.acked == 0
        check_relay_goes_on(there)


def test_a_flood_is_taken_in_turns_and_not_kept() -> None:
    with relay() as there:
        caller = there.connect()
        caller.prove()
        caller.say(json.dumps(HELLO).encode() + b"\n")
        for _ in range(50):
            caller.say(frames.encode(ACK, 2**63, b"x" * 40_000) * 3)
            peer = there.feed._peer
            assert peer is None or len(peer._decoder._buffer) <= 2 * frames.PAYLOAD_MAX
        check_relay_goes_on(there)


# -- the collector's end ------------------------------------------------------------------------


class Here:
    """A collector whose tunnel ends at a wire."""

    def __init__(self, root: Path, before: bytes = b"") -> None:
        self.registry = Registry(root / "state")
        self.file = root / "file.log"
        self.file.write_bytes(before)
        self.before = before
        config = {"kind": "tremplin", "collector": "me", "file": str(self.file), "port_local": 1}
        config.update(secret=SECRET, ssh_command=["true"], start_command=["true"], host="there", port=1)
        self.recording = self.registry.new("tremplin-there-1", config)
        with mock.patch("reclog.engine.daemons.daemon.disk", ShakyDisk):
            self.daemon = Daemon(str(self.recording.folder))
        self.collector = Collector(self.daemon)
        self.collector.landing.open()
        tunnel: Any = self.collector.tunnel
        self.tunnel = tunnel
        tunnel._ssh = SimpleNamespace(pid=1, listens_on=lambda port: True, signal=lambda number: None)
        tunnel._starter = SimpleNamespace(pid=1)  # it starts nothing
        self.daemon.announce()

    def dial(self, pieces: Sequence[bytes], closes: bool = True) -> Wire:
        """Connect to a relay that says `pieces`; turn until all of it was heard or the wire was cut."""
        wire = Wire(pieces, closes)
        with (
            mock.patch("socket.create_connection", return_value=wire),
            mock.patch.object(frames, "nonce", return_value=OURS),
        ):
            self.tunnel._connected = False
            self.tunnel._dial()
        self.tunnel._dial_timer.off()
        bounded(lambda: bool(self.turned(wire)))
        return wire

    def turned(self, wire: Wire) -> Any:
        self.collector.publisher._published_at = 0.0
        self.daemon.loop.turn(at_most=0)
        self.tunnel._dial_timer.off()  # one call is enough
        collector = self.collector
        return collector._client is None or collector.finished or (wire.heard_all and not wire._closes)

    def written(self) -> bytes:
        self.collector.sink.flush()
        return self.file.read_bytes()[len(self.before) :]

    def close(self) -> None:
        self.collector.landing.close()
        if self.collector._client is not None:
            self.daemon.loop.unwatch(self.collector._client.sock)
            self.collector._client.close()
        self.daemon.loop.close()

    def check_status(self) -> None:
        """What came must not break what a person asks for."""
        self.collector.acks.settle()
        self.collector.publisher.publish()
        assert read_json(str(self.recording.folder / "counters.json"))
        check_overview(self.registry)


def check_overview(registry: Registry) -> list[dict[str, Any]]:
    """Have everything told of all recordings, as `inv status` and `inv status --json` do."""
    with mock.patch("reclog.look.status.marked", return_value={}):
        described = describe(registry.recordings(), registry)
    assert json.loads(json.dumps(described, indent=2, allow_nan=False)) == described
    for row in rows(described):
        assert all(len(str(cell)) < 10_000 for cell in row)
    return described


@contextmanager
def here(before: bytes = b"") -> Iterator[Here]:
    with tempfile.TemporaryDirectory() as folder:
        bench = Here(Path(folder), before)
        try:
            yield bench
        finally:
            bench.close()


def handshake(answer: bytes) -> bytes:
    proof = frames.proof(SECRET, "relay", OURS, RELAY).encode()
    return frames.greeting(RELAY) + proof + b"\n" + answer + b"\n"


ANSWER = {"spool": "s", "offset": 0, "end": len(TEXT), "known": False}
BEATEN = {
    "state": "recording",
    "paused_for": "",
    "lines": 1,
    "bytes": 1,
    "senders": 1,
    "connects": 1,
    "refused": 0,
    "end": 1,
    "acked": 0,
    "last_line": "x",
    "owner": "me",
    "connected": True,
    "stopping": False,
}
GOOD = handshake(json.dumps(ANSWER).encode())


def stream_of(*cuts: int) -> bytes:
    """Return an honest relay's frames."""
    said, offset = b"", 0
    for piece in cut_at(TEXT, cuts):
        said += frames.encode(DATA, offset, piece)
        offset += len(piece)
        said += frames.encode(BEAT, len(TEXT), json.dumps(BEATEN).encode())
    return said


@examples(60)
@given(words=st.one_of(st.binary(max_size=300), damaged(GOOD[: GOOD.rfind(b"{")])), closes=st.booleans())
def test_who_is_no_relay_gets_nothing_written(words: bytes, closes: bool) -> None:
    with here(b"before") as ours:
        wire = ours.dial([words], closes)
        assert ours.collector._client is None
        assert not ours.collector.finished
        assert ours.written() == b""
        assert b'collector":' not in wire.said or words.startswith(GOOD[: GOOD.rfind(b"{") - 1])
        ours.check_status()


def check_answer(answer: bytes) -> None:
    with here(b"before") as ours:
        wire = ours.dial([handshake(answer) + stream_of(20, 100)], closes=False)
        collector, landing = ours.collector, ours.collector.landing
        assert type(landing.position) is int
        assert 0 <= landing.position < 2**63
        assert not collector.finished
        assert ours.written() in (b"", b"\n" + TEXT)
        acks = [frame.offset for frame in frames_said(wire.said) if frame.kind == ACK]
        assert all(offset <= landing.position for offset in acks)
        ours.check_status()


def frames_said(said: bytes) -> list[Frame]:
    """Return the frames behind the two lines of a collector's handshake."""
    parts = said.split(b"\n", 2)
    return list(Decoder().feed(parts[2])) if len(parts) == 3 else []


@examples(80)
@given(
    answer=st.one_of(
        changed(ANSWER, "refused", "owner"), damaged(json.dumps(ANSWER).encode()), ODD.map(str.encode)
    )
)
def test_an_answer_without_sense_is_no_connection(answer: bytes) -> None:
    check_answer(answer.replace(b"\n", b""))


@pytest.mark.parametrize("case", cases("answer"))
def test_kept_answers(case: dict[str, Any]) -> None:
    check_answer(raw(case["answer"]))


@examples(60)
@given(beat=st.one_of(changed(BEATEN, "relay", "x"), ODD.map(str.encode)), last=st.booleans())
def test_what_a_relay_says_of_itself_does_not_break_status(beat: bytes, last: bool) -> None:
    check_beat(beat, last)


@pytest.mark.parametrize("last", [False, True], ids=["beat", "last"])
@pytest.mark.parametrize("case", cases("beat"))
def test_kept_beats(case: dict[str, Any], last: bool) -> None:
    check_beat(raw(case["beat"]), last)


def check_beat(beat: bytes, last: bool = False) -> None:
    with here() as ours:
        kind = LAST if last else BEAT
        ours.dial(
            [GOOD + stream_of()[: -17 - len(json.dumps(BEATEN))] + frames.encode(kind, len(TEXT), beat)],
            False,
        )
        assert ours.written() == TEXT
        ours.check_status()
        recording = Recording(ours.recording.folder)
        assert recording.counters["bytes"] == len(TEXT)


Op = tuple[bytes, int, bytes]


class Landed:
    """What should be in the file after these frames, by a model without a file."""

    def __init__(self) -> None:
        self.position = 0
        self.text = b""
        self.last = -1
        self.over = False

    def take(self, kind: bytes, offset: int, payload: bytes) -> None:
        if self.over:
            return
        if offset + len(payload) > OFFSET_MAX:
            self.over = True
        elif kind == DATA and offset == self.position:
            closing = b"\n" if self.joined and payload else b""
            self.joined = False if payload else self.joined
            self.text += closing + payload
            self.position += len(payload)
        elif kind == JUMP and self.position < offset:
            self.joined = bool(self.text) and not self.text.endswith(b"\n")
            self.position = offset
        elif kind in (BEAT, LAST) and _is_object(payload):
            if kind == LAST:
                self.last = offset
        else:
            self.over = True

    joined = False


def _is_object(payload: bytes) -> bool:
    try:
        Frame(BEAT, 0, payload).json()
    except FeedError:
        return False
    return True


@st.composite
def ops(draw: st.DrawFn) -> list[Op]:
    """Return frames that mostly follow each other, and now and then don't."""
    said: list[Op] = []
    position = 0
    far = st.sampled_from([0, 1, 2**31, 2**62, 2**63 - 9, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from([DATA] * 8 + [JUMP] * 3 + [BEAT] * 2 + [LAST, ACK, STOP]))
        offset = position
        if kind == JUMP:
            offset = draw(st.one_of(st.integers(position, position + 50), far))
        elif draw(st.integers(0, 12)) == 0 or kind == LAST:
            offset = draw(st.one_of(st.integers(0, position + 20), far))
        lines = st.lists(st.sampled_from([b"ab\n", b"cd", b"\n", b'{"a": 1}\n']), max_size=5).map(b"".join)
        told = st.one_of(st.just(b"{}"), st.just(b""), changed({"senders": 1}, "x"), st.binary(max_size=9))
        payload = draw(lines if kind == DATA else told)
        said.append((kind, offset, payload))
        if kind == DATA and offset == position:
            position += len(payload)
        elif kind == JUMP and offset > position:
            position = offset
        if position > OFFSET_MAX:
            break
    return said


@examples(80)
@given(said=ops(), cuts=st.lists(st.integers(0, 100_000), max_size=4))
def test_only_what_follows_is_written(said: list[Op], cuts: list[int]) -> None:
    check_ops(said, cuts)


def check_ops(said: list[Op], cuts: Sequence[int] = ()) -> None:
    with here() as ours:
        model = Landed()
        for op in said:
            model.take(*op)
        stream = GOOD + b"".join(frames.encode(*op) for op in said)
        wire = ours.dial(cut_at(stream, cuts), closes=False)
        collector = ours.collector
        written = ours.written()
        assert model.text.startswith(written) if collector.finished else written == model.text
        if not collector.finished:
            assert collector.landing.position == model.position
            assert (collector._client is None) == model.over
        else:
            assert 0 <= model.last <= model.position
        ours.check_status()
        acks = [frame.offset for frame in frames_said(wire.said) if frame.kind == ACK]
        assert acks == sorted(acks)
        assert all(offset <= model.position for offset in acks)


@pytest.mark.parametrize("case", cases("frames"))
def test_kept_frames(case: dict[str, Any]) -> None:
    check_ops([(kind.encode(), offset, raw(payload)) for kind, offset, payload in case["frames"]])


@examples(150)
@given(
    data=st.data(),
    bits=st.lists(st.integers(0, 10**6), min_size=1, max_size=2),
    cuts=st.lists(st.integers(0, 100_000), max_size=3),
)
def test_flipped_bits_are_noticed(data: st.DataObject, bits: list[int], cuts: list[int]) -> None:
    check_flipped(bits, cuts, data.draw(st.sampled_from([TEXT, b'{"json": "lines"}\n' * 9])))


def check_flipped(bits: Sequence[int], cuts: Sequence[int], text: bytes, beats: bool = True) -> None:
    stream = bytearray()
    offset = 0
    for piece in text.splitlines(keepends=True):
        stream += frames.encode(DATA, offset, piece)
        offset += len(piece)
        if beats:
            stream += frames.encode(BEAT, len(text), b"{}")
    for bit in bits:
        stream[bit // 8 % len(stream)] ^= 1 << bit % 8
    with here() as ours:
        good = handshake(json.dumps({**ANSWER, "end": len(text)}).encode())
        wire = ours.dial(cut_at(good + bytes(stream), cuts), closes=False)
        written = ours.written()
        assert text.startswith(written)
        assert not ours.collector.finished
        assert ours.collector.gaps == 0
        assert ours.collector.landing.position == len(written)
        acks = [frame.offset for frame in frames_said(wire.said) if frame.kind == ACK]
        assert max(acks) <= len(written)
        assert ours.collector.end <= len(text)


@pytest.mark.parametrize("case", cases("flips"))
def test_kept_flips(case: dict[str, Any]) -> None:
    check_flipped(case["bits"], [], raw(case["text"]), case["beats"])


def test_a_flood_of_frames_is_taken_in_turns() -> None:
    with here() as ours:
        beat = frames.encode(BEAT, 5, b"{}")
        wire = ours.dial([GOOD, beat * 40_000], closes=True)
        assert wire.heard_all
        assert len(ours.collector._client._decoder._buffer if ours.collector._client else b"") <= 1 << 21
        ours.check_status()
