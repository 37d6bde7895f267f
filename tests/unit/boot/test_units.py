"""Units as text, by systemd's own reading of them; and the crontab's lines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reclog.boot.crontab import reboot_line, with_line, without
from reclog.boot.here import _folder_in
from reclog.boot.units import unit, unit_name

HOSTILE = ("a b", "100%h", "$HOME ${HOME} $$", 'say "hi"', "back\\slash\\n", "it's", "ünï", "a;b #c", "%%n")


def verified(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Have systemd-analyze read a unit file, without anything of this machine's."""
    env = {**os.environ, "XDG_RUNTIME_DIR": str(path.parent), "HOME": str(path.parent)}
    command = ["systemd-analyze", *words, str(path)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("sandboxed", [True, False])
def test_systemd_understands_each_line_of_a_unit(tmp_path: Path, sandboxed: bool) -> None:
    folder = tmp_path / " ".join(HOSTILE)
    folder.mkdir()
    made = unit(
        "local-55514", ["/bin/echo", *HOSTILE], str(folder), "boot.json", {"A": HOSTILE[2]}, sandboxed
    )
    (tmp_path / made.name).write_text(made.text)
    done = verified(tmp_path / made.name, "verify", "--user", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")
    assert _folder_in(made.text) == str(folder)


def test_a_unit_is_as_little_exposed_as_one_of_a_user_can_be(tmp_path: Path) -> None:
    made = unit("local-55514", ["/bin/echo"], str(tmp_path), "boot.json", {})
    (tmp_path / made.name).write_text(made.text)
    # 100 is the worst. What takes a mount namespace, which not every user may have, is the rest.
    done = verified(
        tmp_path / made.name, "security", "--user", "--offline=yes", "--threshold=70", "--no-pager"
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("local-55514", "reclog-local-55514.service"),
        ("relay:55514", "reclog-relay:55514.service"),
        ("my log/é@%", "reclog-my\\x20log\\x2f\\xc3\\xa9\\x40\\x25.service"),
    ],
)
def test_a_unit_has_a_name_that_systemd_takes(name: str, called: str) -> None:
    assert unit_name(name) == called


@pytest.mark.parametrize("word", ["two\nlines", "\udcff", "\0", "\x1b[31m"])
def test_what_a_unit_cant_hold_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="can't hold"):
        unit("name", ["/bin/echo", word], "/", "boot.json", {})


TABLES = [
    b"",
    b"# mine\n\n5 4 * * * backup\n",
    b"MAILTO=me\r\n@reboot x # reclog 5551",
    b"\xff\xfe\n@daily y\n\n",
]


@pytest.mark.parametrize("table", TABLES)
def test_a_crontab_is_kept_byte_for_byte(table: bytes) -> None:
    line = reboot_line(["python3", "/home/100%/a b"], "55514")
    assert line == "@reboot python3 '/home/100\\%/a b' >/dev/null 2>&1 # reclog 55514"
    once = with_line(table, line, "55514")
    assert once.startswith(table)
    assert once.endswith(f"{line}\n".encode())
    assert with_line(once, line, "55514") == once
    other = with_line(once, reboot_line(["b"], "5551"), "5551")
    ended = table if not table or table.endswith(b"\n") else table + b"\n"  # crontab(1) takes no other
    assert without(once, "55514") == ended
    assert without(other, "55514") == with_line(ended, reboot_line(["b"], "5551"), "5551")
