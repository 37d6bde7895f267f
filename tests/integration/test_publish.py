"""`inv publish` with real servers: each byte once, whatever is killed; and what goes wrong is said."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats_accounts
import nats_servers
import psutil
import pytest
from bench import Home, Running, daemon_in, events_in, wait_until
from nats_servers import Server
from streams import held, whole, with_stream

from reclog.engine.stores.index.reader import IndexReader
from reclog.look.text import Text
from reclog.recordings.registry import Recording
from reclog.stream.publishers import Publishers, describe


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with nats_servers.one(tmp_path) as one:
        yield one


class Publisher:
    """A publisher that a test started."""

    name = "publisher-127.0.0.1"

    def __init__(self, home: Home, servers: list[str], *words: str) -> None:
        self.home, self.words = home, ("publish", "--to", ",".join(servers), *words)
        self.folder = home.state / "reclog" / "publishers" / self.name

    def start(self, **kwargs: Any) -> Publisher:
        done = self.home.inv(*self.words, **kwargs)
        assert done.returncode == 0, done.stderr
        return self

    @property
    def daemon(self) -> psutil.Process:
        return daemon_in(self.folder)

    def status(self) -> dict[str, Any]:
        return describe([Recording(self.folder)])[0]

    def events(self, event: str = "") -> list[dict[str, Any]]:
        return events_in(self.folder, event)

    def until_done(self, recording: Running, within: float = 30.0) -> None:
        """Wait until all that is recorded is published."""
        wait_until(lambda: self._is_done(recording), within, f"all is published: {self.status()}")

    def _is_done(self, recording: Running) -> bool:
        size = recording.file.stat().st_size
        return any(one["published"] == size for one in self.status()["recordings"])

    def goes_on(self) -> None:
        before = self.status()["recordings"][0]["published"]
        wait_until(lambda: self.status()["recordings"][0]["published"] > before)

    def waits(self, words: str, within: float = 20.0) -> None:
        wait_until(lambda: words in str(self.status()["waiting_for"]), within, f"{words}: {self.status()}")


def send_while(recording: Running, until: threading.Event) -> threading.Thread:
    """Have three senders say numbered lines until that is set."""

    def send(number: int) -> None:
        line = 0
        with recording.connect() as sock:
            while not until.is_set():
                lines = [f"sender {number} line {line + more:06} {'x' * 80}\n" for more in range(50)]
                sock.sendall("".join(lines).encode())
                line += 50
                until.wait(0.02)

    def all_of_them() -> None:
        each = [threading.Thread(target=send, args=(number,)) for number in range(3)]
        for one in each:
            one.start()
        for one in each:
            one.join()

    thread = threading.Thread(target=all_of_them)
    thread.start()
    return thread


def check(recording: Running, servers: list[str]) -> None:
    """See that the stream holds what the file does, and that who said what when is as its index has it."""
    text, messages = whole(servers)
    assert text == recording.read()
    index = IndexReader(str(recording.folder), str(recording.file))
    told = [run for one in messages for run in one.runs]
    known = [run for run in told if run.ms is not None]
    assert known
    for run in random.Random(1).sample(known, min(200, len(known))):
        here = list(index.runs(run.begin, run.end))
        assert [(one.ms, one.sender) for one in here] == [(run.ms, run.sender)]


def test_each_byte_is_in_the_stream_once_whatever_is_killed(server: Server, home: Home) -> None:
    recording = home.local("--listener", "builtin", "--no-udp")
    publisher = Publisher(home, [server.url]).start()
    chance, over = random.Random(7), threading.Event()
    senders = send_while(recording, over)
    for kill in range(3):
        time.sleep(chance.uniform(0.1, 0.3))  # at any moment
        if kill == 1:
            server.end()
            server.start().wait()
        else:
            publisher.daemon.send_signal(signal.SIGKILL)
            publisher.start()
    over.set()
    senders.join()
    publisher.until_done(recording)
    check(recording, [server.url])


def test_three_servers_keep_it_though_one_of_them_is_killed(home: Home, tmp_path: Path) -> None:
    with nats_servers.three(tmp_path) as servers:
        urls = [one.url for one in servers]
        recording = home.local("--listener", "builtin", "--no-udp")
        publisher = Publisher(home, urls).start()
        assert publisher.status()["replicas"] == 3
        over = threading.Event()
        senders = send_while(recording, over)
        servers[0].end()
        publisher.goes_on()
        publisher.daemon.send_signal(signal.SIGKILL)
        publisher.start()
        servers[0].start().wait()
        over.set()
        senders.join()
        publisher.until_done(recording)
        check(recording, urls)
        home.inv("kill")


def test_kill_brings_what_is_in_the_file_and_says_what_it_could_not(server: Server, home: Home) -> None:
    recording = home.local("--no-udp")
    publisher = Publisher(home, [server.url]).start()
    recording.send(b"one\nhalf")
    assert home.inv("kill").returncode == 0
    assert whole([server.url])[0] == recording.read() == b"one\nhalf"
    recording = home.local("--no-udp", file=recording.file)
    publisher.start()
    server.end()
    recording.send(b"two\n")
    wait_until(lambda: recording.read().endswith(b"two\n"))
    done = home.inv("kill")
    assert done.returncode == 1
    assert f"{publisher.name}: 5 B not published" in done.stderr
    assert f"inv publish --to {server.url}" in done.stderr
    server.start().wait()
    publisher.start()
    publisher.until_done(recording)  # of a recording that has ended
    assert whole([server.url])[0] == b"one\nhalf\ntwo\n"
    assert home.inv("kill", publisher.name).returncode == 0


def _see_that_it_is_the_only_one(server: Server, recording: Running, publisher: Publisher) -> None:
    home = publisher.home
    again = home.inv(*publisher.words)
    assert "publishes already" in again.stdout
    other = home.inv("publish", "--to", server.url.replace("127.0.0.1", "localhost"))
    assert other.returncode == 1
    assert (
        f"local-{recording.port} is published by {publisher.name} (process {publisher.daemon.pid})"
        in other.stderr
    )
    otherwise = home.inv(*publisher.words, "--machine", "m")
    assert otherwise.returncode == 1
    assert f"inv kill {publisher.name}" in otherwise.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "--to is missing"),
        (("--to", "nats://me:secret@a"), 2, "RECLOG_NATS_LOGIN"),
        (("--to", "nats://127.0.0.1:1"), 1, "Nothing is published: 127.0.0.1:1: nobody listens there."),
        (("--to", "nats://127.0.0.1", "--stream", "a.b"), 2, "--stream 'a.b' is no name"),
        (("--to", "nats://127.0.0.1", "--machine", "a.b"), 2, "--machine 'a.b' can't be in a subject"),
        (("--to", "nats://127.0.0.1", "nobody"), 1, "'nobody' is no recording"),
        (("--to", "nats://127.0.0.1", "--max-bytes", "much"), 2, "--max-bytes"),
    ],
)
def test_wrong_words_are_said_and_nothing_is_left(
    home: Home, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = home.inv("publish", *words)
    assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
    assert "secret" not in done.stderr
    assert list(Publishers(home.state / "reclog").here()) == []


def test_a_stream_that_would_lose_is_refused_unless_it_is_wanted(server: Server, home: Home) -> None:
    async def make(js: Any) -> None:
        await js.add_stream(name="reclog", subjects=["reclog.>"], storage="memory")

    with_stream([server.url], make)
    home.local("--no-udp")
    done = home.inv("publish", "--to", server.url)
    assert done.returncode == 1
    assert "would lose what it has (storage: memory, discard: old): --any-stream" in done.stderr
    Publisher(home, [server.url], "--any-stream").start()


def test_jetstream_off_and_no_right_to_make_a_stream_are_said(home: Home, tmp_path: Path) -> None:
    home.local("--no-udp")
    may = 'permissions: { publish: ["$JS.API.STREAM.INFO.>"] }'
    users = f"authorization {{ users: [ {{ user: me, password: secret, {may} }} ] }}"
    with nats_servers.one(tmp_path, users) as server:
        done = home.inv("publish", "--to", server.url, env={"RECLOG_NATS_LOGIN": "me:secret"})
        assert done.returncode == 1
        assert "the server does not allow it" in done.stderr
    off = Server(tmp_path / "off", "off")
    off.settings = {"enabled": "false", **off.settings}
    off.start()
    try:
        wait_until(off.is_healthy)
        done = home.inv("publish", "--to", off.url)
        assert done.returncode == 1
        assert "JetStream" in done.stderr
    finally:
        off.end()


def test_what_an_account_may_not_is_said_at_once_and_holds_no_other_recording_back(
    home: Home, tmp_path: Path
) -> None:
    deny = {"deny": ["reclog.m.secret"]}
    config, creds = nats_accounts.told(tmp_path, {"disk_storage": 200_000}, pub=deny)
    with nats_servers.one(tmp_path, config) as server:
        open_one, secret = home.local("--no-udp", "--as", "open"), home.local("--no-udp", "--as", "secret")
        publisher = Publisher(home, [server.url], "--creds", str(creds), "--machine", "m").start()
        secret.send(b"secret\n")
        publisher.waits("the server does not allow it (permissions violation for publish to reclog.m.secret)")
        open_one.send(b"".join(b"line %04d %s\n" % (number, b"x" * 88) for number in range(1000)))
        publisher.until_done(open_one)
        open_one.send(b"".join(b"more %04d %s\n" % (number, b"x" * 88) for number in range(2000)))
        wait_until(lambda: "the stream is full (resource limits" in str(publisher.status()["recordings"]))
        assert home.inv("kill").returncode == 1


def test_a_full_stream_holds_the_publisher_back_and_drops_nothing(server: Server, home: Home) -> None:
    recording = home.local("--no-udp", "--listener", "builtin")
    publisher = Publisher(home, [server.url], "--max-bytes", "1MiB").start()
    recording.send(b"".join(b"line %06d %s\n" % (number, b"x" * 60) for number in range(5000)))
    publisher.until_done(recording)
    recording.send(b"".join(b"more %06d %s\n" % (number, b"x" * 60) for number in range(10_000)))
    publisher.waits("the stream is full")
    assert "is full" in home.inv("status").stderr
    assert recording.status()["state"] == "recording"

    async def make_room(js: Any) -> None:
        await js.update_stream(name="reclog", subjects=["reclog.>"], discard="new", max_bytes=10_000_000)

    with_stream([server.url], make_room)
    publisher.until_done(recording)
    check(recording, [server.url])
    assert [one["event"] for one in publisher.events() if one["event"] in ("waiting", "going on")] == [
        "waiting",
        "going on",
    ]


def test_messages_of_others_are_counted_and_break_nothing(server: Server, home: Home) -> None:
    recording = home.local("--no-udp")
    publisher = Publisher(home, [server.url]).start()
    subject = publisher.status()["recordings"][0]["subject"]

    async def disturb(js: Any) -> None:
        await js.publish(subject, b"not ours")
        await js.publish(subject, b"", headers={"Reclog-Recording": "0123456789abcdef-1"})

    for line in (b"one\n", b"two\n", b"six\n"):
        recording.send(line)
        publisher.until_done(recording)
        with_stream([server.url], disturb)
        if line == b"two\n":
            publisher.daemon.send_signal(signal.SIGKILL)
            publisher.start()
    recording.send(b"end\n")
    publisher.until_done(recording)
    assert whole([server.url])[0] == recording.read() == b"one\ntwo\nsix\nend\n"
    assert sum(one["messages"] for one in publisher.events("messages of others")) >= 6


def test_a_server_that_lost_all_it_had_gets_it_again_and_one_that_was_purged_does_not(
    server: Server, home: Home
) -> None:
    recording = home.local("--no-udp")
    publisher = Publisher(home, [server.url]).start()
    recording.send(b"one\n")
    publisher.until_done(recording)
    server.end()
    server.forget()
    server.start().wait()
    recording.send(b"two\n")
    wait_until(lambda: publisher.events("stream anew"))
    publisher.until_done(recording)
    assert whole([server.url])[0] == b"one\ntwo\n"

    async def purge(js: Any) -> None:
        await js.purge_stream("reclog")

    home.inv("kill", publisher.name)
    with_stream([server.url], purge)
    publisher.start()
    recording.send(b"six\n")
    publisher.until_done(recording)
    assert whole([server.url])[0] == b"six\n"


def test_a_small_max_payload_and_a_piece_that_was_set_aside_make_no_difference(
    home: Home, tmp_path: Path
) -> None:
    with nats_servers.one(tmp_path, "max_payload: 8192") as server:
        recording = home.local("--no-udp", "--listener", "builtin", "--rotate", "1MiB", "--compress")
        publisher = Publisher(home, [server.url]).start()
        lines = b"".join(b"line %06d %s\n" % (number, b"x" * 80) for number in range(5000))
        for _ in range(5):
            recording.send(lines)
        wait_until(lambda: recording.status()["lines"] == 25_000)
        wait_until(lambda: publisher.status()["lag_bytes"] == 0)
        text, messages = whole([server.url])
        recorded = Text(str(recording.folder), str(recording.file))
        assert recorded.base > 1 << 20
        assert text == recorded.pread(len(text) + 1, 0)
        recorded.close()
        assert max(len(one.payload) for one in messages) <= 4096
        assert all(one.payload.endswith(b"\n") for one in messages)
        home.inv("kill")


def test_a_file_that_was_emptied_is_published_as_another_line_of_bytes(server: Server, home: Home) -> None:
    recording = home.local("--no-udp")
    publisher = Publisher(home, [server.url]).start()
    recording.send(b"one\n")
    publisher.until_done(recording)
    recording.file.write_bytes(b"")
    recording.send(b"two\n")
    wait_until(lambda: publisher.events("file is another"))
    wait_until(lambda: len(held([server.url])) == 2)
    first, second = (said for _, said in held([server.url]))
    assert second.identity == first.identity.next()
    assert (second.begin, second.payload) == (0, b"two\n")


def test_a_lost_server_is_said_and_found_again_and_a_second_publisher_told_who_the_first_is(
    server: Server, home: Home
) -> None:
    recording = home.local("--no-udp")
    publisher = Publisher(home, [server.url]).start()
    _see_that_it_is_the_only_one(server, recording, publisher)
    server.end()
    publisher.waits("nobody listens there")
    recording.send(b"one\n")
    wait_until(lambda: publisher.status()["lag_bytes"] == 4)
    assert publisher.status()["state"] == "waiting"
    server.start().wait()
    publisher.until_done(recording)
    assert publisher.status()["state"] == "publishing"
    with contextlib.suppress(psutil.NoSuchProcess):
        assert publisher.daemon.memory_info().rss < 100 << 20
