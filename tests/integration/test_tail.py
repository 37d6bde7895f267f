"""`inv tail` with real recordings, in a real terminal, and in the real lnav."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import signal
import socket
import time

import pytest
from bench import BIN, Home, Running, wait_until
from terminal import HOSTILE, terminal

from reclog.engine.stores.index.reader import IndexReader

INV = str(BIN / "inv")
NAMES = ("--name", "127.0.0.2=kitchen", "--name", "127.0.0.3=garage")


@pytest.fixture
def running(home: Home) -> Running:
    """Return a recording that has heard two senders, and then one that nobody has named."""
    running = home.local("--listener", "builtin", *NAMES)
    for number, (host, text) in enumerate(
        (("127.0.0.2", b"one\n"), ("127.0.0.3", b"two\n"), ("127.0.0.4", HOSTILE + b"\n"))
    ):
        said_from(running, host, text)
        wait_until(lambda number=number: running.status()["lines"] >= number + 1)  # type: ignore[misc]
    index = IndexReader(str(running.folder), str(running.file))
    wait_until(lambda: len(index.senders()) == 3, what="who they were, which is written after what they said")
    return running


def said_from(running: Running, host: str, text: bytes) -> float:
    """Send text from an address, and return when."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=10, source_address=(host, 0)) as sock:
        sent = time.time()
        sock.sendall(text)
    return sent


#: What a terminal sees of `HOSTILE`: a colour, which ends with the line, and nothing that moves anything.
SEEN = b"\x1b[31mred\\x1b]0;title\\x07 \\u202e [bold]x[/] \\x9b\\xff\x1b[0m\r\n"


def test_a_terminal_sees_senders_in_colours_and_obeys_nobody_else(home: Home, running: Running) -> None:
    with terminal(home, INV, "tail") as window:
        window.see(SEEN)
        said_from(running, "127.0.0.3", b"three\n")
        window.see(b"three\r\n")
        window.type(b"\x03")
        assert window.ended() == 0
    shown = [
        re.fullmatch(rb"\x1b\[(\d+)m([\w.]+) \x1b\[0m(.*)", line) for line in window.shown.split(b"\r\n")
    ]
    lines = [found.groups() for found in shown if found]
    assert [line[1:] for line in lines] == [
        (b"kitchen", b"one"),
        (b"garage", b"two"),
        (b"127.0.0.4", SEEN[:-2]),
        (b"garage", b"three"),
    ]
    assert lines[1][0] == lines[3][0]  # one sender, one colour
    assert len({line[0] for line in lines}) == 3
    assert not re.search(rb"\x1b(?!\[[0-9;]*m)", window.shown)


def test_no_color(home: Home, running: Running) -> None:
    home.env["NO_COLOR"] = "1"
    with terminal(home, INV, "tail", "--no-follow", "--sender", "kitchen") as window:
        assert window.ended() == 0
    assert window.shown == b"kitchen one\r\n"


def test_who_said_what_when(home: Home) -> None:
    running = home.local("--listener", "builtin", *NAMES)
    sent = []
    for number in range(20):
        host, name = (("127.0.0.2", "kitchen"), ("127.0.0.3", "garage"), ("127.0.0.9", "127.0.0.9"))[
            number % 3
        ]
        sent.append((name, f"line {number}", said_from(running, host, b"line %d\n" % number)))
        wait_until(lambda number=number: running.status()["lines"] == number + 1)  # type: ignore[misc]
    done = home.inv("tail", "--no-follow", "--json", "--lines", "100")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["sender"], one["text"]) for one in found] == [one[:2] for one in sent]
    for one, (_, _, when) in zip(found, sent):
        came = datetime.datetime.fromisoformat(one["time"].replace("Z", "+00:00")).timestamp()
        assert -0.002 < came - when < 1.0
    since = found[10]["time"]
    done = home.inv("tail", "--no-follow", "--since", since, "--sender", "127.0.0.2", "--grep", r"line \d+$")
    assert done.stdout.splitlines() == [f"kitchen line {number}" for number in (12, 15, 18)]
    done = home.inv("tail", "--no-follow", "--stamp", "--until", since, "--lines", "1")
    assert done.stdout == f"{since} {found[10]['sender']} line 10\n"


def test_a_recorder_that_was_killed_is_looked_at_as_before(home: Home, running: Running) -> None:
    time_of_death = running.status()["last_line_at"]
    running.daemon.send_signal(signal.SIGKILL)
    wait_until(lambda: running.status()["state"] == "dead")
    done = home.inv("tail", "--no-follow", "--sender", "garage")
    assert done.stdout == "garage two\n"
    assert home.inv(*running.words).returncode == 0
    said_from(running, "127.0.0.2", b"again\n")
    wait_until(lambda: running.read().endswith(b"again\n"))
    lines = home.inv("tail", "--no-follow").stdout.splitlines()
    assert lines[-2:] == ["── the recorder was killed, and started again ──", "kitchen again"]
    assert time_of_death


@pytest.fixture
def headless_lnav(home: Home) -> None:
    """Have the real lnav answer a question, where a person would look at it."""
    lnav = shutil.which("lnav")
    assert lnav, "sh bootstrap.sh tests installs it"
    folder = home.path / "bin"
    folder.mkdir()
    query = ";SELECT log_time, sender, log_body FROM reclog_log"
    (folder / "lnav").write_text(f"#!/bin/sh\nexec {lnav} -n -c '{query}' -c ':write-csv-to -' \"$@\"\n")
    (folder / "lnav").chmod(0o700)
    home.env["PATH"] = f"{folder}:{home.env['PATH']}"


@pytest.mark.usefixtures("headless_lnav")
def test_lnav_knows_times_and_senders(home: Home, running: Running) -> None:
    done = home.inv("tail", "--no-follow", "--lnav")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split(",") for line in done.stdout.splitlines() if line[:2] == "20"]
    assert [row[1:] for row in rows[:2]] == [["kitchen", "one"], ["garage", "two"]]
    assert rows[2][1] == "127.0.0.4"


def test_without_lnav_a_sentence_says_what_to_do(home: Home, running: Running) -> None:
    done = home.inv("tail", "--lnav", env={"PATH": str(home.path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lnav is not here: install it (apt-get install lnav), or leave --lnav out.\n"
