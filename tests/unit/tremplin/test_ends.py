"""Where a tunnel ends: at the socket, or at a port."""

from __future__ import annotations

from typing import Any

import pytest

from reclog.recordings.settings import resolve_tremplin
from reclog.tremplin.ends import ends, where
from reclog.tremplin.package import build, digest
from reclog.tremplin.survey import Relay

FOLDER = "/home/me/.local/state/reclog/relay/55514"


def known(port: Any, program: str) -> Relay:
    return Relay({"port_remote_out": port}, "me", "then", program, 1, 0, False)


@pytest.mark.parametrize(
    ("flags", "relay", "folder", "tries"),
    [
        ({}, None, FOLDER, [0, 55614]),
        ({"port_remote_in": 55614}, None, FOLDER, [0, 55615]),
        ({"port_remote_out": 7}, None, FOLDER, [7]),
        ({"port_remote_out": 7}, known(8, digest(build())), FOLDER, [7]),
        ({}, known(8, digest(build())), FOLDER, [8]),
        ({}, known(0, digest(build())), FOLDER, [0, 55614]),
        ({}, known(8, "an older one"), FOLDER, [0, 55614]),
        ({}, known("8", digest(build())), FOLDER, [0, 55614]),
        ({}, None, "/" + "x" * 97, [0, 55614]),
        ({}, None, "/" + "x" * 98, [55614]),
        *(
            ({}, None, f"/home/{name}/relay", [55614])
            for name in ("a:b", "a b", "a%h", "a${HOME}", "ä", "a\\b")
        ),
    ],
)
def test_what_is_tried(flags: dict[str, Any], relay: Relay | None, folder: str, tries: list[int]) -> None:
    assert ends(resolve_tremplin(flags, {}, "trem"), relay, folder) == tries


def test_how_it_is_named() -> None:
    assert where(0, FOLDER) == f"{FOLDER}/feed"
    assert where(7, FOLDER) == "127.0.0.1:7"
