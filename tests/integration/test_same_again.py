"""The same command again: what is said anew changes while it runs, what can't is said."""

from __future__ import annotations

import contextlib
import socket

import psutil
from bench import BIN, Home, daemon_in, wait_until

ADDRESS = "127.0.0.1"


def again(home: Home, port: int, *words: str, status: int = 0) -> str:
    done = home.inv("local", "--port", str(port), *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_who_is_shut_out_is_gone_at_once_and_at_the_next_start(home: Home) -> None:
    recording = home.local("--listener", "builtin")
    port = recording.port
    assert f"0.0.0.0:{port} (builtin) -> {recording.file}\n" in again(home, port)
    with recording.connect() as stranger:
        stranger.sendall(b"accepted\nhalf")
        assert "Changed: --stamp --allow 127.0.0.2/32\n" in again(
            home, port, "--stamp", "--allow", "127.0.0.2/32", "--partial-after", "2"
        )
        stranger.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    wait_until(lambda: recording.read().endswith(b"half"))
    assert recording.read().startswith(b"accepted\n")
    (changed,) = recording.events("settings changed")
    assert (changed["allow"], changed["stamp"]) == (["127.0.0.2/32"], True)
    recording.daemon.kill()
    wait_until(lambda: recording.status()["state"] == "dead")
    assert str(recording.file) in again(home, port)  # it died: what was said stays
    with socket.socket() as friend:
        friend.bind(("127.0.0.2", 0))
        friend.connect((ADDRESS, port))
        friend.sendall(b"from a friend\n")
    wait_until(lambda: b"from a friend\n" in recording.read())
    with contextlib.suppress(ConnectionResetError):
        recording.send(b"from a stranger\n")
    wait_until(lambda: recording.status()["refused"] == 1)
    assert "Changed: --no-stamp --allow any" in again(home, port, "--allow", "any", "--no-stamp")
    recording.send(b"from anybody\n")
    wait_until(lambda: recording.read().endswith(b"\nfrom anybody\n"))
    assert b"stranger" not in recording.read()


def test_what_can_not_change_is_said_and_nothing_does(home: Home) -> None:
    recording = home.local("--listener", "builtin")
    before = recording.daemon
    said = again(home, recording.port, "--stamp", "--file", "/another.log", status=1)
    assert f"runs with --file {recording.file}, and that does not change while it runs" in said
    assert f"`inv kill --port {recording.port}`, then this again" in said
    assert "--foreground out" in again(home, recording.port, "--foreground", status=1)
    before.suspend()
    wait_until(lambda: before.status() == psutil.STATUS_STOPPED)
    assert f"kill -CONT {before.pid}" in again(home, recording.port, "--stamp", status=1)
    before.resume()
    assert not recording.events("settings changed")
    assert recording.daemon == before


def test_a_name_is_all_that_is_said_again(home: Home) -> None:
    recording = home.local("--as", "kitchen", "--listener", "builtin")
    named = f"kitchen: 0.0.0.0:{recording.port} (builtin) -> {recording.file}\n"
    done = home.inv("local", "--as", "kitchen", "--stamp")
    assert (named in done.stdout, "Changed: --stamp" in done.stdout) == (True, True), done.stderr
    assert "Stop: inv kill kitchen\n" in done.stdout
    assert "runs with --as kitchen, and that" in again(home, recording.port, "--as", "den", status=1)
    other = home.to_be()
    done = home.inv("local", "--as", "kitchen", "--port", str(other.port), "--file", str(other.file))
    assert (done.returncode, f"kitchen runs with --port {recording.port}, --file" in done.stderr) == (1, True)
    for words in (["test-connection"], ["status"], ["tail", "--no-follow"], ["history"], ["kill"]):
        done = home.inv(*words, "kitchen")
        assert (done.returncode, done.stderr) == (0, ""), words
    assert home.inv("kill", "kitchen").returncode == 1
    done = home.inv("local", "--as", "kitchen", "--listener", "builtin")
    assert named in done.stdout, done.stderr
    daemon_in(home.recordings / "kitchen").kill()
    wait_until(lambda: recording.status()["state"] == "dead")
    assert named in home.inv("local", "--as", "kitchen", "--listener", "builtin").stdout


def test_a_socat_is_told_when_it_starts(home: Home) -> None:
    recording = home.local("--listener", "socat")
    said = again(home, recording.port, "--allow", "127.0.0.0/8", status=1)
    assert "is not changed (while socat listens only --partial-after changes)" in said
    assert "Changed: --partial-after 9.0" in again(home, recording.port, "--partial-after", "9")
    assert recording.status()["state"] == "recording"


def test_a_start_without_standard_streams_starts(home: Home) -> None:
    running = home.to_be()
    done = home.run("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", str(BIN / "inv"), *running.words)
    assert done.returncode == 0
    running.send(b"line\n")
    wait_until(lambda: running.read() == b"line\n")


def test_a_path_is_proved_from_an_address_that_may_send(home: Home) -> None:
    recording = home.local("--bind", "::", "--allow", "127.0.0.0/8", "--listener", "builtin")
    done = home.inv("test-connection", "--port", str(recording.port))
    assert done.returncode == 0, done.stderr
    assert f"port 127.0.0.1:{recording.port}" in done.stdout


def test_few_open_files_serve_as_many_as_is_said(home: Home) -> None:
    recording = home.to_be()
    words = [str(BIN / "inv"), *recording.words, "--listener", "builtin"]
    done = home.run("sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *words)
    assert done.returncode == 0, done.stderr
    assert "At most 16 senders are served at once" in done.stderr
    with contextlib.ExitStack() as stack:
        for _ in range(17):
            stack.enter_context(recording.connect())
        wait_until(lambda: recording.status()["senders"] == 16 and recording.status()["listener_full"])
