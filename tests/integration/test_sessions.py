"""What the tests take for sshd's own, by the names that it has in any OpenSSH."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import pytest
from tremplin_bench import Tremplin


@pytest.mark.parametrize("session", ["sshd", "sshd-session"])
def test_a_session_is_found_and_is_no_process_of_ours(session: str) -> None:
    names = [session, "sshd-auth", "python3", "sshdx"]
    table = [
        mock.Mock(**{"name.return_value": name, "status.return_value": psutil.STATUS_SLEEPING})
        for name in names
    ]
    for process in table:
        process.uids.return_value.real = 7
    anything: Any = SimpleNamespace(pid=1, pw_uid=7)
    trem = Tremplin(anything, anything, 22, anything, anything)
    with mock.patch("psutil.process_iter", return_value=table):
        assert [one.name() for one in trem.processes()] == ["python3", "sshdx"]
    with mock.patch("psutil.Process") as parent:
        parent.return_value.children.return_value = table
        assert [one.name() for one in trem.sessions()] == [session, "sshd-auth"]
