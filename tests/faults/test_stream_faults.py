"""Faults of a recording that is published, and recorded from the stream: the copy is what was recorded."""

from __future__ import annotations

import random

import pytest
from bench import Home
from stage import play
from stream_faults import ON_A_LAN
from streamed import on_a_lan

#: The rest takes long; the long campaign does all of them, also through a tremplin, and rotated.
SHORT = ("the leader killed", "publisher and subscriber killed")


@pytest.mark.root
@pytest.mark.timeout(150)
def test_faults_of_a_stream(home: Home) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    play(on_a_lan(home), {name: ON_A_LAN[name] for name in SHORT}, seed)
