"""Calls that can't be done: an exit status, one sentence that says what to do, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench import BIN, Home, Running, wait_until

from reclog.errors import UsageError
from reclog.tasks import config_file

Done = subprocess.CompletedProcess[str]
RECLOG = (sys.executable, "-c", "from reclog.program import main; main()")
#: What only a recording that runs has in its folder.
LIVE_FILES = {"state.json", "config.json", "counters.json", "lock", "senders"}


class Unprivileged(Home):
    """A home whose commands have no rights but those of a file's owner.

    Where the tests run as root, that is root without capabilities(7): file modes and privileged ports
    count for it, and unlike another user it can reach an interpreter in root's own home.
    """

    def inv(self, *words: str, **kwargs: Any) -> Done:
        drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
        return self.run(*drop, str(BIN / "inv"), *words, **kwargs)


@pytest.fixture
def unprivileged(home: Home) -> Unprivileged:
    """Give a test the same home without privileges; the fixture `home` cleans up."""
    return Unprivileged(home.path)


def refused(home: Home, done: Done, status: int = 1, sentences: int = 1, left: int = 0) -> str:
    """See that a call was refused as it should be, and return what it said; `left` processes run on."""
    said = done.stderr.splitlines()
    assert done.returncode == status, done
    assert len(said) == sentences, done.stderr
    assert all(line.endswith((".", "!")) for line in said), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    wait_until(lambda: len(home.processes()) == left, what="what was started has ended")
    if not left:
        assert stale(home) == []
    return done.stderr


def stale(home: Home) -> list[str]:
    with contextlib.suppress(PermissionError):
        return [str(path) for path in home.recordings.glob("*/*") if path.name in LIVE_FILES]
    return []


# -- wrong words: exit status 2 -----------------------------------------------------------------------

WRONG_WORDS = [
    # Each kind of word once: which words of a kind are wrong is asked in tests/unit/recordings.
    *(("local", "--port", word) for word in ("0", "", "99999999999999999999")),
    ("local", "--file", ""),
    ("local", "--bind", "localhost"),
    ("local", "--listener", "SOCAT"),
    ("local", "--allow", ""),
    ("local", "--partial-after", "nan"),
    ("local", "--max-senders", "-1"),
    ("local", "--raw", "--listener", "builtin"),
    ("local", "--listener", "socat", "--allow", "10.0.0.1", "--allow", "10.0.0.2"),
    ("tail", "--lines", "x"),
    ("tail", "--lines", "-1"),
    ("tail", "--port", "x"),
    ("tail", "--since", "yesterday"),
    ("tail", "--until", ""),
    ("tail", "--grep", "("),
    ("tail", "--json", "--stamp"),
    ("test-connection", "--timeout", "-1"),
    ("test-connection", "--timeout", "soon"),
    ("test-connection", "--port", "0"),
    ("test-connection", "--host", "127.0.0.1", "--port", "x"),
    ("kill", "--port", "65536"),
    ("kill", "--file", ""),
]


@pytest.mark.parametrize("words", WRONG_WORDS, ids=" ".join)
def test_wrong_words(home: Home, words: tuple[str, ...]) -> None:
    said = refused(home, home.inv(*words), status=2)
    assert "--" in said  # it names the option


def test_wrong_words_by_an_interpreter_of_its_own(home: Home) -> None:
    for words in (WRONG_WORDS[0], WRONG_WORDS[-1]):
        assert "--" in refused(home, home.run(str(BIN / "inv"), *words), status=2)


# -- the port -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def stranger(port: int, bind: str = "0.0.0.0", *drop: str) -> Iterator[subprocess.Popen[str]]:
    """Listen on `port` in a process that has nothing to do with reclog."""
    words = (
        "import socket, sys; six = ':' in sys.argv[1]; family = socket.AF_INET6 if six else socket.AF_INET;"
        "server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family, dualstack_ipv6=six);"
        "print('listens', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [*drop, sys.executable, "-c", words, bind, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield process
    finally:
        process.communicate(timeout=10)


@pytest.mark.parametrize("bind", ["0.0.0.0", "127.0.0.1", "::"])
def test_a_port_on_which_a_stranger_listens(home: Home, listener: str, bind: str) -> None:
    running = home.to_be()
    with stranger(running.port, bind) as process:
        said = refused(home, home.inv(*running.words, "--listener", listener))
        assert f"process {process.pid} (python" in said
        assert "--port" in said
        assert process.poll() is None
        running.connect().close()


def test_a_port_on_which_a_process_out_of_sight_listens(unprivileged: Unprivileged) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: the stranger must have more rights than the recorder")
    running = unprivileged.to_be()
    with stranger(running.port):
        said = refused(unprivileged, unprivileged.inv(*running.words))
        assert f"Port {running.port} is taken by a process of another user" in said


def test_a_port_of_another_recording(home: Home) -> None:
    running = home.local()
    family = len(running.family())
    done = home.inv("local", "--port", str(running.port), "--file", str(home.path / "b.log"))
    said = refused(home, done, left=family)
    assert f"local-{running.port} runs with --file {running.file}" in said
    assert f"inv kill --port {running.port}" in said
    assert [one["name"] for one in home.status()] == [f"local-{running.port}"]
    running.send(b"still here\n")
    wait_until(lambda: running.read() == b"still here\n")


@contextlib.contextmanager
def outgoing(port: int) -> Iterator[socket.socket]:
    """Hold `port` by a connection that goes out from it, as the ephemeral ports are held."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.connect(server.getsockname())
        # A reset at its end: no TIME_WAIT holds the port after it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield sock


def test_a_port_that_an_outgoing_connection_holds_for_a_moment(home: Home, listener: str) -> None:
    running = home.to_be()
    with outgoing(running.port) as sock:
        end = threading.Timer(1.0, sock.close)
        end.start()
        done = home.inv(*running.words, "--listener", listener)
        end.join()
    assert done.returncode == 0, done.stderr
    running.send(b"in the end\n")
    wait_until(lambda: running.read() == b"in the end\n")


def test_a_port_that_an_outgoing_connection_keeps(home: Home, listener: str) -> None:
    running = home.to_be()
    with outgoing(running.port):
        done = home.inv(*running.words, "--listener", listener)
        assert f"process {os.getpid()} (" in refused(home, done)


def test_a_port_that_needs_rights(unprivileged: Unprivileged, listener: str) -> None:
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        free_from = int(file.read())
    if free_from <= 1:
        pytest.skip("this system lets everybody have every port")
    port = min(80, free_from - 1)
    done = unprivileged.inv(
        "local", "--port", str(port), "--file", str(unprivileged.path / "x.log"), "--listener", listener
    )
    assert "use one above 1023" in refused(unprivileged, done)


def test_an_address_that_is_not_here(home: Home, listener: str) -> None:
    words = (*home.to_be().words, "--listener", listener)
    for bind in ("192.0.2.1", "2001:db8::1"):  # documentation (RFC 5737, RFC 3849)
        done = home.inv(*words, "--bind", bind)
        assert f"{bind} is not an address of this machine" in refused(home, done)


# -- the file -----------------------------------------------------------------------------------------


def local_into(home: Home, file: Path, *words: str) -> Done:
    return home.inv(*home.to_be(file).words, *words)


@pytest.mark.parametrize("words", [(), ("--raw",)], ids=["lines", "raw"])
def test_a_place_where_no_file_can_be(home: Home, words: tuple[str, ...]) -> None:
    os.mkfifo(home.path / "fifo")
    for name, why in (
        ("", f"{home.path} is a directory"),
        ("missing/x.log", f"The folder {home.path / 'missing'} does not exist"),
        ("fifo/x.log", f"{home.path / 'fifo'} is not a folder"),
        ("fifo", f"{home.path / 'fifo'} is not a regular file"),
    ):
        assert why in refused(home, local_into(home, home.path / name, *words))


def test_a_file_that_can_not_be_written(unprivileged: Unprivileged) -> None:
    home = unprivileged
    (home.path / "x.log").write_text("mine\n")
    (home.path / "x.log").chmod(0o400)
    said = refused(home, local_into(home, home.path / "x.log"))
    assert f"{home.path / 'x.log'} is not writable for you" in said
    folder = home.path / "folder"
    folder.mkdir(mode=0o500)
    said = refused(home, local_into(home, folder / "x.log"))
    assert f"{folder / 'x.log'} is not writable for you" in said
    assert list(folder.iterdir()) == []


def test_a_file_that_is_recorded_already(home: Home) -> None:
    running = home.local()
    family = len(running.family())
    link = home.path / "link.log"
    link.symlink_to(running.file)
    hard = home.path / "hard.log"
    hard.hardlink_to(running.file)
    for other in (running.file, link, hard):
        said = refused(home, local_into(home, other), left=family)
        assert f"by local-{running.port} (port {running.port}) already" in said
    assert len(home.status()) == 1


def test_a_file_that_is_recorded_from_another_home(home: Home, tmp_path: Path) -> None:
    running = home.local()
    other = Home(tmp_path / "other")
    said = refused(other, local_into(other, running.file))
    assert f"is locked by process {running.daemon.pid} (python" in said


def test_a_device_is_recorded_to_by_many(home: Home) -> None:
    null = Path("/dev/null")
    first, second = home.local(file=null), home.local(file=null)
    for recording in (first, second):
        recording.send(b"a line\n")
        wait_until(lambda recording=recording: recording.status()["lines"] == 1)  # type: ignore[misc]
    family = len(home.processes())
    assert "it leads into /proc" in refused(home, local_into(home, Path("/dev/stdout")), left=family)


# -- socat --------------------------------------------------------------------------------------------


@pytest.fixture
def without_socat(home: Home) -> dict[str, str]:
    """Return an environment in which everything is on PATH but socat."""
    folder = home.path / "bin"
    folder.mkdir()
    for name in ("sh", "env", "uname"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    assert not (BIN / "socat").exists()
    return {"PATH": str(folder)}


@pytest.mark.parametrize("words", [("--listener", "socat"), ("--raw",)], ids=" ".join)
def test_socat_is_wanted_and_not_installed(
    home: Home, without_socat: dict[str, str], words: tuple[str, ...]
) -> None:
    running = home.to_be()
    said = refused(home, home.inv(*running.words, *words, env=without_socat))
    assert "socat is not installed: apt-get install socat" in said
    assert running.read() == b""


def test_auto_does_without_socat(home: Home, without_socat: dict[str, str]) -> None:
    running = home.local("--listener", "auto", env=without_socat)
    assert running.status()["listener"] == "builtin"
    running.send(b"served\n")
    wait_until(lambda: running.read() == b"served\n")
    assert [p.name() for p in running.family() if "socat" in p.name()] == []


# -- the state directory ------------------------------------------------------------------------------

COMMANDS = [("local",), ("status",), ("status", "--json"), ("kill",), ("tail",), ("test-connection",)]


def test_a_state_directory_that_can_not_be_written(unprivileged: Unprivileged) -> None:
    home = unprivileged
    home.state.mkdir(mode=0o500)
    said = refused(home, local_into(home, home.path / "x.log"))
    assert f"The state directory {home.state / 'reclog'} can't be used" in said
    assert "XDG_STATE_HOME" in said
    assert home.inv("status").returncode == 0
    assert home.inv("kill").returncode == 0


@pytest.mark.parametrize("locked", ["", "reclog/recordings", "reclog/recordings/local-1"])
def test_a_state_directory_that_can_not_be_read(unprivileged: Unprivileged, locked: str) -> None:
    home = unprivileged
    (home.recordings / "local-1").mkdir(parents=True)
    (home.recordings / "local-1" / "config.json").write_text("{}")
    (home.state / locked).chmod(0)
    try:
        done = [home.inv(*words) for words in (COMMANDS if not locked else COMMANDS[:2])]
    finally:
        (home.state / locked).chmod(0o700)
        shutil.rmtree(home.state)
    for one in done:
        assert f"The state directory {home.state / 'reclog'} can't be used" in refused(home, one)


def test_a_state_directory_that_is_a_file(home: Home) -> None:
    home.state.write_text("in the way")
    for words in COMMANDS:
        assert "XDG_STATE_HOME" in refused(home, home.inv(*words))
    home.state.unlink()


#: What else such a file may hold is asked in tests/faults/test_fuzz_recordings.py.
CORRUPT = ['{"identity": {"pid": 1', "[]"]


def corrupted(running: Running, words: str) -> Path:
    state = running.folder / "state.json"
    assert json.loads(state.read_text())["port"] == running.port
    state.write_text(words)
    return state


def killed(running: Running) -> None:
    """Kill the recorder so that it can't clean up; its socat ends with it."""
    running.daemon.kill()
    wait_until(lambda: running.family() == [])


@pytest.mark.parametrize("words", CORRUPT)
def test_a_corrupt_state_of_a_dead_recorder(home: Home, words: str) -> None:
    running = home.local()
    killed(running)
    corrupted(running, words)
    done = home.inv("status")
    assert done.returncode == 0
    assert "dead" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "`inv kill` cleans it up" in done.stderr
    (one,) = home.status()
    assert (one["state"], one["port"], one["pids"]) == ("dead", running.port, [])
    done = home.inv("test-connection")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "inv local" in done.stderr
    again = home.inv(*running.words)
    assert again.returncode == 0, again.stderr
    assert f"Cleaned up local-{running.port}" in again.stderr
    assert home.status()[0]["state"] == "recording"


@pytest.mark.parametrize("words", CORRUPT)
def test_kill_cleans_up_a_corrupt_state(home: Home, words: str) -> None:
    running = home.local()
    killed(running)
    corrupted(running, words)
    done = home.inv("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"local-{running.port} was dead" in done.stdout
    assert stale(home) == []
    assert home.status() == []


@pytest.mark.parametrize("words", CORRUPT)
def test_a_corrupt_state_of_a_recorder_that_runs(home: Home, listener: str, words: str) -> None:
    running = home.local("--listener", listener)
    family = running.family()
    corrupted(running, words)
    for command in ("status", "test-connection"):  # it answers for itself
        done = home.inv(command)
        assert (done.returncode, done.stderr) == (0, "")
    # Neither its file nor its port is given to another one.
    refused(home, local_into(home, running.file), left=len(family))
    same_port = home.inv("local", "--port", str(running.port), "--file", str(home.path / "b.log"))
    refused(home, same_port, left=len(family))
    running.send(b"one\n" * 1000)
    done = home.inv("kill")
    assert done.returncode == 0, done.stderr
    assert running.read().endswith(b"\n" + b"one\n" * 1000)  # behind the probe
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert stale(home) == []


# -- nothing to do ------------------------------------------------------------------------------------


def test_kill_and_status_of_nothing(home: Home) -> None:
    done = home.inv("kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Nothing to stop: no recording runs.\n"
    assert "what runs here: nothing" in refused(home, home.inv("kill", "--host", "nowhere"))
    done = home.inv("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "inv local" in done.stdout
    assert home.inv("status", "--json").stdout == "[]\n"


def test_tail_and_test_connection_of_nothing(home: Home) -> None:
    for command in ("tail", "test-connection"):
        assert "`inv local` starts a recording" in refused(home, home.inv(command))


def test_a_config_that_is_wrong_is_refused_as_a_flag_is(home: Home, tree: Path) -> None:
    done = home.inv("local", env={"INVOKE_RECLOG_PORT": "abc"})
    assert "--port 'abc'" in refused(home, done, status=2)
    (tree / "invoke.yaml").write_text("reclog: {allow: [lan]}")
    assert "--allow 'lan'" in refused(home, home.inv("local", cwd=tree), status=2)


WRONG_FILES = [
    ("invoke.yaml", "reclog: [", "line 2"),
    ("invoke.yaml", "- port: 6000", "'list'"),
    ("invoke.yaml", "reclog: 6000", "a value stands where settings belong"),
    ("invoke.yaml", "reclog: {port: {tcp: 6000}}", "a value stands where settings belong"),
    ("invoke.json", '{"reclog": ', "line 2"),
    ("invoke.py", "reclog = port", "'port' is not defined"),
    ("fabric.yaml", "reclog: [", "line 2"),
]


@pytest.mark.parametrize(("name", "text", "why"), WRONG_FILES, ids=[" ".join(one[:2]) for one in WRONG_FILES])
def test_a_config_file_that_can_not_be_read(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(f"{text}\n")
    of = config_file.FabricsFile if name.startswith("fabric") else config_file.InvokesFile
    with pytest.raises(UsageError) as raised:
        config_file.check(tmp_path, of, config_file.KNOWN)
    assert str(tmp_path / name) in str(raised.value)
    assert why in str(raised.value)


def test_a_config_file_that_can_not_be_read_is_said_in_a_sentence(home: Home, tree: Path) -> None:
    for name, words in (
        ("invoke", ("inv", "local")),
        ("fabric", ("fab", "-H", "nobody@127.0.0.1", "tremplin")),
    ):
        (tree / f"{name}.yaml").write_text("reclog: [\n")
        assert str(tree / f"{name}.yaml") in refused(home, home.program(*words, cwd=tree), status=2)
