"""The commands, as a person and a script use them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench import BIN, ROOT, Home, Running, free_port, wait_until
from terminal import HOSTILE, SHOWN

import reclog.engine
from reclog.look.table import ALL
from reclog.recordings.settings import resolve_local

INV = str(BIN / "inv")
RECLOG = (
    [str(BIN / "reclog")]
    if (BIN / "reclog").exists()
    else [sys.executable, "-c", "from reclog.program import main; main()"]
)
TASKS = ["agent", "boot", "completion", "export", "history", "kill", "local", "publish", "status"]
TASKS += ["subscribe", "tail", "test-connection", "view"]
TASKS += ["dev.bench", "dev.docs", "dev.faults", "dev.install", "dev.nats", "dev.plan"]


def reclog_program(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program far from the checkout."""
    elsewhere = home.path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return home.run(*RECLOG, *words, cwd=elsewhere, env={"PYTHONPATH": str(ROOT)})


# -- what there is ------------------------------------------------------------------------------------


def test_list(home: Home) -> None:
    done = home.inv("--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^  (\S+)", done.stdout, re.MULTILINE) == TASKS


def test_help(home: Home) -> None:
    flags: list[str] = []
    for task in TASKS:
        for words in (("--help", task), (task, "--help")):
            done = home.inv(*words)
            assert (done.returncode, done.stderr) == (0, "")
            assert f"inv[oke] [--core-opts] {task}" in done.stdout
        for line in done.stdout.partition("Options:\n")[2].splitlines():
            if line.startswith("  --"):
                flags.append(line)
                assert re.search(r"\S {2,}\S", line), f"{task} does not explain {line}"
    assert len(flags) > 20
    assert list(home.path.iterdir()) == []  # nothing is made by looking


def test_completion_script(home: Home) -> None:
    for program in ([INV], RECLOG):
        done = home.run(*program, "--print-completion-script", "bash", env={"PYTHONPATH": str(ROOT)})
        assert (done.returncode, done.stderr) == (0, "")
        assert "complet" in done.stdout


def test_completion(home: Home) -> None:
    tasks = home.inv("--complete", "--", "inv", "").stdout.split()
    assert tasks == TASKS
    flags = set(home.inv("--complete", "--", "inv", "local", "--").stdout.split())
    # What was said, and from where, is no option; some are called otherwise: `from` and `as` are Python's.
    settings = set(dataclasses.asdict(resolve_local({}, {}))) - {"said", "dial_in"}
    options = {{"called": "as", "dial": "from", "names": "name"}.get(name, name) for name in settings}
    assert {f"--{option.replace('_', '-')}" for option in options} <= flags
    assert not [flag for flag in flags if re.fullmatch(r"-\w", flag)]  # --host must not become -h


# -- the installed program ----------------------------------------------------------------------------


def test_the_program_works_outside_the_checkout(home: Home) -> None:
    running = home.to_be(home.path / "elsewhere" / "x.log")
    done = reclog_program(home, "local", "--port", str(running.port), "--file", "x.log")
    assert done.returncode == 0, done.stderr
    assert str(running.file) in done.stdout
    running.send(b"hello\n")
    wait_until(lambda: running.read() == b"hello\n")
    found = json.loads(reclog_program(home, "status", "--json").stdout)
    assert [one["file"] for one in found] == [str(running.file)]
    assert reclog_program(home, "test-connection").returncode == 0
    assert "hello" in reclog_program(home, "tail", "--no-follow").stdout
    done = reclog_program(home, "kill")
    assert done.returncode == 0
    assert "3 lines recorded" in done.stdout


def test_version(home: Home) -> None:
    done = reclog_program(home, "--version")
    assert (done.returncode, done.stdout.strip().lower()) == (0, f"reclog {reclog.engine.__version__}")


def test_an_engine_does_not_take_modules_from_where_it_is_started(home: Home) -> None:
    for name in ("json", "socket", "selectors"):
        (home.path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    folder = {"PYTHONPATH": str(ROOT)}
    script = BIN / "reclog"
    if not script.exists():  # `python -c` looks into its folder first
        script = home.path / "bin" / "reclog"
        script.parent.mkdir()
        script.write_text(f"#!{sys.executable}\nfrom reclog.program import main\nmain()\n")
        script.chmod(0o700)
    done = home.run(str(script), *home.to_be().words, cwd=home.path, env=folder)
    assert done.returncode == 0, done.stderr


# -- the config ---------------------------------------------------------------------------------------


def test_a_flag_beats_the_config_file_which_beats_the_built_in_value(home: Home, tree: Path) -> None:
    one, two, three = free_port(), free_port(), free_port()
    home.ports += [one, two, three]
    config = f"reclog:\n  port: {one}\n  file: configured.log\n  listener: builtin\n  stamp: true\n"
    (tree / "invoke.yaml").write_text(config)
    done = home.inv("local", cwd=tree)
    assert done.returncode == 0, done.stderr
    words = ("local", "--port", str(two), "--file", "flag.log")
    assert home.inv(*words, cwd=tree).returncode == 0
    env = {"INVOKE_RECLOG_PORT": str(three), "INVOKE_RECLOG_FILE": "env.log"}
    assert home.inv("local", cwd=tree, env=env).returncode == 0
    found = {status["port"]: status for status in home.status()}
    assert {port: status["file"] for port, status in found.items()} == {
        one: str(tree / "configured.log"),
        two: str(tree / "flag.log"),
        three: str(tree / "env.log"),
    }
    assert {status["listener"] for status in found.values()} == {"builtin"}
    Running(home, one, tree / "configured.log").send(b"x\n")
    wait_until(lambda: re.match(rb"20.*Z 127.0.0.1:\d+ x\n", (tree / "configured.log").read_bytes()))


@pytest.mark.parametrize(
    ("variable", "value", "key", "seen"),
    [
        ("INVOKE_RECLOG_LISTENER", "builtin", "listener", "builtin"),
        ("INVOKE_RECLOG_STAMP", "1", "listener", "builtin"),
        ("INVOKE_RECLOG_BIND", "127.0.0.1", "bind", "127.0.0.1"),
        ("INVOKE_RECLOG_ALLOW", "fd00::/8", "listener", "builtin"),
    ],
)
def test_every_setting_has_its_variable(home: Home, variable: str, value: str, key: str, seen: str) -> None:
    running = home.local(env={variable: value})
    assert running.status()[key] == seen


def test_networks_of_a_config_file_and_of_flags(home: Home, tree: Path) -> None:
    (tree / "invoke.yaml").write_text("reclog: {allow: [192.0.2.0/24, 127.0.0.0/8]}")
    inside = home.local(cwd=tree)
    inside.send(b"x\n")
    wait_until(lambda: inside.read() == b"x\n")
    outside = home.local("--allow", "192.0.2.0/24", "--allow", "198.51.100.7", cwd=tree)
    with contextlib.suppress(ConnectionError):
        outside.send(b"x\n")
    wait_until(lambda: outside.status()["refused"] == 1)
    assert outside.read() == b""


# -- status -------------------------------------------------------------------------------------------

PROMISED = [
    *("name", "kind", "state", "file", "host", "port", "listener", "pids", "lines", "bytes", "senders"),
    *("lag_bytes", "reconnects", "started", "last_line"),
]


def test_status_has_the_promised_keys(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    with running.connect() as sock:
        sock.sendall(b"one\ntwo\n")
        wait_until(lambda: running.status()["lines"] == 2)
        status = running.status()
        assert [key for key in PROMISED if key not in status] == []
        assert status["senders"] == 1
    facts = {key: status[key] for key in ("name", "kind", "state", "file", "host", "port", "listener")}
    assert facts == {
        "name": f"local-{running.port}",
        "kind": "local",
        "state": "recording",
        "file": str(running.file),
        "host": None,
        "port": running.port,
        "listener": listener,
    }
    assert (status["bytes"], status["lag_bytes"], status["reconnects"]) == (8, 0, 0)
    assert status["last_line"] == "two"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["started"])
    wait_until(lambda: running.status()["senders"] == 0)


def test_pids_are_the_daemon_and_all_that_it_started(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    with running.connect():
        wait_until(lambda: running.status()["senders"] == 1)
        pids = running.status()["pids"]
        assert pids[0] == running.daemon.pid
        assert set(pids) == {process.pid for process in running.family()}
        names = [psutil.Process(pid).name() for pid in pids[1:]]
        assert names == (["socat", "socat"] if listener == "socat" else [])


def test_the_table(home: Home) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"the last line\n")
    wait_until(lambda: running.status()["lines"] == 1)
    head, row = home.inv("status").stdout.splitlines()
    assert re.split(r"\s{2,}", head.strip()) == list(ALL)
    name, state, file, port, listener, senders, heard, *counts = re.split(r"\s{2,}", row.strip())
    assert (name, state, file) == (f"local-{running.port}", "recording", str(running.file))
    assert (port, listener, senders) == (str(running.port), "builtin", "0")
    assert re.fullmatch(r"\d+ s ago", heard)
    assert counts[1:] == ["-", "-", "1", "14 B", "-", "the last line"]  # neither lag nor gaps, nor at boot


def test_status_of_a_dead_recorder(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    running.send(b"x\n")
    wait_until(lambda: running.history().get("lines") == 1)  # it writes a moment after it would say so
    running.daemon.kill()
    wait_until(lambda: running.family() == [])
    status = running.status()
    assert (status["state"], status["pids"], status["senders"], status["lines"]) == ("dead", [], 0, 1)
    assert "dead" in home.inv("status").stdout
    done = home.inv("kill")
    assert done.returncode == 0
    assert f"local-{running.port} was dead; cleaned up." in done.stdout
    assert home.status() == []


@contextlib.contextmanager
def full(running: Running) -> Iterator[None]:
    """Let the file grow no more: to its recorder the disk is full."""
    daemon = running.daemon
    size = running.file.stat().st_size
    assert size > 65536, "smaller, and the limit would hold for the state files too"
    _, hard = daemon.rlimit(resource.RLIMIT_FSIZE)
    daemon.rlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        daemon.rlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_paused_recording_says_so_and_goes_on(home: Home, listener: str) -> None:
    file = home.path / "x.log"
    before = b"x" * 99_999 + b"\n"
    file.write_bytes(before)
    running = home.local("--listener", listener, file=file)
    with full(running):
        running.send(b"held back\n")
        wait_until(lambda: running.status()["state"] == "paused")
        assert running.status()["paused_for"] == "File too large"
        assert "paused: File too large" in home.inv("status").stdout
        done = home.inv("test-connection", "--timeout", "0.3")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "recording is paused (File too large): make room" in done.stderr
    wait_until(lambda: running.status()["state"] == "recording")
    wait_until(lambda: running.read().startswith(before + b"held back\nreclog probe "))
    assert running.status()["paused_for"] is None


# -- strangers' text ----------------------------------------------------------------------------------


def test_what_a_sender_writes_is_shown_and_not_obeyed(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    running.send(HOSTILE + b"\n")
    wait_until(lambda: running.status()["lines"] == 1)
    assert running.read() == HOSTILE + b"\n"  # the file keeps the bytes
    status = home.inv("status").stdout
    assert SHOWN[:60] in status
    tailed = home.inv("tail", "--no-follow").stdout
    assert tailed.startswith("\x1b[31m")
    assert tailed.endswith("\x1b[0m\n")  # a colour, which ends with its line
    tailed = tailed.replace("\x1b[31m", r"\x1b[31m").replace("\x1b[0m\n", "\n")
    assert tailed == SHOWN + "\n"
    for said in (
        status,
        tailed,
        home.inv("status", "--json").stdout,
        home.inv("tail", "--no-follow", "--json").stdout,
    ):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)


# -- tail ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tail(home: Home, *words: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run `inv tail` into a file, until Ctrl-C; it must end well."""
    shown = home.path / "shown"
    with shown.open("w") as out:
        process = home.start("inv", "tail", *words, stdout=out)
        try:
            yield process, shown
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
            assert (process.returncode, errors) == (0, "")
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_tail_follows_through_rotation_and_truncation(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    running.send(b"1\n2\n3\n")
    wait_until(lambda: running.read() == b"1\n2\n3\n")
    with tail(home, "--lines", "2") as (_, shown):
        wait_until(lambda: shown.read_text() == "2\n3\n")
        running.send(b"live\n")
        wait_until(lambda: shown.read_text() == "2\n3\nlive\n")
        running.file.rename(home.path / "rotated.log")
        running.send(b"after rotation\n")
        wait_until(lambda: shown.read_text().endswith("live\nafter rotation\n"))
        os.truncate(running.file, 0)
        wait_until(lambda: running.file.stat().st_size == 0)
        running.send(b"cut\n")
        wait_until(lambda: shown.read_text().endswith("after rotation\n── the file was truncated ──\ncut\n"))


def test_tail_lines(home: Home) -> None:
    running = home.local()
    running.send(b"".join(b"%d\n" % number for number in range(20)))
    wait_until(lambda: running.read().endswith(b"19\n"))
    for words, first in ((("--lines", "3"), 17), ((), 10), (("--lines", "100"), 0), (("--lines", "0"), 20)):
        done = home.inv("tail", "--no-follow", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "".join(f"{number}\n" for number in range(first, 20))


def test_tail_of_a_recording_without_a_line_waits(home: Home) -> None:
    running = home.local()
    with tail(home, "--port", str(running.port)) as (process, shown):
        running.send(b"first\n")
        wait_until(lambda: shown.read_text() == "first\n")
        assert process.poll() is None


def test_tail_ends_well_when_its_reader_does(home: Home) -> None:
    running = home.local()
    lines = b"".join(b"%d\n" % number for number in range(100_000))
    running.send(lines)
    wait_until(lambda: running.read() == lines)
    command = f"{shlex.quote(INV)} tail --lines 100000 --no-follow | head -n 1"
    done = home.run("sh", "-c", command)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_tail_of_several_recordings_names_them(home: Home) -> None:
    one, two = home.local(), home.local()
    one.send(b"one\n")
    two.send(b"two\n")
    wait_until(lambda: one.read() and two.read())
    done = home.inv("tail", "--no-follow")
    assert (done.returncode, done.stderr) == (0, "")
    named = [f"local-{one.port} one", f"local-{two.port} two"]
    assert sorted(done.stdout.splitlines()) == sorted(named)
    assert home.inv("tail", "--no-follow", "--port", str(one.port)).stdout == "one\n"
    assert home.inv("tail", "--no-follow", "--file", str(two.file)).stdout == "two\n"
    assert home.inv("tail", "--no-follow", f"local-{one.port}").stdout == "one\n"
    done = home.inv("tail", "--no-follow", "--file", str(one.file), "--port", str(two.port))
    assert done.returncode == 1


def test_tail_hides_our_own_lines_and_finds_others(home: Home) -> None:
    running = home.local()
    running.send(b"ab\nerror: no route\n")
    wait_until(lambda: running.status()["lines"] == 2)
    assert home.inv("test-connection").returncode == 0
    assert home.inv("tail", "--no-follow").stdout == "ab\nerror: no route\n"
    assert home.inv("tail", "--no-follow", "--grep", "^err.*e$").stdout == "error: no route\n"


# -- test-connection ----------------------------------------------------------------------------------


def test_a_path_that_works(home: Home, listener: str) -> None:
    running = home.local("--listener", listener)
    done = home.inv("test-connection")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rb"(reclog probe [0-9a-f]{16}\n){2}", running.read())
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["recording", "hop", "result", "time"]
    there = f"127.0.0.1:{running.port}"
    hops = ("process", f"port {there}", "line sent", f"file {running.file}", f"datagram to {there}")
    assert len(rows) == len(hops)
    for row, hop in zip(rows, hops):
        assert re.fullmatch(rf"local-{running.port}\s+{re.escape(hop)}\s+ok\s+\d+\.\d ms\s*", row), row


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.2", "::1", "::"])
def test_a_path_to_another_address(home: Home, bind: str) -> None:
    home.local("--bind", bind)
    assert home.inv("test-connection").returncode == 0


def test_one_of_several_paths_is_broken(home: Home) -> None:
    good, bad = home.local(), home.local()
    bad.daemon.kill()
    wait_until(lambda: bad.family() == [])
    done = home.inv("test-connection")
    assert done.returncode == 1
    assert done.stderr == (
        f"The recorder is dead: `inv local --port {bad.port} --file {bad.file}` starts it again.\n"
    )
    broken = [row for row in done.stdout.splitlines() if "BROKEN" in row]
    assert len(broken) == 1
    assert broken[0].split()[:2] == [f"local-{bad.port}", "process"]
    assert re.fullmatch(rb"(reclog probe \w+\n){2}", good.read())
    assert home.inv("test-connection", "--port", str(good.port)).returncode == 0
    assert home.inv("test-connection", "--file", str(bad.file)).returncode == 1


def test_an_address_that_is_not_allowed(home: Home, listener: str) -> None:
    running = home.local("--listener", listener, "--allow", "192.0.2.0/24")
    done = home.inv("test-connection", "--timeout", "0.5")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "is this address allowed (--allow)?" in done.stderr
    assert running.read() == b""


def test_a_path_of_ones_own(home: Home) -> None:
    running = home.local()
    words = ("test-connection", "--host", "127.0.0.1", "--timeout", "0.5")
    port, file = ("--port", str(running.port)), ("--file", str(running.file))
    done = home.inv(*words, *port, *file)
    assert (done.returncode, done.stderr) == (0, "")
    assert running.read().startswith(b"reclog probe ")
    done = home.inv(*words, "--port", str(free_port()), *file)
    assert done.returncode == 1
    assert "does not accept a connection" in done.stderr
    for wrong in (home.path / "other.log", home.path, home.path / "missing" / "x.log"):
        done = home.inv(*words, *port, "--file", str(wrong))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "did not reach the file within 0.5 s" in done.stderr
    done = home.inv("test-connection", "--host", "no.such.host.invalid", *port, *file)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_no_recording_there(home: Home) -> None:
    done = home.inv("test-connection")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Nothing is being recorded: `inv local` starts a recording.\n"
    running = home.local()
    for task in ("test-connection", "tail", "kill"):
        done = home.inv(task, "--port", "1")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"what runs here: local-{running.port} (port {running.port}, {running.file})" in done.stderr
    assert running.status()["state"] == "recording"
