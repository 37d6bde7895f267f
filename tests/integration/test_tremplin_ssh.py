"""One truth about a host: each way to reach one works, each that can't is said in a sentence."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench import HISTORY, ROOT, Home, free_port, listening, slot, wait_until
from tremplin_bench import ALIAS, Tremplin, is_sshd, run_sshd


@contextlib.contextmanager
def sshd(
    trem: Tremplin, name: str, *options: str, listen: str = "127.0.0.1", within: tuple[str, ...] = ()
) -> Iterator[int]:
    """Run one more sshd, with options of its own (sshd takes the first of two); its port."""
    port = free_port()
    config = trem.folder / f"sshd_{name}"
    kept = [
        line
        for line in (trem.folder / "sshd_config").read_text().splitlines()
        if line.split()[0] not in ("Port", "ListenAddress", "PidFile")
    ]
    own = [*options, f"Port {port}", f"ListenAddress {listen}", f"PidFile {trem.folder}/pid-{name}"]
    config.write_text("\n".join([*own, *kept]) + "\n")
    process = run_sshd(config, within)
    try:
        key = " ".join((trem.folder / "host_key.pub").read_text().split()[:2])
        with (trem.folder / "known_hosts").open("a") as known:
            known.write(f"[{listen}]:{port} {key}\n")
        yield port
    finally:
        for session in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if is_sshd(session):
                    session.terminate()
        process.terminate()
        process.wait()


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True, capture_output=True)


def works(trem: Tremplin, host: str, text: str | None = None, *core: str) -> str:
    """Record through `host` by the ssh config `text`, and stop; what the start printed."""
    config = trem.folder / "variant"
    config.write_text(trem.config.read_text() if text is None else text)
    port, local = free_port(), free_port()
    file = trem.home.path / f"{port}.log"
    ports = ["--port-remote-in", str(port), "--port-local", str(local)]
    fab = ["fab", "-S", str(config), *core, "-H", host]
    done = trem.home.program(*fab, "tremplin", *ports, "--file", str(file))
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    assert "proved: a line sent there" in done.stdout
    assert listening(local) == {("127.0.0.1", local)}
    (state,) = trem.home.status()
    assert state["state"] == "recording"
    assert len(state["pids"]) >= 2  # a proxy belongs to the tunnel
    stopped = trem.home.program(*fab, "kill")
    assert (stopped.returncode, stopped.stderr) == (0, ""), stopped.stdout
    assert "stopped, 1 line" in stopped.stdout
    nothing_is_left(trem)
    return done.stdout


def ends_with(file: Path, text: bytes) -> bool:
    return file.read_bytes().endswith(text)


def nothing_is_left(trem: Tremplin, *but: str) -> None:
    assert [process.cmdline() for process in trem.processes() if process.name() not in but] == []
    assert trem.files() == []
    assert [process.cmdline() for process in trem.home.processes()] == []
    if trem.home.recordings.exists():
        left = {path.name for path in trem.home.recordings.rglob("*") if path.is_file()}
        assert left <= HISTORY


def refused(trem: Tremplin, done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    """See that a call failed with one sentence that has these words in it, and left nothing."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.strip().endswith((".", "!")), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    nothing_is_left(trem)


def call(trem: Tremplin, host: str, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `fab tremplin` by the ssh config `text`, on ports of its own."""
    config = trem.folder / f"variant-{free_port()}"
    config.write_text(text)
    words = list(options)
    for option in ("--port-remote-in", "--port-remote-out", "--port-local"):
        if option not in options:
            words += [option, str(free_port())]
    if "--file" not in options:
        words += ["--file", str(trem.home.path / "refused.log")]
    fab = ["fab", "-S", str(config), "-H", host]
    done = trem.home.program(*fab, "tremplin", *words)
    assert not (trem.home.path / "refused.log").exists()
    return done


# -- what works ---------------------------------------------------------------------------------------


def test_include_match_and_tokens(trem: Tremplin) -> None:
    folder = trem.folder / "with space"
    folder.mkdir()
    shutil.copy(trem.folder / "user_key", folder / f"key of {trem.account.pw_name}")
    keygen("-H", "-f", str(trem.folder / "known_hosts"))  # hashes the names
    (trem.folder / "included").write_text(
        f"Match originalhost inc exec true\n  HostName 127.0.0.1\n  Port {trem.port}\n"
        f"Match originalhost inc\n  User {trem.account.pw_name}\n"
        f'  IdentityFile "{folder}/key of %r"\n  IdentitiesOnly yes\n'
        f"Host *\n  UserKnownHostsFile {trem.folder}/known_hosts\n"
    )
    works(trem, "inc", f"Include {trem.folder}/included\n")


def test_what_the_user_forwards_has_no_part_in_it(trem: Tremplin) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        new = trem.folder / "new_known_hosts"
        text = trem.config.read_text().replace(f"{trem.folder}/known_hosts", str(new)) + (
            f"  StrictHostKeyChecking accept-new\n  HostKeyAlias another-name\n  HashKnownHosts yes\n"
            f"  LocalForward {taken} 127.0.0.1:1\n  RemoteForward {taken} 127.0.0.1:1\n"
            f"  DynamicForward {taken}\n  ExitOnForwardFailure yes\n  GatewayPorts yes\n"
            f"  ControlMaster auto\n  ControlPath {trem.folder}/mux-%C\n  ControlPersist yes\n"
            "  ForkAfterAuthentication yes\n  RequestTTY force\n  RemoteCommand sleep 60\n"
            "  SessionType none\n  StdinNull yes\n  LogLevel QUIET\n"
        )
        works(trem, ALIAS, text)
        assert "ssh-ed25519" in new.read_text()
        assert list(trem.folder.glob("mux-*")) == []


def test_jumps_and_proxies(trem: Tremplin) -> None:
    # The target is known behind the jump alone, by a name that means nothing here.
    with sshd(trem, "hop") as port:
        common = (
            f"  User {trem.account.pw_name}\n  IdentityFile {trem.folder}/user_key\n"
            f"  UserKnownHostsFile {trem.folder}/known_hosts\n"
        )
        text = (
            f"Host jump\n  HostName 127.0.0.1\n  Port {port}\n  LocalForward 1 127.0.0.1:1\n{common}"
            f"Host trem\n  HostName 127.0.0.1\n  Port {trem.port}\n  ProxyJump jump\n{common}"
        )
        works(trem, "trem", text)
    text = (
        f"Host trem\n  HostName tremplin.invalid\n  Port 22\n  HostKeyAlias [127.0.0.1]:{trem.port}\n{common}"
        f"  ProxyCommand socat - TCP:127.0.0.1:{trem.port} 2>/dev/null\n"
    )
    said = works(trem, "trem", text)
    assert "note: tremplin.invalid:" in said
    assert "is not reachable from here" in said


def test_a_host_without_an_alias(trem: Tremplin) -> None:
    known = f"Host *\n  UserKnownHostsFile {trem.folder}/known_hosts\n  IdentitiesOnly yes\n"
    key = str(trem.folder / "user_key")
    nearby = os.path.relpath(key, ROOT)  # from where the command runs; the background runs elsewhere
    works(trem, f"{trem.account.pw_name}@127.0.0.1:{trem.port}", known, "-i", nearby)
    with sshd(trem, "six", listen="::1") as port:
        text = known + f"  User {trem.account.pw_name}\n  IdentityFile {key}\n"
        works(trem, f"[::1]:{port}", text)


def test_the_agent_has_the_key(trem: Tremplin, monkeypatch: pytest.MonkeyPatch) -> None:
    key, sock = trem.folder / "user_key", str(trem.folder / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(sock))
        subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": sock}, check=True)
        keygen("-p", "-N", "secret", "-P", "", "-f", str(key))
        # A key file that can't be read without its passphrase, and the agent that OpenSSH is told of.
        works(trem, ALIAS, trem.config.read_text() + f"  IdentityAgent {sock}\n")
        trem.home.env["SSH_AUTH_SOCK"] = sock
        works(
            trem, ALIAS, trem.config.read_text().replace(f"  IdentityFile {key}\n  IdentitiesOnly yes\n", "")
        )
    finally:
        agent.terminate()
        agent.wait()


def test_two_ports_of_one_name_are_two_hosts(trem: Tremplin) -> None:
    user = trem.account.pw_name
    text = (
        f"Host *\n  UserKnownHostsFile {trem.folder}/known_hosts\n"
        f"  IdentityFile {trem.folder}/user_key\n  IdentitiesOnly yes\n"
    )
    recording = trem.open()
    config = trem.folder / "variant"
    config.write_text(text)
    words = ["--port-remote-in", str(recording.port), "--port-local", str(free_port())]
    fab = ["fab", "-S", str(config)]
    # The same account by another name is the same recording.
    host = f"{user}@127.0.0.1:{trem.port}"
    done = trem.home.program(*fab, "-H", host, "tremplin", *words, "--file", str(trem.home.path / "y.log"))
    assert done.returncode == 1
    assert f"runs with --file {recording.file}, " in done.stderr
    assert "and that does not change while it runs: `inv kill --host" in done.stderr
    done = trem.home.program(*fab, "-H", host, "tremplin", *words[:2])
    assert done.returncode == 0, done.stderr
    assert f"is recording already, into {recording.file}" in done.stdout
    with sshd(trem, "other") as port:
        # Another sshd is another host, as far as anybody can know; but its relay is one that we have.
        host = f"{user}@127.0.0.1:{port}"
        done = trem.home.program(
            *fab, "-H", host, "tremplin", *words, "--file", str(trem.home.path / "y.log")
        )
        assert done.returncode == 1
        assert f"That relay is {recording.folder.name} here" in done.stderr
    assert recording.kill().returncode == 0
    nothing_is_left(trem)


@contextlib.contextmanager
def another_network() -> Iterator[tuple[str, str]]:
    """Make a network namespace, another host as far as ports go; its name, and its address seen from here."""
    name, link = f"reclog{os.getpid()}", f"rl{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        assert "CI" not in os.environ, "CI makes network namespaces"
        pytest.skip("no network namespaces here")
    try:
        for words in (
            f"link add {link} type veth peer name {link}b netns {name}",
            f"address add 10.213.{slot()}.1/30 dev {link}",
            f"link set {link} up",
            f"-n {name} address add 10.213.{slot()}.2/30 dev {link}b",
            f"-n {name} link set {link}b up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        yield name, f"10.213.{slot()}.2"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.root
def test_several_hosts_in_one_call(trem: Tremplin) -> None:
    home, there = trem.home, Path(f"/tmp/reclog-second-{os.getpid()}")
    there.mkdir(mode=0o700)
    os.chown(there, trem.account.pw_uid, trem.account.pw_gid)
    try:
        with another_network() as (network, address):
            within = ("ip", "netns", "exec", network)
            with sshd(trem, "second", f"SetEnv HOME={there}", listen=address, within=within) as port:
                first = trem.config.read_text()
                second = first.replace("Host trem", "Host trem2").replace("127.0.0.1", address)
                config = trem.folder / "two"
                config.write_text(first + second.replace(f"Port {trem.port}", f"Port {port}"))
                senders, out = free_port(), free_port()
                ports = ["--port-remote-in", str(senders), "--port-remote-out", str(out)]
                fab = ["fab", "-S", str(config), "-H", "trem,trem2"]
                done = home.program(*fab, "tremplin", *ports, "--file", f"{home.path}/{{host}}.log")
                assert (done.returncode, done.stderr) == (0, ""), done.stdout
                for host, name in (("127.0.0.1", "trem"), (address, "trem2")):
                    with socket.create_connection((host, senders), timeout=5) as sock:
                        sock.sendall(f"to {name}\n".encode())
                    file = home.path / f"{name}.log"
                    wait_until(functools.partial(ends_with, file, f"\nto {name}\n".encode()))
                assert sorted(one["host"] for one in home.status()) == ["trem", "trem2"]
                done = home.program(*fab, "kill")
                assert (done.returncode, done.stderr) == (0, ""), done.stdout
                nothing_is_left(trem)
                assert [path for path in there.rglob("*") if path.is_file()] == []
    finally:
        shutil.rmtree(there)


def test_a_tunnel_ends_at_a_port_where_sshd_forwards_to_no_socket(trem: Tremplin) -> None:
    assert re.search(r"\ntunnel: 127\.0\.0\.1:\d+ here -> ~/\S+/feed there\n", works(trem, ALIAS))
    with sshd(trem, "half", "AllowStreamLocalForwarding no") as port:
        began = time.monotonic()
        said = works(trem, ALIAS, trem.config.read_text().replace(f"Port {trem.port}", f"Port {port}"))
        assert time.monotonic() - began < 10
    assert "forwards to no UNIX socket, so the tunnel is to end at a port\n" in said
    assert re.search(r"\ntunnel: 127\.0\.0\.1:\d+ here -> 127\.0\.0\.1:55614 there\n", said)


# -- what does not ------------------------------------------------------------------------------------


def test_wrong_words(trem: Tremplin) -> None:
    home, text = trem.home, trem.config.read_text()
    touched = home.path / "touched"
    refused(trem, home.program("fab", "tremplin"), "Give a host with -H", code=2)
    done = home.program("fab", f"-H=-oProxyCommand=touch {touched}", "tremplin")
    refused(trem, done, "is no host", code=2)
    done = home.program("fab", "-H", f"me@-oProxyCommand=touch {touched}", "tremplin")
    refused(trem, done, "is no host", code=2)
    assert not touched.exists()
    port = str(free_port())
    same = ("--port-remote-in", port, "--port-remote-out", port)
    for words, said in (
        (same, "--port-remote-in and --port-remote-out are the same"),
        (("--spool-max", "much"), "--spool-max 'much' is no size"),
        (("--spool-max", "5"), "--spool-max '5' is no size"),
        (("--port-remote-in", "x"), "--port-remote-in 'x' is no port"),
        (("--listener", "socat", "--stamp"), "use --listener builtin"),
    ):
        refused(trem, call(trem, ALIAS, text, *words), said, code=2)
    refused(trem, call(trem, "one,two", text), "--file needs {host} in it", code=2)


def test_hosts_that_are_out_of_reach(trem: Tremplin) -> None:
    text = trem.config.read_text()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        slow = trem.folder / "slow"
        slow.write_text(text.replace(f"Port {trem.port}", f"Port {port}"))
        began = time.monotonic()
        file = str(trem.home.path / "s.log")
        waiting = trem.home.start("fab", "-S", str(slow), "-H", ALIAS, "tremplin", "--file", file)
        kept = silent.accept()
        # Meanwhile the others, of another laptop.
        home = Home(trem.home.path / "other")
        home.path.mkdir()
        other = Tremplin(home, trem.folder, trem.port, trem.account, trem.process)
        done = call(other, "no-such-host.invalid", text)
        refused(other, done, "no-such-host.invalid: its name does not resolve: check the spelling")
        done = call(other, ALIAS, text.replace(f"Port {trem.port}", f"Port {free_port()}"))
        refused(other, done, f"{ALIAS}: no sshd answers there: check the port")
        done = call(other, ALIAS, "Host *\n  NoSuchOption yes\n" + text)
        refused(other, done, "Bad configuration option: nosuchoption", "correct it")
        out, err = waiting.communicate(timeout=30)
        assert time.monotonic() - began < 20
        kept[0].close()
        done = subprocess.CompletedProcess([], waiting.returncode, out, err)
        refused(trem, done, f"{ALIAS}: it does not answer: check address and network")


def test_hosts_that_are_not_who_they_were_or_do_not_know_us(trem: Tremplin) -> None:
    text, key = trem.config.read_text(), trem.folder / "user_key"
    known = f"{trem.folder}/known_hosts"
    none = text.replace(known, f"{trem.folder}/nobody_known")
    unknown = "its host key is unknown: connect once by hand, `ssh -F "  # the config that was given
    refused(trem, call(trem, ALIAS, none + "  StrictHostKeyChecking yes\n"), unknown)
    refused(trem, call(trem, ALIAS, none + "  StrictHostKeyChecking ask\n"), unknown)
    keygen("-t", "ed25519", "-N", "", "-f", str(trem.folder / "other_key"))
    other = " ".join((trem.folder / "other_key.pub").read_text().split()[:2])
    (trem.folder / "changed").write_text(f"[127.0.0.1]:{trem.port} {other}\n")
    changed = text.replace(known, f"{trem.folder}/changed")
    done = call(trem, ALIAS, changed)
    refused(trem, done, "its host key has changed: find out why", "ssh-keygen -f", f"[127.0.0.1]:{trem.port}")
    done = call(trem, ALIAS, changed + "  StrictHostKeyChecking no\n")  # OpenSSH goes on, we don't
    refused(trem, done, "ssh logs in and Fabric can't", "does not match")
    denied = "it refuses the login: load a key that it knows into ssh-agent (ssh-add), or give one with -i"
    refused(trem, call(trem, ALIAS, text.replace(str(key), f"{trem.folder}/other_key")), denied)
    keygen("-p", "-N", "secret", "-P", "", "-f", str(key))
    refused(trem, call(trem, ALIAS, text), f"the key {key} has a passphrase", "load it into ssh-agent")


def wrapper(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_hosts_on_which_no_relay_can_live(trem: Tremplin) -> None:
    text = trem.config.read_text()

    def at(port: int) -> str:
        return text.replace(f"Port {trem.port}", f"Port {port}")

    tools = Path("/tmp") / f"reclog-tools-{os.getpid()}"  # the account has to be let in
    tools.mkdir()
    try:
        os.symlink("/bin/sh", tools / "sh")
        with sshd(trem, "poor", f"SetEnv PATH={tools}") as port:
            refused(trem, call(trem, ALIAS, at(port)), "trem has no python3: install it there")
            wrapper(
                tools / "python3",
                "#!/usr/bin/python3\nimport sys\n\nsys.version_info = (3, 6, 9)\nexec(sys.stdin.read())\n",
            )
            refused(trem, call(trem, ALIAS, at(port)), "trem has Python 3.6: a relay needs 3.8 or newer")
    finally:
        shutil.rmtree(tools)
    with sshd(trem, "deaf", "ForceCommand echo hello") as port:
        refused(trem, call(trem, ALIAS, at(port)), "does not run commands as expected: try `ssh -F ")
    with sshd(trem, "closed", "AllowTcpForwarding no") as port:
        began = time.monotonic()
        refused(trem, call(trem, ALIAS, at(port)), "sshd forbids the tunnel", "AllowTcpForwarding local")
        assert time.monotonic() - began < 10
    with sshd(trem, "talking", 'ForceCommand echo a banner; eval "$SSH_ORIGINAL_COMMAND"') as port:
        done = call(trem, ALIAS, at(port))  # its sftp is spoiled by the banner
        refused(trem, done, "does not transfer files", "print nothing")


def test_no_right_and_no_room(trem: Tremplin) -> None:
    text, home = trem.config.read_text(), Path(trem.account.pw_dir)
    local = home / ".local"
    if local.exists():
        shutil.rmtree(local)
    local.mkdir()
    try:
        done = call(trem, ALIAS, text)
        refused(trem, done, f"{local}/state/reclog/relay on trem can't be written")
        os.chown(local, trem.account.pw_uid, trem.account.pw_gid)
        state = local / "state"
        state.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=300k,mode=1777", "none", str(state)], check=False
        )
        if mounted.returncode == 0:
            try:
                done = call(trem, ALIAS, text)
                refused(trem, done, "trem has 300 KiB free", "make room there")
            finally:
                subprocess.run(["umount", "-l", str(state)], check=True)
    finally:
        shutil.rmtree(local)


def test_ports_that_are_taken(trem: Tremplin, tmp_path: Path) -> None:
    text = trem.config.read_text()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_port()
        stranger.bind(("0.0.0.0", port))
        stranger.listen()
        remedy = "Choose another --port-remote-in or --port-remote-out."
        for option in ("--port-remote-in", "--port-remote-out"):
            done = call(trem, ALIAS, text, option, str(port))
            refused(trem, done, f"On trem: Port {port} is in use already.", remedy)
    # Another account's relay is as good a stranger.
    there = Path(f"/tmp/reclog-root-{os.getpid()}")
    keys = there / "keys"
    there.mkdir(mode=0o700)
    try:
        keys.write_text((trem.folder / "user_key.pub").read_text())
        options = (f"AuthorizedKeysFile {keys}", "PermitRootLogin yes", f"SetEnv HOME={there}")
        with sshd(trem, "root", *options) as port_of_root:
            root = text.replace(f"Port {trem.port}", f"Port {port_of_root}")
            root = root.replace(f"User {trem.account.pw_name}", f"User {getpass.getuser()}")
            home = Home(tmp_path / "root")
            home.path.mkdir()
            other = Tremplin(home, trem.folder, trem.port, trem.account, trem.process)
            port, out = free_port(), free_port()
            words = ("--port-remote-in", str(port), "--file", str(tmp_path / "root.log"))
            done = call(other, ALIAS, root, *words, "--port-remote-out", str(out))
            assert done.returncode == 0, done.stderr
            refused(trem, call(trem, ALIAS, text, *words[:2]), f"On trem: Port {port} is in use already.")
            refused(
                trem, call(trem, ALIAS, text, "--port-remote-out", str(out)), f"On trem: Port {out} is in use"
            )
            assert home.inv("kill").returncode == 0
            assert [path for path in there.rglob("*") if path.is_file()] == [keys]
    finally:
        shutil.rmtree(there)


def test_files_that_can_not_be_recorded_to(trem: Tremplin) -> None:
    text, home = trem.config.read_text(), trem.home
    local = home.local()
    for file, said in (
        (home.path, "is a directory"),
        (home.path / "no" / "such" / "x.log", "does not exist: make it"),
        (local.file, f"is being recorded by local-{local.port} (port {local.port}) already"),
    ):
        done = call(trem, ALIAS, text, "--file", str(file))
        assert done.returncode == 1, done.stdout
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr
        wait_until(lambda: not trem.processes(), what="what did not start has ended")
        assert trem.files() == []
    assert [one["name"] for one in home.status()] == [f"local-{local.port}"]


def test_spools_that_can_not_be_used(trem: Tremplin) -> None:
    recording = trem.open()
    spool = recording.relay_folder / "spool" / "spool.json"
    for spoil, said in (
        (lambda: spool.write_text(spool.read_text().replace('"version": 1', '"version": 99')), "version"),
        (lambda: spool.write_text("{"), "can't be used"),
        (lambda: spool.unlink(), "its state is missing"),
    ):
        # A relay that died with lines that nobody has.
        recording.daemon.kill()
        recording.send(b"a line that nobody has\n")
        wait_until(lambda: recording.relay_counters()["last_line"] == "a line that nobody has")
        recording.relay.kill()
        wait_until(lambda: trem.processes() == [])
        spoil()
        done = recording.again()
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert said in done.stderr
        assert f"`fab -H {ALIAS} kill --discard` drops it" in done.stderr
        wait_until(lambda: not trem.processes(), what="what did not start has ended")
        wait_until(lambda: not trem.home.processes(), what="what did not start has ended")
        assert (recording.relay_folder / "config.json").exists()
        done = trem.fab("kill")
        assert done.returncode == 1
        assert f"The relay on {ALIAS} does not start: The spool" in done.stderr
        assert spool.parent.exists()
        done = trem.fab("kill", "--discard")
        assert (done.returncode, done.stderr) == (0, "")
        nothing_is_left(trem)
        assert recording.again().returncode == 0
