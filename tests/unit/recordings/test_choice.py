"""Which recordings a call means, and the commands that are said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reclog.errors import NoSuchRecordingError
from reclog.recordings.again import again_command, goes_on, stop_command
from reclog.recordings.choice import meant, the_one
from reclog.recordings.registry import Recording, Registry
from reclog.recordings.stopped import Stopped


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    registry = Registry(tmp_path)
    target = {"host": "trem", "user": "me", "port": 2222, "config": "/c", "identities": ["/k"]}
    through = {"kind": "tremplin", "host": "trem", "port": 7, "file": "/b.log", "target": target}
    return [
        registry.new("local-1", {"kind": "local", "port": 1, "file": "/a.log"}),
        registry.new("tremplin-trem-7", {**through, "port_remote_out": 8}),
    ]


@pytest.mark.parametrize(
    ("narrow", "name"),
    [
        ({"port": "1"}, "local-1"),
        ({"host": "trem"}, "tremplin-trem-7"),
        ({"file": "/b.log"}, "tremplin-trem-7"),
        ({"names": ["local-1", "local-1"]}, "local-1"),
        ({"names": ["tremplin-trem-7"], "port": "7"}, "tremplin-trem-7"),
    ],
)
def test_what_is_narrowed_to(recordings: list[Recording], narrow: dict[str, Any], name: str) -> None:
    assert [one.name for one in meant(recordings, **narrow)] == [name]


@pytest.mark.parametrize(
    "narrow",
    [
        {"port": "9"},
        {"file": "nope.log"},
        {"host": "nope"},
        {"host": "trem", "port": "1"},
        {"names": ["local-1"], "port": "7"},
    ],
)
def test_a_typo_does_not_look_like_success(recordings: list[Recording], narrow: dict[str, Any]) -> None:
    with pytest.raises(NoSuchRecordingError, match=r"local-1 \(port 1, /a.log\), tremplin-trem-7") as error:
        meant(recordings, **narrow)
    assert error.value.code == 1


def test_a_name_that_is_nobodys_is_refused_beside_one_that_is_somebodys(recordings: list[Recording]) -> None:
    with pytest.raises(NoSuchRecordingError, match="'local-2' is no recording: there is local-1, tremplin-"):
        meant(recordings, ["local-1", "local-2"])


def test_without_words_all_are_meant_also_none(recordings: list[Recording]) -> None:
    assert meant(recordings) == recordings
    assert meant([]) == []
    with pytest.raises(NoSuchRecordingError, match="starts a recording"):
        the_one([], [], None, None)


def test_the_commands_of_a_recording(recordings: list[Recording]) -> None:
    local, through = recordings
    again = "fab -S /c -i /k -H me@trem:2222 tremplin --file /b.log --port-remote-in 7 --port-remote-out 8"
    assert again_command(local) == "inv local --port 1 --file /a.log"
    assert again_command(through) == again
    assert (stop_command(local), stop_command(through)) == ("inv kill --port 1", "inv kill --host trem")
    assert f"The relay on trem goes on: `{again}`" in goes_on(through)


def test_what_went_wrong_at_a_stop_is_told_in_its_number() -> None:
    one = Stopped("x", "/f", 1, left_bytes=10, left_senders=1, reason="")
    assert "10 B of 1 sender could not" in one.problems[0]
    assert Stopped("x", "/f", 1, 0, 0, "").problems == []
