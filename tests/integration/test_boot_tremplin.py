"""A tremplin boots while the laptop is off: senders are recorded from then on. All is real there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import ROOT, Home, wait_until
from machine import Machine, machine, told
from tremplin_bench import ALIAS, Tremplin, TremplinRecording, run_sshd, tremplin
from tremplin_streams import kill_collector

pytestmark = pytest.mark.root
MINE = '# mine\n\nMAILTO=""\n5 4 * * *   backup 100\\%  \n'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Machine]:
    """Give a test a machine that is up."""
    with machine(tmp_path / "machine") as one:
        yield one


@pytest.fixture
def there(lab: Machine, home: Home, tmp_path: Path) -> Iterator[Tremplin]:
    """Give a test that machine as a tremplin, with its sessions as logind knows them."""
    with tremplin(home, tmp_path / "tremplin", within=lab.within, settings="UsePAM yes\n") as trem:
        yield trem


def lingers(lab: Machine, verb: str = "enable-linger") -> None:
    assert lab.run("loginctl", verb, lab.user.pw_name).returncode == 0


def crontab(lab: Machine) -> str:
    return lab.as_user("crontab", "-l").stdout


def units(lab: Machine) -> list[str]:
    return [path.name for path in (lab.home / ".config").rglob("reclog-*")]


def rebooted(lab: Machine, trem: Tremplin, recording: TremplinRecording, cron: bool) -> None:
    """Boot the tremplin while the laptop is off; senders send; then the laptop is back."""
    recording.send(b"before\n")
    wait_until(lambda: recording.read().endswith(b"before\n"))
    kill_collector(recording)
    lab.cut_power()
    lab.boot()
    lab.run("cron") if cron else None
    told(recording.port, b"while the laptop is off")
    trem.process.wait()
    trem.process = run_sshd(trem.folder / "sshd_config", lab.within)
    done = recording.again()
    assert done.returncode == 0, done.stderr
    assert "relay was there already" in done.stdout
    wait_until(lambda: b"while the laptop is off\n" in recording.read())


def test_a_relay_starts_with_its_host_by_cron_or_by_its_systemd(lab: Machine, there: Tremplin) -> None:
    recording = there.open()
    done = recording.again("--boot")
    assert done.returncode == 1
    assert f"loginctl enable-linger {lab.user.pw_name}" in done.stderr

    lab.run("cron")
    (lab.home / "mine").write_text(MINE)
    lab.as_user("crontab", f"{lab.user.pw_dir}/mine")
    for _ in range(2):  # on what runs; and once is enough
        done = recording.again("--boot")
        assert f"{ALIAS}: relay starts at boot, by a line of the crontab" in done.stdout, done.stderr
    assert crontab(lab).startswith(MINE)
    assert crontab(lab).count("@reboot") == 1
    rebooted(lab, there, recording, cron=True)
    assert f"{ALIAS}: relay does not start at boot" in recording.again("--no-boot").stdout
    assert crontab(lab) == MINE
    recording.again("--boot")

    lingers(lab)
    done = recording.again("--boot")
    assert f"{ALIAS}: relay starts at boot, by a systemd user unit" in done.stdout, done.stderr
    assert units(lab) == [f"reclog-relay:{recording.port}.service"] * 2
    assert crontab(lab) == MINE
    rebooted(lab, there, recording, cron=False)
    # It is systemd's own, which starts it again.
    (relay,) = there.processes_of("relay")
    kill_collector(recording)
    relay.kill()
    wait_until(lambda: any(one != relay for one in there.processes_of("relay")), what="it is started again")

    for path in (recording.folder / "config.json", recording.folder / "state.json"):
        path.unlink()  # no record of it here
    done = there.fab("kill", "--take-over", "--discard")
    assert done.returncode == 0, done.stderr
    assert not there.processes_of("relay")
    assert not units(lab)


def test_a_relay_stays_where_logind_ends_all_of_a_session(lab: Machine, there: Tremplin) -> None:
    folder = lab.root / "etc/systemd/logind.conf.d"
    folder.mkdir()
    (folder / "kill.conf").write_text("[Login]\nKillUserProcesses=yes\n")
    lab.run("systemctl", "restart", "systemd-logind")
    recording = there.open()
    (relay,) = there.processes_of("relay")
    assert "/user@" in Path(f"/proc/{relay.pid}/cgroup").read_text()
    recording.send(b"hello\n")
    wait_until(lambda: recording.read().endswith(b"hello\n"))
    lingers(lab)
    kill_collector(recording)
    wait_until(lambda: not lab.run("loginctl", "list-sessions", "--no-legend").stdout, what="no session")
    told(recording.port, b"nobody is logged in")
    assert recording.again().returncode == 0
    wait_until(lambda: b"nobody is logged in\n" in recording.read())
    assert there.processes_of("relay") == [relay]
    assert recording.kill().returncode == 0


def test_a_collector_that_cron_starts_waits_for_its_tremplin(home: Home, trem: Tremplin) -> None:
    """Boots come before networks do."""
    recording = trem.open()
    recording.daemon.kill()
    trem.process.terminate()
    trem.process.wait()
    engine = [sys.executable, "-I", str(ROOT / "reclog" / "engine")]
    done = home.run(*engine, "start", "collector", "--folder", str(recording.folder), "--again", timeout=10)
    assert done.returncode == 0, done.stdout + done.stderr
    assert recording.status()["state"] == "reconnecting"
    trem.process = run_sshd(trem.folder / "sshd_config")
    wait_until(lambda: recording.status()["state"] == "recording")
