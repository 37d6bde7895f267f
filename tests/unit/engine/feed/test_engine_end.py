from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Optional

import pytest

from reclog.engine.errors import AddressUnusable, PortTaken
from reclog.engine.feed.end import End
from reclog.engine.system import private


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "feed")


@pytest.mark.parametrize(
    ("uid", "heard"), [(os.geteuid(), True), (0, True), (12345, False), (None, True)], ids=str
)
def test_the_socket_is_for_its_user_and_root(
    path: str, monkeypatch: pytest.MonkeyPatch, uid: Optional[int], heard: bool
) -> None:
    Path(path).touch()  # a dead relay's
    end = End(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    monkeypatch.setattr(private, "peer_uid", lambda sock: uid)
    assert end.accept() is None  # nobody is there
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        came = end.accept()
        assert (came is not None) == heard
        if came is not None:
            came.close()
        assert caller.recv(1) == b""
    end.close()
    assert not os.path.exists(path)


def test_a_port_is_for_all_of_the_host(path: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    end = End(path, port)
    assert not os.path.exists(path)
    with pytest.raises(PortTaken):
        End(path, port)
    with socket.create_connection(("127.0.0.1", port)):
        came = end.accept()
        assert came is not None
        assert came.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        came.close()
    end.close()


def test_a_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AddressUnusable, match=r"gone/feed can't be listened at \(No such"):
        End(str(tmp_path / "gone" / "feed"))
