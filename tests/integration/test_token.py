"""`--token`: who says it is recorded, nobody else, and it stands nowhere but where its user reads it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from bench import Home, Running, wait_until
from scanner import scan
from swarm import Crowd, is_closed
from tremplin_bench import Tremplin

ASKING = ("--token", "--listener", "builtin")


def token_in(said: str) -> str:
    (token,) = re.findall(r"^Token: (\S+)$", said, re.MULTILINE)
    return str(token)


def again(recording: Running, *words: str) -> str:
    done = recording.home.inv("local", "--port", str(recording.port), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def say(recording: Running, token: str, text: bytes) -> None:
    recording.send(token.encode() + b"\n" + text)


def see_it_is_kept_to_itself(token: str, folders: Iterable[Path], but: Path) -> None:
    """See that the token is in no file but one, and that nobody else may read that."""
    assert token in but.read_text()
    assert but.stat().st_mode & 0o777 == 0o600
    assert but.parent.stat().st_mode & 0o777 == 0o700
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path != but:
                assert token.encode() not in path.read_bytes(), path


@contextlib.contextmanager
def in_no_argv(token: str) -> Iterator[None]:
    """See that no process of this machine has the token in its words meanwhile."""
    over, seen = threading.Event(), set[bytes]()

    def look() -> None:
        while not over.wait(0.002):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())

    crowd = Crowd([look])
    try:
        yield
    finally:
        over.set()
        crowd.join()
    assert any(b"python3" in words for words in seen)
    assert not [words for words in seen if token.encode() in words]


def test_real_senders_say_it_and_a_scan_leaves_nothing(home: Home) -> None:
    recording = home.local(*ASKING)
    said = again(recording)
    token = token_in(said)
    assert len(token) * 5 >= 128
    assert not set(token) & set("0Oo1lI")
    _, port = re.findall(r"/dev/tcp/(\S+)/(\d+)", said)[0]
    assert int(port) == recording.port
    lines = [
        line.replace("my-program", "echo by this line") for line in said.splitlines() if "my-program" in line
    ]
    assert len(lines) == 2
    assert max(map(len, said.splitlines()[-5:-1])) <= 80
    for line in lines:
        done = home.run("bash", "-euc", line)
        assert done.returncode == 0, done.stderr
    python = next(line for line in said.splitlines() if line.startswith("sock."))
    with recording.connect() as sock:
        exec(python, {"sock": sock})
        sock.sendall(b"by this line\n")
    each = f'for n in {{1..50}}; do (echo {token}; echo "line $n") >/dev/tcp/127.0.0.1/{port}; done'
    writer = subprocess.Popen(["bash", "-euc", each])
    strangers = scan("127.0.0.1", recording.port)
    assert writer.wait(timeout=30) == 0
    expected = [b"by this line"] * 3 + [b"line %d" % number for number in range(1, 51)]
    wait_until(lambda: recording.read().count(b"\n") == len(expected))
    wait_until(lambda: recording.status()["refused"] >= strangers)
    assert sorted(recording.read().splitlines()) == sorted(expected)
    status = home.inv("status").stdout
    assert f"asks for a token: {recording.status()['refused']} strangers refused" in status
    assert recording.status()["connects"] == len(expected)
    assert recording.kill().returncode == 0
    assert sorted(recording.read().splitlines()) == sorted(expected)
    see_it_is_kept_to_itself(token, [home.path], home.state / "reclog" / "tokens" / f"local-{recording.port}")


def test_a_token_stays_while_nobody_says_otherwise(home: Home) -> None:
    recording = home.local("--listener", "builtin")
    assert "Token" not in again(recording)
    stranger = recording.connect()
    stranger.sendall(b"anybody\nhalf")
    wait_until(lambda: b"anybody\n" in recording.read())
    said = again(recording, "--token")
    token = token_in(said)
    assert "Changed: --token\n" in said
    wait_until(lambda: is_closed(stranger), what="who has not said it goes")
    recording.send(b"a stranger's\n")
    say(recording, token, b"sender's\n")
    wait_until(lambda: recording.read() == b"anybody\nhalf\nsender's\n")
    assert token_in(again(recording)) == token
    done = home.inv("test-connection", "--port", str(recording.port))
    assert done.returncode == 0, done.stderr
    recording.daemon.kill()
    wait_until(lambda: recording.status()["state"] == "dead")
    assert token_in(again(recording)) == token
    assert "Changed: --no-token\n" in again(recording, "--no-token")
    recording.send(b"anybody again\n")
    wait_until(lambda: recording.read().endswith(b"\nanybody again\n"))
    assert recording.kill().returncode == 0
    said = again(recording, *ASKING, "--file", str(recording.file))
    assert token_in(said) == token
    assert "udp" not in said
    assert not recording.status()["udp"]
    assert "udp)" in again(recording, "--no-token")
    assert recording.status()["udp"]
    assert "Changed: --token\n" in again(recording, "--token")
    assert not recording.status()["udp"]
    (home.state / "reclog" / "tokens" / f"local-{recording.port}").unlink()
    assert "Its token is not known here: --token makes another one" in again(recording)
    done = home.inv("test-connection", "--port", str(recording.port), "--timeout", "0.5")
    assert done.returncode == 1
    assert "its token known here (--token)?" in done.stderr
    said = again(recording, "--token")
    assert token_in(said) != token
    assert "Changed: --token\n" in said
    say(recording, token_in(said), b"the new one\n")
    wait_until(lambda: recording.read().endswith(b"the new one\n"))
    assert b"stranger" not in recording.read()


def test_a_token_of_ones_own(home: Home, tree: Path) -> None:
    config, file = tree / "invoke.yaml", home.path / "own.log"
    own = "correct horse"

    def configured(word: object) -> subprocess.CompletedProcess[str]:
        config.write_text(json.dumps({"reclog": {"token": word, "listener": "builtin"}}))
        return home.inv("local", "--port", str(port), "--file", str(file), cwd=tree)

    recording = home.local("--listener", "builtin", file=file)
    port = recording.port
    assert recording.kill().returncode == 0
    config.touch(0o644)
    config.chmod(0o644)
    done = configured(own.replace(" ", "-"))
    assert done.returncode == 2
    assert f"{config} has a token in it, and others can read it: chmod 600 {config}" in done.stderr
    config.chmod(0o600)
    assert configured(own).returncode == 2
    assert not home.processes()
    own = own.replace(" ", "-")
    done = configured(own)
    assert done.returncode == 0, done.stderr
    assert token_in(done.stdout) == own
    say(recording, own, b"line\n")
    wait_until(lambda: recording.read().endswith(b"line\n"))
    assert token_in(again(recording)) == own


@pytest.mark.parametrize("words", [("--raw",), ("--listener", "socat"), ("--no-token",)])
def test_what_can_not_ask_for_a_token(home: Home, words: tuple[str, ...]) -> None:
    done = home.inv("local", "--token", *words)
    assert done.returncode == 2
    assert "--token" in done.stderr
    assert words[0] in done.stderr
    assert not home.processes()


def test_through_a_tremplin(trem: Tremplin) -> None:
    recording = trem.open("--token")
    done = recording.again()
    assert done.returncode == 0, done.stderr
    token = token_in(done.stdout)
    assert re.search(rf"/dev/tcp/\S+/{recording.port}\n", done.stdout)
    each = f'for n in {{1..30}}; do (echo {token}; echo "line $n") >/dev/tcp/127.0.0.1/{recording.port}; done'
    writer = subprocess.Popen(["bash", "-euc", each])
    with recording.connect() as typed:
        typed.sendall(token.encode() + b"\r\n")
        typed.sendall(b"typed\r\n")
        strangers = scan("127.0.0.1", recording.port)
    assert writer.wait(timeout=30) == 0
    expected = [b"typed", *(b"line %d" % number for number in range(1, 31))]
    wait_until(lambda: recording.read().count(b"\n") == len(expected) + 1)
    probe, *lines = sorted(recording.read().splitlines(), key=lambda line: not line.startswith(b"reclog"))
    assert probe.startswith(b"reclog probe ")
    assert sorted(lines) == sorted(expected)
    wait_until(lambda: recording.status()["refused"] >= strangers)
    with in_no_argv(token):
        done = trem.home.inv("test-connection")
        assert done.returncode == 0, done.stderr
    relay = recording.relay
    relay.kill()

    def is_recorded() -> bool:
        with contextlib.suppress(OSError):
            say(recording, token, b"after that\n")
        return recording.read().endswith(b"after that\n")

    wait_until(is_recorded, 30, "it is started again by itself, and knows what to ask for")
    assert recording.relay != relay
    with contextlib.suppress(ConnectionError):
        recording.send(b"a stranger's\n")
    (kept,) = (trem.home.state / "reclog" / "tokens").iterdir()
    see_it_is_kept_to_itself(token, [trem.home.path, trem.relays.parent], kept)
    done = recording.again("--no-token")
    assert "changed: --no-token" in done.stdout
    recording.send(b"anybody\n")
    wait_until(lambda: recording.read().endswith(b"anybody\n"))
    assert b"stranger" not in recording.read()
