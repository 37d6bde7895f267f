"""A tremplin for tests: a real sshd with keys, a port and an unprivileged account of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench import Home, Running, daemon_in, events_in, free_port, slot, wait_until

ALIAS = "trem"
#: What a systemd of the account's own is, where there is one.
SYSTEMDS = ("systemd", "(sd-pam)", "dbus-daemon")
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "/usr/sbin/sshd"


def account() -> pwd.struct_passwd:
    """Return the tremplin's account: one for each process that tests, left to the next run.

    It is made if need be (as root: CI is), without a password.
    """
    name = f"reclogtest{slot()}"
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name)
    words = ["--create-home", "--shell", "/bin/sh", "--password", "*", name]
    subprocess.run(["/usr/sbin/useradd", *words], check=True)
    return pwd.getpwnam(name)


def is_sshd(process: psutil.Process) -> bool:
    """Tell whether it is a part of sshd: from OpenSSH 9.8 on a session's process is called sshd-session."""
    return process.name().partition("-")[0] == "sshd"


def run_sshd(config: Path, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start an sshd by a config file; return once it listens. `within` runs a command elsewhere."""
    said = config.with_suffix(".log")
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own empty folder, which an init script makes
    with said.open("wb") as log:
        command = [*within, SSHD, "-D", "-e", "-f", str(config)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: b"Server listening" in said.read_bytes(), what="sshd")
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


@dataclasses.dataclass
class Tremplin:
    """A running sshd, the ssh config that reaches it, and the account's home."""

    home: Home
    folder: Path
    port: int
    account: pwd.struct_passwd
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def relays(self) -> Path:
        return Path(self.account.pw_dir) / ".local/state/reclog/relay"

    def fab(self, *words: str, host: str = ALIAS, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run `fab -S config -H alias …`."""
        return self.home.program("fab", "-S", str(self.config), "-H", host, *words, **kwargs)

    def open(self, *words: str, file: Path | None = None, at_port: bool = False) -> TremplinRecording:
        """Start `fab tremplin` on ports of its own; fail with its own words if it does not start.

        The tunnel ends at a UNIX socket there, or `at_port`.
        """
        recording = self.to_be(file, at_port)
        done = recording.again(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return recording

    def to_be(self, file: Path | None = None, at_port: bool = False) -> TremplinRecording:
        """Return a recording on ports of its own that is still to be started."""
        port = free_port()
        file = file or self.home.path / f"{port}.log"
        out = free_port() if at_port else 0
        return TremplinRecording(self.home, port, file, self, out, free_port())

    def processes(self) -> list[psutil.Process]:
        """Return the account's processes there, but for sshd's own, and its systemd's."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                mine = process.uids().real == self.account.pw_uid
                others = is_sshd(process) or process.name() in SYSTEMDS
                if mine and not others and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def processes_of(self, role: str) -> list[psutil.Process]:
        """Return the account's daemons there that have that role."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if role in words and "start" not in words:
                    found.append(process)
        return found

    def sessions(self) -> list[psutil.Process]:
        """Return the sshd processes that serve the account's sessions."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if is_sshd(process) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def files(self) -> list[Path]:
        """Return every file of reclog's in the account's home."""
        top = Path(self.account.pw_dir) / ".local/state/reclog"
        return [path for path in top.rglob("*") if not path.is_dir()] if top.exists() else []


@dataclasses.dataclass
class TremplinRecording(Running):
    """A recording through a tremplin; `port` is the one that senders use."""

    tremplin: Tremplin
    #: 0: the tunnel ends at a UNIX socket.
    port_out: int
    port_local: int

    def again(self, *words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run the same `fab tremplin` (once more)."""
        return self.tremplin.fab("tremplin", *self.ports, "--file", str(self.file), *words, **kwargs)

    @property
    def ports(self) -> list[str]:
        """The options that name its ports."""
        out = ["--port-remote-out", str(self.port_out)] if self.port_out else []
        return ["--port-remote-in", str(self.port), *out, "--port-local", str(self.port_local)]

    @property
    def folder(self) -> Path:
        return self.home.recordings / f"tremplin-{ALIAS}-{self.port}"

    @property
    def relay_folder(self) -> Path:
        return self.tremplin.relays / str(self.port)

    def relay_events(self, event: str = "") -> list[dict[str, Any]]:
        return events_in(self.relay_folder, event)

    @property
    def ssh(self) -> psutil.Process:
        """The tunnel: the collector's child with a forward."""
        children = self.daemon.children()
        return next(child for child in children if "-L" in child.cmdline())

    @property
    def relay(self) -> psutil.Process:
        return daemon_in(self.relay_folder)

    def relay_counters(self) -> dict[str, Any]:
        counters: dict[str, Any] = json.loads((self.relay_folder / "counters.json").read_text())
        return counters

    def kill(self, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return self.home.inv("kill", "--host", ALIAS, "--port", str(self.port), **kwargs)


@contextlib.contextmanager
def tremplin(
    home: Home, folder: Path, address: str = "127.0.0.1", within: Sequence[str] = (), settings: str = ""
) -> Iterator[Tremplin]:
    """Run an sshd for one test; afterwards stop it, and see that nothing of reclog's is left there.

    `within` is a command that runs another elsewhere: sshd is started with it. `settings` are lines
    of its configuration that come before all others.
    """
    user = account()
    folder.mkdir(mode=0o700)
    port = free_port()
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    ssh_folder = Path(user.pw_dir) / ".ssh"
    ssh_folder.mkdir(mode=0o700, exist_ok=True)
    keys = ssh_folder / "authorized_keys"
    keys.write_text((folder / "user_key.pub").read_text())
    for path in (ssh_folder, keys):
        os.chown(path, user.pw_uid, user.pw_gid)
    # Without the key exchange that takes 0.1 s of CPU (sntrup761 of OpenSSH 9): tests log in 1,000 times.
    (folder / "sshd_config").write_text(
        f"{settings}KexAlgorithms -sntrup*\n"
        f"Port {port}\nListenAddress {address}\nHostKey {folder}/host_key\nPidFile {folder}/pid\n"
        "AuthorizedKeysFile .ssh/authorized_keys\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
        f"Subsystem sftp internal-sftp\nMaxStartups 100:30:200\n"
    )
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[{address}]:{port} {host_key}\n")
    (folder / "config").write_text(
        f"Host {ALIAS}\n  HostName {address}\n  Port {port}\n  User {user.pw_name}\n"
        f"  IdentityFile {folder}/user_key\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n"
    )
    bench = Tremplin(home, folder, port, user, run_sshd(folder / "sshd_config", within))
    try:
        yield bench
        said = home.kill_all()
        if (
            said
        ):  # a crowded machine may answer too late: then it says so, and the same again sees to the rest
            print(said)
            said = home.kill_all()
        # What is being removed there may take a moment longer than the command that asked for it.
        with contextlib.suppress(pytest.fail.Exception):
            wait_until(lambda: not bench.processes() and not bench.files(), 5)
        left, files = bench.processes(), bench.files()
        assert not left, f"left there: {[' '.join(p.cmdline()) for p in left]} ({said})"
        assert not files, f"left there: {files} ({said})"
    finally:
        for one in bench.processes():
            with contextlib.suppress(psutil.Error):
                one.kill()
        bench.process.terminate()  # a test may have stopped the first and started another
        bench.process.wait()
        shutil.rmtree(Path(user.pw_dir) / ".local/state/reclog", ignore_errors=True)
