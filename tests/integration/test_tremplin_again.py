"""The same command again, through a tremplin: the relay changes while it runs, or that it can not is said."""

from __future__ import annotations

import contextlib
import json
import socket

from bench import events_in, wait_until
from tremplin_bench import Tremplin, TremplinRecording


def send_from(address: str, recording: TremplinRecording, data: bytes) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    to = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family) as sock, contextlib.suppress(ConnectionError):
        sock.bind((address, 0))
        sock.connect((to, recording.port))
        sock.sendall(data)


def test_a_relay_changes_while_it_runs_and_its_next_start_knows(trem: Tremplin) -> None:
    recording = trem.open()
    relay = recording.relay
    send_from("::1", recording, b"by IPv6\n")
    wait_until(lambda: b"by IPv6\n" in recording.read())
    with recording.connect() as stranger:
        stranger.sendall(b"accepted\n")
        words = ("--allow", "127.0.0.2", "--max-senders", "7", "--spool-max", "8MiB", "--foreground")
        done = recording.again(*words)
        assert done.returncode == 0, done.stderr
        assert "changed: --allow 127.0.0.2 --max-senders 7 --spool-max 8388608" in done.stderr
        assert "It runs in the background already: `inv tail` shows its lines." in done.stderr
        stranger.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    wait_until(lambda: b"accepted\n" in recording.read())
    (changed,) = recording.relay_events("settings changed")
    assert (changed["allow"], changed["spool_max"]) == (["127.0.0.2"], 8 << 20)
    assert recording.relay == relay
    told = json.loads((recording.relay_folder / "config.json").read_text())
    assert (told["allow"], told["max_senders"]) == (["127.0.0.2"], 7)

    send_from("127.0.0.1", recording, b"from a stranger\n")
    # Both die, and the same command has them run as they were.
    recording.daemon.kill()
    relay.kill()
    wait_until(lambda: recording.status()["state"] == "dead" and not relay.is_running())
    done = recording.again()
    assert done.returncode == 0, done.stderr
    send_from("127.0.0.1", recording, b"from a stranger\n")
    send_from("127.0.0.2", recording, b"from a friend\n")
    wait_until(lambda: recording.read().endswith(b"from a friend\n"))
    assert b"stranger" not in recording.read()
    wait_until(lambda: recording.relay_counters()["refused"] >= 1)


def test_what_a_relay_can_not_change_is_said(trem: Tremplin) -> None:
    recording = trem.open("--bind", "127.0.0.1", "--max-per-address", "9", "--as", "{host}.kitchen")
    name = f"{recording.status()['host']}.kitchen"
    assert recording.status()["name"] == name
    done = trem.fab("tremplin", "--as", name)
    assert done.returncode == 0, done.stderr
    assert f"Stop: inv kill {name}\n" in done.stdout
    done = recording.again("--as", "den")
    assert (done.returncode, f"{name} runs with --as {name}, and that" in done.stderr) == (1, True)
    done = recording.again("--bind", "::", "--stamp")
    assert done.returncode == 1
    assert "runs with --bind 127.0.0.1, and that does not change while it runs: `inv kill" in done.stderr
    relay = recording.relay
    relay.suspend()
    done = recording.again("--stamp", "--max-per-address", "3")
    assert done.returncode == 1
    assert "is not changed (" in done.stderr
    assert "it does not answer" in done.stderr
    relay.resume()
    assert not events_in(recording.folder.with_name(name), "settings changed")
