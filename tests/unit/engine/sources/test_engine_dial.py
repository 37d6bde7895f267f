"""What is dialled: which addresses, what comes of them, and what is stated of their coming and going."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from intake_bench import Bench
from scripted import Said

from reclog.engine.intake.framing import Lines
from reclog.engine.sources import commands, connecting, serial
from reclog.engine.sources.dial import STATED_EVERY, Dialled, named, sender_name
from reclog.engine.system.backoff import STEADY_AFTER
from reclog.engine.system.identity import start_time
from reclog.engine.system.kernel import LINUX, drop_incoming

Dial = Callable[[str], Dialled]
#: Seconds of the clock after which a device is dialled again for sure.
LATER = 10.0

linux = pytest.mark.skipif(not LINUX, reason="it is asked of Linux alone")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.serve()
    yield bench
    bench.close()


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def dial(bench: Bench, said: Said, tmp_path: Path) -> Iterator[Dial]:
    handler = signal.getsignal(signal.SIGCHLD)
    began: List[Dialled] = []

    def begin(address: str) -> Dialled:
        one = Dialled(bench.loop, bench.intake, address, Lines, str(tmp_path), said)
        began.append(one)
        one.start(0)
        return one

    yield begin
    for one in began:
        one.close()
    signal.signal(signal.SIGCHLD, handler)


def python(code: str) -> str:
    return f'exec:{sys.executable} -S -u -c "{code}"'


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "give tcp://HOST:PORT, /dev/LINE@BAUD, exec:COMMAND or socat:ADDRESS"),
        ("udp://a:1", "give tcp://"),
        ("dev/ttyUSB0", "give tcp://"),
        ("tcp://device", "with a port from 1 to 65535"),
        ("tcp://device:0", "with a port"),
        ("tcp://device:65536", "with a port"),
        ("tcp://a b:23", "with a port"),
        ("tcp://" + "x" * 64 + ":23", "label"),
        ("tcp://[::1:23", "with a port"),
        ("/dev/ttyUSB0@115", "knows no 115 baud"),
        ("/dev/ttyUSB0@0", "knows no 0 baud"),  # termios(3): it hangs up
        ("/", "name a device"),
        ("/dev/a\0b", "name a device"),
        ("exec:", "name a command"),
        ("exec:echo 'a", "quotation"),
        ("exec:a\0b", "NUL"),
        ("exec:a\ud800", "surrogates"),
        ("/dev/\ud800", "surrogates"),
        ("socat:", "name an address"),
        ("socat:TCP-LISTEN:5,fork", "leave fork out"),
        ("socat:TCP-LISTEN:5, fork,reuseaddr", "leave fork out"),
        ("socat:TCP-LISTEN:5,Fork", "leave fork out"),
        ("socat:TCP-LISTEN:5,fork=1,reuseaddr", "leave fork out"),
    ],
)
def test_what_can_not_be_dialled_says_why(address: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        named(address)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp://Device:23", "tcp://device:23/", True),
        ("tcp://[::1]:23", "tcp://[::1]:24", False),
        ("/dev/tty1", "/dev/../dev/tty1@9600", True),
        ("/dev/tty1@9600", "/dev/tty2@9600", False),
        ("exec:a  'b'", "exec: a b", True),
        ("exec:a b", "exec:a 'b c'", False),
        ("socat:FILE:forks", "socat:FILE:forks", True),
    ],
)
def test_two_names_of_one_device(one: str, other: str, same: bool) -> None:
    assert (named(one) == named(other)) is same


def test_a_senders_name_fits_into_a_stamp() -> None:
    assert sender_name("tcp://device:23") == "tcp://device:23"
    assert sender_name("exec:docker logs\n-f\x1b web") == "exec:docker_logs_-f__web"
    assert len(sender_name("exec:" + "x" * 1000)) == 80


# -- a device that listens ------------------------------------------------------------------------


@pytest.fixture
def device() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def address_of(device: socket.socket) -> str:
    return f"tcp://127.0.0.1:{device.getsockname()[1]}"


def called(bench: Bench, device: socket.socket) -> socket.socket:
    """Take the next call of a device."""
    device.setblocking(False)
    taken: List[socket.socket] = []

    def came() -> bool:
        try:
            taken.append(device.accept()[0])
        except BlockingIOError:
            return False
        return True

    bench.until(came)
    return taken[0]


def test_it_is_heard_lost_and_heard_again(
    bench: Bench, said: Said, dial: Dial, device: socket.socket
) -> None:
    one = dial(address_of(device))
    with called(bench, device) as line:
        line.sendall(b"one\nha")
        bench.until(lambda: one.contact.connected and bench.store.text == b"one\n")
        bench.clock.time += 3
    bench.until(lambda: not one.contact.connected)
    assert bench.store.text == b"one\nha"
    assert one.contact.why == "it closed the connection"
    bench.clock.time += LATER
    with called(bench, device) as line:
        line.sendall(b"two\n")
        bench.until(lambda: b"two\n" in bench.store.text)
        assert [(event, facts["seconds"]) for event, facts in said.events] == [
            ("device reached", 0.0),
            ("device lost", 3.0),
            ("device reached", LATER),
        ]
        assert one.facts().restarts == 1
        assert [event["sender"] for event in bench.events("connect")] == [address_of(device)] * 2


def test_one_that_is_not_there_is_tried_for_ever_and_stated_once(
    bench: Bench, said: Said, dial: Dial, device: socket.socket
) -> None:
    address = address_of(device)
    device.close()
    one = dial(address)
    for _ in range(4):
        bench.until(lambda: one.contact.why == "Connection refused" and one._timer.when < float("inf"))
        assert one._timer.when - bench.clock.time < 5
        bench.clock.time += LATER
    assert said.names == ["device not reached"]
    assert (
        one.contact.trouble == f"{address} is not connected (Connection refused): it is tried again for ever."
    )


def test_a_port_that_is_free_does_not_connect_to_itself(
    bench: Bench, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as device:
        address = address_of(device)
    port = int(address.rpartition(":")[2])
    real = socket.socket.bind

    class Bound(socket.socket):
        def connect(self, there: Any) -> None:
            real(self, ("127.0.0.1", port))
            super().connect(there)

    monkeypatch.setattr(socket, "socket", Bound)
    one = dial(address)
    bench.until(lambda: one.contact.why != "")
    assert one.contact.why == "Connection refused"


def test_a_name_that_nobody_knows(bench: Bench, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*words: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    one = dial("tcp://no.such.device:23")
    bench.until(lambda: one.contact.why != "")
    assert one.contact.why == "the name no.such.device is not found (Name or service not known)"


def test_the_next_address_of_a_name_is_tried(
    bench: Bench, dial: Dial, device: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = device.getsockname()
    nobody = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))
    somebody = (socket.AF_INET, socket.SOCK_STREAM, 0, "", there)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **more: [nobody, somebody])
    one = dial("tcp://device:23")
    called(bench, device).close()
    bench.until(lambda: one.facts() is not None and one._returns == 1)


def test_one_that_says_nothing_is_given_up(
    bench: Bench, dial: Dial, device: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda self, there: None)
    one = dial(address_of(device))
    bench.until(lambda: one._dialler._sock is not None)  # type: ignore[attr-defined]
    bench.later(connecting.WITHIN + 0.1)
    assert one.contact.why == "no answer within 3 s"


@linux
def test_one_that_vanishes_without_a_word_is_noticed(
    bench: Bench, dial: Dial, device: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, interval, count = connecting.KEEPALIVE
    assert idle + interval * count < 20
    monkeypatch.setattr(connecting, "KEEPALIVE", (1, 1, 1))
    one = dial(address_of(device))
    with called(bench, device) as line:
        bench.until(lambda: one.contact.connected)
        assert drop_incoming(line)  # its kernel answers no more
        bench.until(lambda: one.contact.why == "Connection timed out")


def test_one_that_comes_and_goes_washes_no_hole_away(
    bench: Bench, said: Said, dial: Dial, device: socket.socket
) -> None:
    one = dial(address_of(device))
    losses = 0

    def goes_after(seconds: float) -> None:
        nonlocal losses
        line = called(bench, device)
        bench.until(lambda: one.contact.connected)
        bench.clock.time += seconds
        line.close()
        losses += 1
        bench.until(lambda: not one.contact.connected)
        bench.clock.time += LATER

    for _ in range(4):
        goes_after(1)
    assert said.names == ["device reached", "device lost", "device reached"]
    assert len([one for one in bench.events() if one["event"] == "device lost"]) == losses - 1
    bench.clock.time += STATED_EVERY
    goes_after(1)
    goes_after(STEADY_AFTER + 1)
    assert said.names[3:] == ["device lost", "device reached", "device lost"]


def test_it_takes_nobodys_place_and_keeps_its_own(bench: Bench, dial: Dial, device: socket.socket) -> None:
    one = dial(address_of(device))
    with called(bench, device) as line:
        bench.until(lambda: one.contact.connected)
        bench.intake.adopt(bench.intake.roster._limits._replace(senders=1))
        with bench.queue.comes("192.0.2.1") as sender, bench.queue.comes("192.0.2.2") as waiting:
            bench.settle()
            assert (bench.intake.senders, bench.queue.waiting) == (2, 1)
            bench.later(60)
            assert [event["sender"] for event in bench.events("made room")] == ["192.0.2.1:1"]
            bench.until(lambda: bench.queue.waiting == 0)
            assert one.contact.connected
            line.sendall(b"still here\n")
            bench.until_stored(b"still here\n")
            line.close()
            bench.until(lambda: not one.contact.connected)
            assert bench.intake.roster.full == "1 senders are connected"
            del sender, waiting


# -- programs -------------------------------------------------------------------------------------


def test_a_command_is_heard_and_started_again(bench: Bench, said: Said, dial: Dial, tmp_path: Path) -> None:
    one = dial(python("import os, sys; os.write(1, os.getcwd().encode() + b'\\n'); sys.exit('err')"))
    bench.until(lambda: bench.store.text.count(b"\n") == 2 and one.contact.why != "")
    assert bench.store.text == os.fsencode(os.path.realpath(tmp_path)) + b"\nerr\n"
    assert one.contact.why == "it ended with status 1"
    bench.clock.time += LATER
    bench.until(lambda: bench.store.text.count(b"\n") == 4)
    assert said.names[:2] == ["device reached", "device lost"]


@pytest.mark.parametrize("address", ["exec:/no/such/program x", "/dev/no-such-line", "/dev/null"])
def test_what_can_not_be_started_says_why(bench: Bench, dial: Dial, address: str) -> None:
    one = dial(address)
    bench.settle()
    why = one.contact.why
    assert why in (
        "/no/such/program can't be started (No such file or directory)",
        "it is not there: is it plugged in?",
        "it is no serial line",
    )


def test_a_line_that_is_not_permitted_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = tmp_path / "ttyX"
    line.touch()
    line.chmod(0o660)
    group, user = grp.getgrgid(line.stat().st_gid), pwd.getpwuid(os.getuid())
    said = serial._why_not(str(line), PermissionError(errno.EACCES, "Permission denied"))
    assert f"sudo usermod -aG {group.gr_name} {user.pw_name}`" in said
    line.chmod(0o600)
    said = serial._why_not(str(line), PermissionError(errno.EACCES, "Permission denied"))
    assert said == "not permitted: its mode lets its owner in alone"


def test_a_line_that_another_has_is_busy(bench: Bench, dial: Dial) -> None:
    master, line = os.openpty()
    fcntl.flock(line, fcntl.LOCK_EX)
    one = dial(os.ttyname(line))
    bench.settle()
    assert one.contact.why == "another program has it: end that one"
    os.close(line)
    os.close(master)


@linux
def test_what_it_started_ends_with_it(bench: Bench, dial: Dial) -> None:
    one = dial("exec:sh -c 'sleep 1000 & echo $!; exec 1>&- 2>&-; exit 3'")
    bench.until(lambda: bench.store.text.endswith(b"\n"))
    pid = int(bench.store.text)
    bench.until(lambda: start_time(pid) is None)
    bench.until(lambda: one.contact.why == "it ended with status 3")


def test_a_stop_hears_its_last_words_and_is_no_loss(bench: Bench, said: Said, dial: Dial) -> None:
    one = dial("exec:sh -c 'trap \"echo bye; exit\" TERM; echo up; while :; do sleep 0.01; done'")
    bench.until_stored(b"up\n")
    one.refuse_newcomers()
    assert one.drain(bench.soon())
    assert bench.intake.drain_senders(bench.soon())
    assert bench.store.text.startswith(b"up\n")  # the shell says that its `sleep` was terminated, perhaps
    assert bench.store.text.endswith(b"bye\n")
    assert not one.contact.connected
    assert said.names == ["device reached"]
    assert one._timer.when == float("inf")


def test_a_stop_ends_who_does_not_want_to(bench: Bench, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    one = dial("exec:sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.01; done'")
    bench.until_stored(b"up\n")
    monkeypatch.setattr(commands, "GRACE", 0.0)
    assert one.drain(bench.soon())
    bench.until(lambda: not one.contact.connected)


def test_who_says_no_more_is_ended(bench: Bench, dial: Dial) -> None:
    one = dial(python("import os, signal; os.close(1); os.close(2); signal.pause()"))
    bench.until(lambda: bench.intake.roster.connects == 1 and not bench.intake.senders)
    assert one.contact.connected  # until it has ended
    bench.later(commands.GRACE + 0.1)
    bench.until(lambda: one.contact.why == "it was ended by SIGKILL")


def test_a_store_that_takes_nothing_holds_it_back(bench: Bench, dial: Dial) -> None:
    bench.store.full = True
    one = dial(python("import os; n = 0\nwhile n < 20000: os.write(1, b'line %06d\\n' % n); n += 1"))
    bench.until(lambda: bench.intake.paused)
    held = bench.store.text.count(b"\n")
    assert held < 20000
    bench.store.full = False
    bench.clock.time += 1
    bench.until(lambda: not one.contact.connected)
    assert bench.store.text == b"".join(b"line %06d\n" % number for number in range(20000))
