"""Datagrams: real senders, on the port of streams, and losses that are counted (promises 14, 15)."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pygelf
import pytest
from bench import Home, Running, free_port, wait_until
from small_disk import SmallDisk
from tremplin_bench import Tremplin, TremplinRecording


def flood(port: int, count: int, host: str = "127.0.0.1", each: bytes = b"%07d") -> int:
    """Send so many numbered datagrams as fast as it goes; return how many."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(count):
            sock.sendto(each % number, (host, port))
    return count


def stated(recording: Running) -> int:
    """Return how many datagrams the event log says were dropped."""
    return sum(one["datagrams"] for one in recording.events("datagrams dropped"))


def numbers(recording: Running) -> list[bytes]:
    """Return the datagrams of a flood that were recorded, and see that nothing else was."""
    found = recording.read().splitlines()
    assert all(re.fullmatch(rb"\d{7}", one) for one in found)
    assert found == sorted(set(found))
    return found


# -- senders ------------------------------------------------------------------------------------


def python_syslog(port: int) -> list[str]:
    handler = logging.handlers.SysLogHandler(("127.0.0.1", port))  # UDP is its default
    _log(handler, "from Python\nin two lines")
    return ["<14>from Python", "in two lines"]


def util_linux(port: int) -> list[str]:
    words = ["logger", "-d", "-n", "127.0.0.1", "-P", str(port), "-t", "device"]
    subprocess.run([*words, "--rfc3164", "from logger"], check=True)
    return [r"<13>.* device: from logger"]


def netcat(port: int) -> list[str]:
    subprocess.run(["nc", "-u", "-q0", "127.0.0.1", str(port)], input=b"from\nnetcat", check=True)
    return ["from", "netcat"]


def gelf(port: int) -> list[str]:
    for packed in (True, False):
        handler = pygelf.GelfUdpHandler("127.0.0.1", port, compress=packed, chunk_size=200, debug=True)
        _log(handler, f"from GELF {packed} {'x' * 1000}")
    return [r'\{.*"short_message": ?"from GELF True x{1000}".*\}', r'\{.*"from GELF False x{1000}".*\}']


def sockets(port: int) -> list[str]:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            for text in (f"from {host}", "", f"again from {host}\n"):
                sock.sendto(text.encode(), (host, port))
    return [f"{word}from {host}" for host in ("127.0.0.1", "::1") for word in ("", "again ")]


def _log(handler: logging.Handler, text: str) -> None:
    logger = logging.Logger("device")
    logger.addHandler(handler)
    logger.info(text)
    handler.close()


def test_datagrams_of_real_senders_are_as_they_were_said(home: Home, listener: str) -> None:
    recording = home.local("--bind", "::", "--listener", listener)
    wanted = ""
    for sender in (python_syslog, util_linux, netcat, gelf, sockets):
        wanted += "".join(f"{line}\n" for line in sender(recording.port))
        pattern = re.compile(wanted.encode())
        wait_until(lambda pattern=pattern: pattern.fullmatch(recording.read()), 5, wanted)  # type: ignore[misc]
    recording.send(b"and a stream's\n")
    wait_until(lambda: recording.read().endswith(b"\nand a stream's\n"))
    assert recording.status()["udp"]
    assert recording.status()["datagrams_dropped"] == 0


def test_who_may_send_and_when_it_came(home: Home) -> None:
    recording = home.local("--bind", "::", "--allow", "127.0.0.0/8", "--stamp")
    sockets(recording.port)
    pattern = rb"(\S+Z 127\.0\.0\.1:\d+ (again )?from 127\.0\.0\.1\n){2}"
    wait_until(lambda: re.fullmatch(pattern, recording.read()))
    assert recording.status()["refused"] == 1
    refused = wait_until(lambda: recording.events("refused"))
    assert [one["sender"] for one in refused] == ["::1:udp"]


@pytest.mark.parametrize("words", [[], ["--no-udp"], ["--raw"]])
def test_where_no_datagrams_are_recorded_none_are(home: Home, words: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        port = free_port()
        if not words:
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            other.bind(("0.0.0.0", port))
        home.ports.append(port)
        done = home.inv("local", "--port", str(port), "--file", str(home.path / "x.log"), *words)
        assert done.returncode == 0, done.stderr
        said = f"Datagrams are not recorded: UDP port {port} is in use already"
        assert (said in done.stderr) == (not words)
        udp = [one for one in psutil.net_connections("udp") if one.laddr and one.laddr.port == port]
        assert len(udp) == (0 if words else 1)
        assert not home.status()[0]["udp"]


def test_udp_is_not_changed_while_it_runs(home: Home) -> None:
    recording = home.local()
    again = home.inv("local", "--port", str(recording.port), "--no-udp")
    assert again.returncode == 1
    assert "runs with --udp" in again.stderr


# -- losses -------------------------------------------------------------------------------------


def test_what_a_frozen_recorder_misses_is_counted(home: Home) -> None:
    recording = home.local()
    recording.daemon.send_signal(signal.SIGSTOP)
    sent = flood(recording.port, 60_000)
    recording.daemon.send_signal(signal.SIGCONT)
    wait_until(lambda: recording.status()["datagrams"] + recording.status()["datagrams_dropped"] == sent)
    status = recording.status()
    assert 0 < len(numbers(recording)) == status["datagrams"] < sent
    assert stated(recording) == status["datagrams_dropped"]
    table = home.inv("status").stdout
    assert f"{status['datagrams_dropped']} datagrams dropped" in table
    assert "datagrams dropped" in Path(recording.status()["holes"]).read_text()


def test_a_stop_records_what_the_kernel_has(home: Home) -> None:
    """Frozen, so that all of it waits when the stop begins; `kill` has it go on."""
    recording = home.local()
    recording.daemon.send_signal(signal.SIGSTOP)
    sent = flood(recording.port, 60_000)
    done = recording.kill()
    assert done.returncode == 0, done.stderr
    assert 500 < len(numbers(recording)) == sent - stated(recording)


@pytest.fixture
def disk(home: Home) -> Iterator[SmallDisk]:
    with contextlib.closing(SmallDisk(home.path / "disk", "2m")) as disk:
        yield disk
        home.kill_all()


@pytest.mark.root
def test_a_full_disk_leaves_them_to_the_kernel_which_counts(home: Home, disk: SmallDisk) -> None:
    recording = home.local(file=disk.path / "file.log")
    disk.fill(4096)
    sent = flood(recording.port, 30_000)
    wait_until(lambda: recording.status()["state"] == "paused")
    sent += flood(recording.port, 30_000)

    def dropped() -> int:
        return int(recording.status()["datagrams_dropped"])

    assert wait_until(dropped, what="drops are seen while it is paused") > 0
    disk.make_room()
    wait_until(lambda: recording.status()["datagrams"] + dropped() == sent)
    wait_until(lambda: len(numbers(recording)) == sent - dropped())
    wait_until(lambda: stated(recording) == dropped())


def test_what_a_tremplin_can_not_do_is_said_at_the_start(trem: Tremplin) -> None:
    recording = TremplinRecording(trem.home, free_port(), trem.home.path / "x.log", trem, 0, free_port())
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.bind(("::", recording.port))
        done = recording.again("--udp")
    assert done.returncode == 0, done.stderr
    assert f"note: Datagrams are not recorded: UDP port {recording.port} is in use already" in done.stdout
    assert not recording.status()["udp"]


def test_datagrams_come_through_a_tremplin_and_what_it_drops_is_stated_here(trem: Tremplin) -> None:
    recording = trem.open("--udp")
    probe = len(recording.read())
    flood(recording.port, 1, "::1")
    wait_until(lambda: recording.read()[probe:] == b"0000000\n")
    recording.relay.send_signal(signal.SIGSTOP)
    sent = flood(recording.port, 60_000)
    recording.relay.send_signal(signal.SIGCONT)

    def status() -> Any:
        return recording.status()

    wait_until(lambda: status()["datagrams"] + status()["datagrams_dropped"] == sent + 1)
    dropped = status()["datagrams_dropped"]
    wait_until(lambda: recording.read()[probe:].count(b"\n") == sent + 1 - dropped > 1)
    wait_until(lambda: stated(recording) == dropped)
    assert recording.kill().returncode == 0
