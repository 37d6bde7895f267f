"""A machine of a test's own, whose first process is a real systemd: namespaces, over what is installed here.

What is written there stays there, from one boot to the next, and goes with the test. Its network is ours.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from bench import ROOT, wait_until
from tremplin_bench import account

SYSTEMD = "/lib/systemd/systemd"
#: What is started: the bus, and who starts the systemd of users. Not what would clear /tmp.
TARGET = """\
[Unit]
Requires=basic.target
Wants=dbus.service systemd-logind.service systemd-user-sessions.service
AllowIsolate=yes
"""
MASKED = (
    *("tmp.mount", "systemd-tmpfiles-setup.service", "systemd-tmpfiles-clean.timer", "systemd-udevd.service"),
    *(
        "systemd-udev-trigger.service",
        "systemd-networkd.service",
        "systemd-resolved.service",
        "apt-daily.timer",
    ),
    *("apt-daily-upgrade.timer", "systemd-timesyncd.service", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("systemd-journal-flush.service", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer"),
)
#: Its root: an overlay. Its boot id is another one each time, as a machine's is.
ENTER = """
set -e
disk=$1 program=$2
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/up,workdir=$disk/work" "$disk/root"
cd "$disk/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t cgroup2 cgroup2 sys/fs/cgroup
cat proc/sys/kernel/random/uuid >run/boot_id
mount --bind run/boot_id proc/sys/kernel/random/boot_id
mkdir -p old run/sshd
pivot_root . old
umount -l /old
exec env -i container=reclog-test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$program" --log-target=null \\
    --unit=test.target
"""


class Machine:
    """One machine; it is off until `boot`."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.user = account()
        self._process: subprocess.Popen[bytes] | None = None
        self._cgroup = _cgroups() / f"reclog-test-{os.getpid()}"
        for name in ("up", "work", "root"):
            (disk / name).mkdir()
        units = disk / "up/etc/systemd/system"
        units.mkdir(parents=True)
        (units / "test.target").write_text(TARGET)
        for name in MASKED:
            (units / name).symlink_to("/dev/null")

    @property
    def root(self) -> Path:
        """Where its files are seen from here."""
        return Path(f"/proc/{self._first}/root")

    @property
    def home(self) -> Path:
        """The home of its user, from here."""
        return self.root / self.user.pw_dir[1:]

    @property
    def _first(self) -> int:
        assert self._process is not None
        return psutil.Process(self._process.pid).children()[0].pid

    def boot(self) -> None:
        """Switch it on; return once it is up."""
        self._cgroup.mkdir()
        words = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork"]
        words += ["sh", "-c", ENTER, "sh", str(self.disk), SYSTEMD]
        command = f'echo $$ >"$0/cgroup.procs"; exec unshare {" ".join(words[:6])} "$@"'
        with (self.disk / "said").open("ab") as said:
            self._process = subprocess.Popen(
                ["sh", "-c", command, str(self._cgroup), *words[6:]],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        wait_until(lambda: self.run("systemctl", "is-active", "test.target").returncode == 0, what="it is up")

    @property
    def within(self) -> list[str]:
        """The command that runs another there, as root."""
        return ["nsenter", "--target", str(self._first), "--all", "--wd=/"]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command there as root."""
        try:
            command = [*self.within, *words]
        except (IndexError, psutil.Error):
            return subprocess.CompletedProcess(words, 255, "", "it is off")
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def as_user(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command there as its user, in this checkout."""
        one = self.user
        inside = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        told = {"HOME": one.pw_dir, "USER": one.pw_name, "PATH": inside, "COLUMNS": "200", **env}
        who = ["setpriv", f"--reuid={one.pw_uid}", f"--regid={one.pw_gid}", "--clear-groups"]
        return self.run(*who, "env", "-i", "-C", str(ROOT), *(f"{k}={v}" for k, v in told.items()), *words)

    def cut_power(self) -> None:
        """Switch it off as a power cut does."""
        if self._process is not None:
            with contextlib.suppress(IndexError, psutil.Error):
                os.kill(self._first, signal.SIGKILL)
            self._off()

    def shut_down(self) -> None:
        """Switch it off in good order."""
        self.run("systemctl", "poweroff")
        self._off()

    def _off(self) -> None:
        assert self._process is not None
        self._process.wait(60)
        self._process = None
        for folder, _, _ in sorted(os.walk(self._cgroup), reverse=True):
            wait_until(lambda folder=folder: _removed(Path(folder)), what=folder)  # type: ignore[misc]


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Have a machine that is up; afterwards there is nothing of it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    try:
        one = Machine(folder)
        # Who tests may have its Python in a home of its own.
        for parent in Path(sys.executable).resolve().parents:
            if parent != Path("/") and not parent.stat().st_mode & 0o001:
                (folder / "up" / str(parent)[1:]).mkdir(parents=True, mode=0o711)
        try:
            one.boot()
            yield one
        finally:
            one.cut_power()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def told(port: int, *lines: bytes) -> None:
    """Send lines, once somebody listens there."""

    def connected() -> socket.socket | None:
        with contextlib.suppress(ConnectionError):
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        return None

    with wait_until(connected, what="it listens") as sock:
        sock.sendall(b"\n".join([*lines, b""]))


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


def _cgroups() -> Path:
    """Return where this machine's one hierarchy of control groups is (cgroups(7))."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise AssertionError("there is no cgroup2 here: mount it for a systemd of the tests' own")
