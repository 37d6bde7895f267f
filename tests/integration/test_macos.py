"""The engine where nothing is that only Linux has: it records, and what it can't know there it says."""

from __future__ import annotations

import dataclasses
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import as_on_macos
from bench import Home, events_in, free_port, wait_until

from reclog.engine.records.jsonfile import read_json, write_json
from reclog.engine.records.names import MARK
from reclog.engine.system.detach import detached
from reclog.recordings.launch import daemon_command
from reclog.recordings.settings import resolve_local


def started(home: Home, port: int, **words: Any) -> tuple[subprocess.Popen[bytes], dict[str, Any], Path]:
    config = resolve_local({"port": port, "file": str(home.path / "x.log"), **words}, {})
    folder = home.recordings / f"local-{port}"
    folder.mkdir(parents=True)
    told = {**dataclasses.asdict(config), "kind": "local", "host": None, "token": "", "name": folder.name}
    write_json(str(folder / "config.json"), told)
    python, isolated, *engine = daemon_command("recorder", folder)
    command = [python, isolated, as_on_macos.__file__, *engine]
    env = {**home.env, MARK: str(folder)}
    daemon, answer = detached(command, str(folder), env, str(home.path / "said"))
    return daemon, answer, folder


def test_it_records(home: Home) -> None:
    port = free_port()
    home.ports.append(port)
    device = ["exec:sh -c 'echo a device; exec cat'"]
    daemon, answer, folder = started(home, port, from_=device)
    try:
        assert (answer.get("ready"), answer.get("listener")) == (True, "builtin"), answer
        lines = [b"sender %d line %d\n" % (sender, line) for sender in range(5) for line in range(20)]
        senders = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(5)]
        for number, sender in enumerate(senders):
            for line in lines[number * 20 : number * 20 + 20]:
                sender.sendall(line[:7])
                sender.sendall(line[7:])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"a datagram", ("127.0.0.1", port))
        file = home.path / "x.log"
        wait_until(lambda: len(file.read_bytes().splitlines()) == 102)
        wait_until(lambda: read_json(str(folder / "counters.json"))["senders"] == 5)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=20) == 0
        for sender in senders:
            sender.close()
    finally:
        daemon.kill()
        daemon.wait()
    assert sorted(file.read_bytes().splitlines(keepends=True)) == sorted(
        [*lines, b"a datagram\n", b"a device\n"]
    )
    assert (home.path / "said").read_text() == ""
    assert events_in(folder, "stopped")[0]["drained"] is True
    assert answer["notes"] == ["This system does not tell how many datagrams it drops."]


def test_what_only_linux_can_is_refused_with_words(home: Home) -> None:
    daemon, answer, _ = started(home, free_port(), listener="socat")
    daemon.wait()
    assert answer["message"] == "The socat listener works on Linux only: use --listener builtin."
