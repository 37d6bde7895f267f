"""What a person is told of publishers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reclog.recordings.recording import Recording
from reclog.stream.publishers import again_command, sentences

WHERE = "publisher-n1 publishes {} to nats://n1:4222"
FULL, LOST = "the stream is full", "n1:4222: nobody listens there"


def publisher(waiting: list[str], state: str, waiting_for: str = "", lag: int = 0) -> dict[str, Any]:
    lanes = [{"name": f"local-{number}", "waiting_for": why} for number, why in enumerate(waiting)]
    again = "inv publish --to nats://n1:4222"
    facts = {
        "again": again,
        "name": "publisher-n1",
        "state": state,
        "waiting_for": waiting_for,
        "to": ["nats://n1:4222"],
    }
    return {**facts, "lag_bytes": lag, "recordings": lanes}


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (publisher([], "publishing"), [f"{WHERE.format('0 recordings')}."]),
        (publisher([""], "publishing"), [f"{WHERE.format('1 recording')}, all of it."]),
        (publisher([""], "publishing", lag=7), [f"{WHERE.format('1 recording')}, 7 B behind."]),
        (
            publisher([FULL, "", FULL], "waiting", FULL, 7),
            [f"{WHERE.format('3 recordings')}, 7 B behind.", f"local-0, local-2 wait: {FULL}."],
        ),
        (
            publisher([FULL] * 5, "waiting", FULL),
            [f"{WHERE.format('5 recordings')}.", f"local-0, local-1, local-2 and 2 more wait: {FULL}."],
        ),
        # What each waits for since then says no more than that.
        (
            publisher(["n1:4222: the connection is lost"], "waiting", LOST),
            [f"{WHERE.format('1 recording')}.", f"publisher-n1 waits: {LOST}."],
        ),
        (
            publisher([], "dead"),
            ["publisher-n1 is dead: `inv publish --to nats://n1:4222` goes on where it was."],
        ),
    ],
)
def test_how_far_each_is_and_what_it_waits_for(one: dict[str, Any], said: list[str]) -> None:
    assert sentences([one]) == said


def test_the_command_that_goes_on_is_the_one_that_was_given(tmp_path: Path) -> None:
    facts = {
        "servers": ["tls://a:1", "tls://b:2"],
        "stream": "mine",
        "machine": "m",
        "recordings": ["kitchen"],
        "any_stream": True,
        "ca": "/ca",
        "login": str(tmp_path / "login"),
    }
    (tmp_path / "config.json").write_text(json.dumps(facts))
    command = "publish --to tls://a:1,tls://b:2 --stream mine --machine m --ca /ca --any-stream kitchen"
    assert again_command(Recording(tmp_path)).endswith(f" {command}")
    (tmp_path / "config.json").write_text(json.dumps({"servers": 5, "recordings": 5}))
    assert again_command(Recording(tmp_path)).endswith("publish --to ''")
