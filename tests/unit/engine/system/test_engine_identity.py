from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reclog.engine.system.identity import Identity, boot_id, pid_namespace, start_time

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
NO_PID = 2**22 + 1  # above the highest that Linux gives (PID_MAX_LIMIT)


@contextmanager
def python(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `code` until the block ends; it has begun to wait for its standard input."""
    code += "\nprint(flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_this_process_is_alive() -> None:
    me = Identity.of(os.getpid())
    assert me.is_here()
    assert me.is_alive()
    assert me.pid == os.getpid()


def test_an_identity_survives_a_state_file() -> None:
    me = Identity.of(os.getpid())
    saved = json.dumps(me._asdict())
    assert Identity.from_json(json.loads(saved)) == me


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        "text",
        7,
        {"host": "h", "boot": "b", "pid_namespace": "n", "pid": 1},
        {"host": "h", "boot": "b", "pid_namespace": "n", "pid": None, "started": "1"},
        {"host": "h", "boot": "b", "pid_namespace": "n", "pid": "many", "started": "1"},
    ],
)
def test_what_is_no_identity_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Identity.from_json(value)


@pytest.mark.parametrize("field", ["host", "boot", "pid_namespace", "started"])
def test_one_difference_makes_it_another_process(field: str) -> None:
    other = Identity.from_json({**Identity.of(os.getpid())._asdict(), field: "another"})
    assert not other.is_alive()
    assert other.is_here() is (field == "started")


def test_a_pid_that_is_not_in_use() -> None:
    assert start_time(NO_PID) is None
    assert not Identity.of(os.getpid())._replace(pid=NO_PID).is_alive()
    with pytest.raises(ProcessLookupError):
        Identity.of(NO_PID)


def test_another_process_is_told_from_its_successor() -> None:
    with python("pass") as process:
        identity = Identity.of(process.pid)
        assert identity.is_alive()
        assert not identity._replace(started=f"{identity.started}0").is_alive()
    assert not identity.is_alive()


def test_a_zombie_does_not_run() -> None:
    with python("pass") as process:
        process.kill()
        give_up_at = time.monotonic() + 10
        # Not waited for yet, so its pid is still taken.
        while start_time(process.pid) is not None:
            assert time.monotonic() < give_up_at
        assert process.returncode is None


@linux
def test_a_process_may_call_itself_anything() -> None:
    with python("open('/proc/self/comm', 'w').write('a) Z 1 (b')") as process:
        with python("pass") as later:
            first, second = start_time(process.pid), start_time(later.pid)
        assert first is not None
        assert second is not None
        assert int(first) <= int(second)


@linux
def test_a_process_that_we_may_not_look_at_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    # A /proc mounted with hidepid=1 answers so for the processes of others (proc(5)), among them one
    # that got the pid of ours after its end.
    gone = Identity.of(os.getpid())._replace(pid=1)
    real = builtins.open

    def hidden(file: Any, *words: Any, **named: Any) -> Any:
        if file == "/proc/1/stat":
            raise PermissionError(1, "Operation not permitted", file)
        return real(file, *words, **named)

    monkeypatch.setattr(builtins, "open", hidden)
    assert not gone.is_alive()


@linux
def test_boot_and_pid_namespace_are_told() -> None:
    assert len(boot_id()) == 36
    assert pid_namespace().startswith("pid:[")
