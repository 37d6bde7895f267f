"""Promises 3 and 4 where files can't tell: the state is on the full disk, too; the daemon is suspended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench import Home, Running, wait_until
from small_disk import mount

FULL = "No space left on device"


def ext4(path: Path) -> None:
    image = path.with_suffix(".img")
    image.write_bytes(b"\0" * (2 << 20))
    subprocess.run(["mkfs.ext4", "-q", "-m0", "-O", "^has_journal", str(image)], check=True)
    try:
        mount("-o", "loop", str(image), str(path))
    except subprocess.CalledProcessError:
        pytest.skip("this machine has no loop devices")


def tmpfs(path: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=1m", "reclog-test", str(path))


@pytest.fixture(params=[tmpfs, ext4])
def small(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    """Yield a home whose state, and all that it records, is on one small disk."""
    disk = tmp_path / "small"
    disk.mkdir()
    request.param(disk)
    small = Home(disk)
    yield small
    small.kill_all()
    subprocess.run(["umount", str(disk)], check=True)


def fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"x" * 512):
            pass


def again(recording: Running) -> None:
    done = recording.home.inv(*recording.words)
    assert done.returncode == 0, done.stderr


@pytest.mark.root
def test_a_daemon_tells_what_the_full_disk_keeps_its_files_from(small: Home, listener: str) -> None:
    recording = small.local("--listener", listener)
    recording.send(b"first\n")
    assert recording.kill().returncode == 0
    again(recording)
    wait_until(lambda: recording.status()["state"] == "recording")
    fill(small.path / "ballast")
    for number in range(60):
        recording.send(b"%d %s\n" % (number, b"." * 5000))
    wait_until(lambda: recording.status()["state"] == "paused")
    assert recording.status()["paused_for"] == FULL
    assert recording.history()["state"] == "recording"  # the files are old
    killed = recording.kill()
    assert killed.returncode == 1
    assert "could not be recorded" in killed.stderr
    assert f"({FULL})" in killed.stderr
    assert not small.processes()


@pytest.mark.root
def test_a_recording_that_starts_on_a_full_disk_is_seen(small: Home) -> None:
    recording = small.local()
    recording.kill()
    fill(small.path / "ballast")
    done = small.inv(*recording.words)
    assert done.returncode == 1
    assert f"({FULL}): make room there" in done.stderr
    wait_until(lambda: not small.processes(), what="what did not start has ended")


def test_a_suspended_recording_is_shown_as_stopped(home: Home) -> None:
    recording = home.local()
    recording.send(b"before\n")
    wait_until(lambda: recording.history()["lines"] == 1)
    recording.daemon.suspend()
    wait_until(lambda: recording.daemon.status() == psutil.STATUS_STOPPED)
    for _ in range(3):
        status = recording.status()
        assert (status["state"], status["lines"]) == ("stopped", 1)
    killed = recording.kill()
    assert (killed.returncode, killed.stderr) == (0, "")


def test_an_end_without_a_word_is_not_known_to_be_good(home: Home, tmp_path: Path) -> None:
    recording = home.local()
    recording.send(b"first\n")
    assert recording.kill().returncode == 0
    points = tmp_path / "points"
    points.mkdir()
    home.env["RECLOG_FAULTPOINTS"] = str(points)
    again(recording)
    with recording.connect() as sender:
        sender.sendall(b"half a line")  # it is written as the recorder ends, which dies of it
        wait_until(lambda: recording.status()["senders"] == 1)
        (points / "file.before-write").write_text("kill")
        killed = recording.kill()
    assert killed.returncode == 1
    assert "it is not known whether all that was sent is in" in killed.stderr


def test_a_daemon_from_before_is_judged_from_its_files(home: Home) -> None:
    recording = home.local()
    recording.send(b"first\n")
    wait_until(lambda: recording.history()["lines"] == 1)
    (recording.folder / "control").unlink()
    assert (recording.status()["state"], recording.status()["lines"]) == ("recording", 1)
    killed = recording.kill()
    assert (killed.returncode, killed.stderr) == (0, "")
    assert "1 line recorded" in killed.stdout


def test_a_socket_of_a_dead_daemon_is_replaced(home: Home) -> None:
    recording = home.local()
    recording.daemon.send_signal(signal.SIGKILL)
    wait_until(lambda: recording.status()["state"] == "dead")
    assert (recording.folder / "control").exists()
    again(recording)
    recording.send(b"line\n")
    wait_until(lambda: recording.status()["lines"] == 1)
    assert recording.kill().returncode == 0
