"""Promise 12 of a tremplin: strangers at its ports, with real ssh. (At its file: tests/faults.)"""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import subprocess
import sys

import psutil
from bench import listening, wait_until
from swarm import frozen, is_closed
from tremplin_bench import Tremplin
from tremplin_streams import counters, listens, relay_died

from reclog.engine.feed.handshake import PROTOCOL

# -- foreign edits -----------------------------------------------------------------------------------


def said_to(sock: socket.socket, words: bytes) -> bytes:
    """Return all that the other side says to `words` until it closes."""
    heard = b""
    sock.settimeout(10)
    with contextlib.suppress(ConnectionError):
        sock.sendall(words)
        while data := sock.recv(65536):
            heard += data
    return heard


def test_both_ports_are_for_this_host_alone(trem: Tremplin) -> None:
    recording = trem.open(at_port=True)
    ours = (recording.port_out, recording.port_local)
    assert listening(*ours) == {("127.0.0.1", port) for port in ours}


def test_the_tunnels_end_is_for_its_own_user_alone(trem: Tremplin) -> None:
    recording = trem.open()
    feed = recording.relay_folder / "feed"
    assert stat.S_IMODE(feed.stat().st_mode) == 0o600
    ours = {recording.port, recording.port_local}
    theirs = {
        one.laddr.port
        for role in (recording.relay, recording.ssh)
        for one in role.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }
    assert theirs == ours
    program = f"import os, socket; os.setuid(65534); socket.socket(socket.AF_UNIX).connect({str(feed)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def test_a_stranger_reads_nothing_of_the_spool(trem: Tremplin) -> None:
    recording = trem.open(at_port=True)
    with frozen(recording.daemon):
        recording.send(b"a secret of the sender\n" * 100)
        hello = b'{"collector": "me", "spool": null, "offset": 0, "take_over": true}\n'
        attempts = [b"", hello, b"0" * 32 + b" " + b"0" * 64 + b"\n" + hello, b"x" * 5000, b"\0" * 17]
        for port in (recording.port_out, recording.port_local):
            for attempt in attempts if port == recording.port_out else attempts[1:3]:
                with socket.create_connection(("127.0.0.1", port)) as sock:
                    heard = said_to(sock, attempt)
                # A reset can come before the greeting is read.
                assert heard == b"" or heard.startswith(b"reclog-feed %d " % PROTOCOL), heard
                assert heard.count(b"\n") <= 1, heard
    wait_until(lambda: recording.read().count(b"a secret of the sender\n") == 100)


def test_a_stranger_in_the_relays_place_learns_and_feeds_nothing(trem: Tremplin) -> None:
    recording = trem.open(at_port=True)
    config = json.loads((recording.folder / "config.json").read_text())
    recorded = recording.read()
    heard: list[bytes] = []
    with socket.socket() as stranger:
        with frozen(recording.daemon):
            relay_died(recording)
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", recording.port_out))
            stranger.listen()
        stranger.settimeout(10)
        answer = b'{"spool": "%s", "offset": %d, "end": 9999999}\n' % (b"0" * 16, len(recorded))
        for _ in range(3):
            sock, _ = stranger.accept()
            with sock:
                sock.sendall(b"reclog-feed %d " % PROTOCOL + b"0" * 32 + b"\n")
                heard.append(sock.recv(4096))
                heard.append(said_to(sock, b"0" * 64 + b"\n" + answer + b"intruder\n" * 100))
        # Senders are let in when the feed has its place, not before; and whoever looks sees why.
        taken = f"does not start: Port {recording.port_out} is in use already."
        wait_until(lambda: taken in str(counters(recording)["paused_for"]), 15, "why is said")
        assert counters(recording)["state"] == "reconnecting"
        assert recording.relay_events("not started")[-1]["cause"] == "port-taken"
        assert not listens(recording)
    everything = b"".join(heard)
    assert len(everything) == 3 * (32 + 1 + 64 + 1)  # its nonce and its proof, and not a word more
    assert config["secret"].encode() not in everything
    assert bytes.fromhex(config["secret"]) not in everything
    assert recording.read() == recorded
    wait_until(lambda: listens(recording), 15, "the relay is back")
    recording.send(b"hello again\n")
    wait_until(lambda: recording.read().endswith(b"hello again\n"))
    assert b"intruder" not in recording.read()


def test_strangers_in_numbers_do_not_keep_the_owner_out(trem: Tremplin) -> None:
    recording = trem.open(at_port=True)
    with contextlib.ExitStack() as open_ones:
        for number in range(200):
            sock = open_ones.enter_context(socket.create_connection(("127.0.0.1", recording.port_out)))
            with contextlib.suppress(ConnectionError):
                sock.sendall([b"", b"half a line", b"no collector\n", b"x" * 2000][number % 4])
        reconnects = counters(recording)["reconnects"]
        recording.ssh.kill()
        wait_until(lambda: counters(recording)["reconnects"] != reconnects, 15.0, "the owner is back")
        recording.send(b"hello\n")
        wait_until(lambda: recording.read().endswith(b"hello\n"))
        last = open_ones.enter_context(socket.create_connection(("127.0.0.1", recording.port_out)))
        wait_until(lambda: last.recv(4096) == b"" or is_closed(last), what="nobody stays without a word")
