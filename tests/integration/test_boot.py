"""What starts at boot, and what does not: on a machine of its own with a real systemd."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Home, free_port, wait_until
from machine import Machine, machine, told

pytestmark = pytest.mark.root
#: Where the state is, in the home: all that means something to systemd.
STATE = '100%h ${HOME} "state"'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Machine]:
    """Give a test a machine whose user's systemd starts at boot."""
    with machine(tmp_path / "machine") as one:
        assert one.run("loginctl", "enable-linger", one.user.pw_name).returncode == 0
        wait_until(lambda: Path(one.root / f"run/user/{one.user.pw_uid}/systemd/private").exists())
        yield one


def did(one: Machine, *words: str) -> str:
    """Run `inv` there and return what it prints on both streams; it has to succeed."""
    done = one.as_user("inv", *words, XDG_STATE_HOME=f"{one.user.pw_dir}/{STATE}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(one: Machine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(did(one, "status", "--json"))
    return found


def systemctl(one: Machine, *words: str) -> str:
    env = {"XDG_RUNTIME_DIR": f"/run/user/{one.user.pw_uid}"}
    return one.as_user("systemctl", "--user", *words, **env).stdout.strip()


def unit_says(one: Machine, what: str, unit: str) -> str:
    return systemctl(one, "show", "--value", f"--property={what}", unit)


def test_a_recording_is_back_after_each_boot_as_it_was_last_told_to_be(lab: Machine) -> None:
    port = free_port()
    words = ("local", "--port", str(port), "--file", f"{lab.user.pw_dir}/a 100% $log", "--token")
    token = next(line for line in did(lab, *words).splitlines() if line.startswith("Token: "))[7:].encode()
    unit = f"reclog-local-{port}.service"

    def recorded() -> bytes:
        return (lab.home / "a 100% $log").read_bytes()

    assert did(lab, "boot") == f"local-{port} starts at boot, by {unit}\n"
    did(lab, *words, "--stamp")  # changed while it runs: that counts, too
    # What runs goes on as it is: a start, as at a login, finds that out, and is not tried again.
    systemctl(lab, "start", unit)
    wait_until(lambda: unit_says(lab, "ActiveState", unit) == "failed")
    assert (unit_says(lab, "ExecMainStatus", unit), unit_says(lab, "NRestarts", unit)) == ("2", "0")

    lab.shut_down()
    lab.boot()
    told(port, b"a stranger")
    told(port, token, b"hello")
    wait_until(lambda: recorded().endswith(b"hello\n"))
    first = unit_says(lab, "MainPID", unit)
    lab.run("kill", "-9", first)
    wait_until(lambda: unit_says(lab, "MainPID", unit) not in ("0", first), what="it is started again")
    told(port, token, b"hello again")
    wait_until(lambda: recorded().endswith(b"hello again\n"))
    (one,) = status(lab)
    assert (one["boot"], one["pids"]) == (True, [int(unit_says(lab, "MainPID", unit))])
    assert unit_says(lab, "NRestarts", unit) == "1"
    text = (lab.home / ".config/systemd/user" / unit).read_text()
    known = json.loads((lab.home / STATE / f"reclog/recordings/local-{port}/config.json").read_text())
    assert token.decode() not in text
    assert known["token"] not in text

    lab.cut_power()
    lab.boot()
    told(port, token, b"once more")
    # A kill is one: nothing comes back before the next boot, which is this.
    assert f"local-{port} starts again at boot: `inv boot local-{port} --off` ends that." in did(lab, "kill")
    assert unit_says(lab, "ActiveState", unit) == "inactive"
    systemctl(lab, "start", "default.target")
    told(port, token, b"back")

    assert did(lab, "boot", "--off") == f"local-{port} does not start at boot.\n"
    assert unit_says(lab, "ActiveState", unit) == "active"
    assert "at boot" not in did(lab, "kill")
    # What a power cut takes is outside of what is promised.
    assert re.match(rb"(20\S+Z 127.0.0.1:\d+ (hello|hello again|once more|back)\n)+$", recorded())
    assert recorded().endswith(b"back\n")
    assert not [path for path in (lab.home / ".config").rglob("*") if not path.is_dir()]
    assert not list((lab.home / STATE / "reclog/recordings").glob("*/boot.json"))


def test_without_a_systemd_the_line_of_a_crontab_is_said(home: Home, tmp_path: Path) -> None:
    assert home.inv("boot").returncode == 1
    recording = home.local()
    done = home.inv("boot")
    line = next(line for line in done.stderr.splitlines() if line.startswith("@reboot "))
    assert done.returncode == 1
    assert "crontab -e" in done.stderr
    # Nobody has added it to a crontab: then it is not known to come back.
    assert not recording.status()["boot"]
    assert "at boot" not in recording.kill().stdout
    assert not home.status()
    # As cron runs it: by sh, with next to nothing in its environment.
    shell = shutil.which("sh")
    assert shell
    home.run(shell, "-c", line.removeprefix("@reboot "), env={"PATH": "/usr/bin:/bin"})
    recording.send(b"hello\n")
    wait_until(lambda: recording.read() == b"hello\n")
