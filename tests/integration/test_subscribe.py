"""`inv subscribe`: recordings whose sender is a stream, of real servers."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats_servers
import pytest
from bench import ROOT, Home, daemon_in, events_in, free_port, wait_until
from hand_publisher import publish, say
from nats.js.api import StreamConfig
from nats.js.client import JetStreamContext
from nats_servers import Server

RECORDING = "local-55514"


def lines(first: int, count: int) -> list[bytes]:
    """Return messages of three lines each."""
    return [b"".join(b"line %d of %d\n" % (n, m) for n in range(3)) for m in range(first, first + count)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with nats_servers.one(tmp_path) as server:
        yield server


def subscribe(home: Home, server: Server, file: Path | str, *words: str) -> Path:
    """Start a subscriber; return its folder."""
    done = home.inv("subscribe", "--from", server.url, "--file", str(file), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return home.recordings / done.stdout.partition(":")[0]


def raw(server: Server, subject: bytes, headers: bytes) -> None:
    """Publish what no client would let one."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock, sock.makefile("rb") as heard:
        size = len(headers)
        sock.sendall(b'CONNECT {"headers":true,"verbose":false,"no_responders":true}\r\n')
        sock.sendall(b"HPUB %s %d %d\r\n%sx\r\nPING\r\n" % (subject, size, size + 1, headers))
        said = iter(heard.readline, b"")
        assert next(line for line in said if not line.startswith(b"INFO")) == b"PONG\r\n"


def test_a_file_is_as_published_whatever_is_killed(home: Home, server: Server) -> None:
    file = home.path / "a.log"
    at = publish(server.url, RECORDING, lines(0, 50))
    folder = subscribe(home, server, file)
    expected = b"".join(lines(0, 50))
    wait_until(lambda: file.read_bytes() == expected)
    for number in range(1, 3):
        daemon_in(folder).send_signal(signal.SIGKILL)
        at = publish(server.url, RECORDING, lines(50 * number, 50), at, stream=False)
        assert subscribe(home, server, file) == folder
        expected += b"".join(lines(50 * number, 50))
        wait_until(lambda: len(file.read_bytes()) >= len(expected))  # noqa: B023
    server.end()
    wait_until(lambda: events_in(folder, "stream lost"))
    assert home.status()[0]["state"] == "reconnecting"
    server.start().wait()
    publish(server.url, RECORDING, lines(200, 1), at, stream=False)
    expected += b"".join(lines(200, 1))
    wait_until(lambda: len(file.read_bytes()) >= len(expected))
    assert file.read_bytes() == expected
    told = [json.loads(one) for one in home.inv("tail", "--no-follow", "--json").stdout.splitlines()]
    assert {one["sender"] for one in told} == {"10.0.0.7"}
    # A stop, and the same again: it goes on where it was.
    assert "stopped" in home.inv("kill").stdout
    publish(server.url, RECORDING, lines(201, 1), at + len(b"".join(lines(200, 1))), stream=False)
    subscribe(home, server, file)
    wait_until(lambda: len(file.read_bytes()) > len(expected))
    assert file.read_bytes() == expected + b"".join(lines(201, 1))
    assert not events_in(folder, "gap")


def test_each_recording_has_its_file_and_strangers_have_none(home: Home, server: Server) -> None:
    publish(server.url, RECORDING, lines(0, 3))
    publish(server.url, "other", lines(7, 1), at=5)

    async def strange(context: JetStreamContext) -> None:
        for subject in ("reclog.a.b.c", "reclog.laptop.$(id)", f"reclog.laptop.{RECORDING}"):
            # nats-py's fetch takes a status for the server's.
            headers = {"Reclog-Recording": "../../x", "Status": "404"}
            await context.publish(subject, b"not ours\n", headers=headers)

    say(server.url, strange)
    for subject, headers in (
        (f"reclog.laptop.{RECORDING}".encode(), b"NATS/1.0 \xff\xfe\xfd\r\n\r\n"),
        (f"reclog.laptop.{RECORDING}".encode(), b"NATS/1.0"),
        (b"reclog.laptop.\xff\xfe", b"NATS/1.0\r\nx: \x1b[2J\r\n\r\n"),
        (b"reclog.laptop.\x1b[2J", b"NATS/1.0\r\n\r\n"),
    ):
        raw(server, subject, headers)
    publish(server.url, RECORDING, lines(9, 1), at=len(b"".join(lines(0, 3))) + 100)
    files = home.path / "logs" / "{machine}" / "{recording}.log"
    folder = subscribe(home, server, files)
    first, other = (home.path / "logs" / "laptop" / f"{name}.log" for name in (RECORDING, "other"))
    expected = b"".join([*lines(0, 3), *lines(9, 1)])
    wait_until(lambda: first.exists() and len(first.read_bytes()) >= len(expected))
    assert (first.read_bytes(), other.read_bytes()) == (expected, lines(7, 1)[0])
    assert {path for path in (home.path / "logs").rglob("*") if path.is_file()} == {first, other}
    told = {one["name"]: one for one in home.status()}
    assert {name.removeprefix(folder.name): one["file"] for name, one in told.items()} == {
        "": "",
        f".laptop-{RECORDING}": str(first),
        ".laptop-other": str(other),
    }
    mine = events_in(home.recordings / f"{folder.name}.laptop-{RECORDING}", "gap")
    assert [one["end"] - one["start"] for one in mine] == [100]
    assert events_in(folder, "messages not taken")
    wait_until(lambda: home.status()[0]["messages_not_taken"] == 7)
    assert "7 messages not taken" in home.inv("status").stdout
    # All of them, by time.
    tailed = home.inv("tail", "--no-follow", "--lines", "100").stdout
    assert "line 2 of 7" in tailed
    assert "line 2 of 9" in tailed
    done = home.inv("kill")
    assert done.returncode == 0, done.stderr
    assert f"{folder.name} stopped, 15 lines recorded: {files}\n" in done.stdout
    past = {one["name"]: one for one in json.loads(home.inv("history", "--json").stdout)}
    assert {one["state"] for one in past.values()} == {"past"}
    assert past[folder.name]["files"] == str(files)
    for _ in range(2):
        assert subscribe(home, server, files) == folder
        daemon_in(folder).send_signal(signal.SIGKILL)
    assert first.read_bytes() == expected


def test_a_stream_that_is_made_anew_is_a_stated_reset(home: Home, server: Server) -> None:
    file = home.path / "a.log"
    end = publish(server.url, RECORDING, lines(0, 20))
    folder = subscribe(home, server, file)
    wait_until(lambda: file.read_bytes() == b"".join(lines(0, 20)))

    async def anew(context: JetStreamContext) -> None:
        await context.delete_stream("reclog")

    say(server.url, anew)
    # The one before, and more: a publisher that reads its file again.
    publish(server.url, RECORDING, lines(0, 21))
    wait_until(lambda: len(file.read_bytes()) > end)
    assert file.read_bytes() == b"".join(lines(0, 21))
    assert [one["known"] for one in events_in(folder, "stream reset")] == [20]


def test_it_begins_now_or_at_a_time_and_is_what_is_said_anew_of_it(home: Home, server: Server) -> None:
    at = publish(server.url, RECORDING, lines(0, 2))
    now, later = home.path / "now.log", home.path / "later.log"
    folder = subscribe(home, server, now, "--start", "now", "--as", "lab", "--rotate", "1MiB")
    assert folder.name == "lab"
    daemon_in(folder).kill()
    publish(server.url, RECORDING, lines(2, 1), at, stream=False)
    subscribe(home, server, now, "--start", "now")
    # A name stands for the rest. What is said anew changes, as far as that is about pieces.
    for words, code, said in (
        (["--keep", "3"], 0, "Changed: --keep 3\n"),
        (["--keep", "1MiB"], 2, "have it cut at half of that"),
        (["--foreground"], 1, "already, in the background"),
        (["--subject", "reclog.x.y"], 1, "lab runs with --subject reclog.>, and that does not change"),
    ):
        other = home.inv("subscribe", "--as", "lab", *words)
        assert (other.returncode, said in other.stdout + other.stderr) == (code, True), other.stderr
    assert home.status()[0]["rotates_at_bytes"] == 1 << 20
    subscribe(home, server, later, "--start", "1h")
    wait_until(lambda: now.read_bytes() == lines(2, 1)[0])
    wait_until(lambda: later.read_bytes() == b"".join(lines(0, 3)))


def test_the_rights_that_the_page_gives_are_enough(home: Home) -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    rights = re.findall(r"(publish: \[[^\]]*\],\s*subscribe: \[[^\]]*\])", page)
    users = [
        f"{{ user: {name}, password: secret, permissions: {{ {words} }} }}"
        for name, words in zip(("publisher", "subscriber"), rights, strict=True)
    ]
    login = {name: f"{name}:secret" for name in ("publisher", "subscriber")}
    with nats_servers.one(home.path, "authorization { users: [\n" + "\n".join(users) + "\n] }") as server:
        running = home.local("--listener", "builtin")
        running.send(b"said\n")
        words = ["publish", "--to", server.url, "--machine", "laptop"]
        done = home.inv(*words, env={"RECLOG_NATS_LOGIN": login["publisher"]})
        assert done.returncode == 0, done.stderr
        copy = home.path / "copy.log"
        words = ["subscribe", "--from", server.url, "--file", str(copy)]
        done = home.inv(*words, env={"RECLOG_NATS_LOGIN": login["subscriber"]})
        assert done.returncode == 0, done.stderr
        wait_until(lambda: copy.read_bytes() == b"said\n")
        wrong = home.inv(*words[:3], "--file", str(home.path / "b"), env={"RECLOG_NATS_LOGIN": "no:body"})
        assert "does not let us in" in wrong.stderr
        assert home.inv("kill").returncode == 0
        assert not list(home.state.rglob("login"))


def test_a_stream_that_can_not_be_read_twice_is_refused_and_one_in_memory_is_said(
    home: Home, server: Server
) -> None:
    kinds: list[dict[str, Any]] = [
        {"name": "once", "subjects": ["once.>"], "retention": "interest"},
        {"name": "a", "subjects": ["two.a"]},
        {"name": "b", "subjects": ["two.b"]},
        {"name": "short", "subjects": ["short.>"], "storage": "memory"},
    ]

    async def make(context: JetStreamContext) -> None:
        for kind in kinds:
            await context.add_stream(StreamConfig(**kind))

    say(server.url, make)
    for subject, code, said in (
        ("once.>", 1, "lets go of what was read once (interest)"),
        ("two.*", 1, "several streams have parts of two.* (a, b)"),
        ("short.>", 0, "The stream short is in memory"),
    ):
        words = ["--from", server.url, "--subject", subject, "--file", str(home.path / "a.log")]
        done = home.inv("subscribe", *words)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "--from is missing"),
        (["--from", "{server}", "--subject", "a..b"], 2, "is no subject"),
        (["--from", "{server}", "--start", "yesterday"], 2, "is no time"),
        (["--from", "{server}", "--keep", "3"], 2, "is about what --rotate sets aside"),
        (["--from", "{server}", "--subject", "other.>"], 1, "no stream has the subject other.>"),
        (["--from", "nats://127.0.0.1:{port}"], 1, "nobody listens there"),
    ],
)
def test_what_can_not_be_is_a_sentence(
    home: Home, server: Server, words: list[str], code: int, said: str
) -> None:
    words = [word.format(server=server.url, port=free_port()) for word in words]
    done = home.inv("subscribe", *words, "--file", str(home.path / "a.log"))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert done.stderr.count("\n") == 1
    with contextlib.suppress(FileNotFoundError):
        assert not any(home.recordings.iterdir())
