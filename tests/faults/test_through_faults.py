"""reclog through a tremplin under every fault of its catalogue: nothing lost, doubled, torn, invented."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from bench import Home
from set_aside import some_rotation
from stage import play
from through import Through
from through_faults import FAULTS, of_tls

pytestmark = pytest.mark.root

#: Each is done on a stage with some others: to start and stop one takes as long as a fault.
STAGES = 2
#: Of those of a stage one run plays so many, another each time; `inv dev.faults` plays all.
PLAYED = 6
#: The long campaign does these: they take long, and others of their kind are done here.
LONG = re.compile(
    "|".join(
        (
            "link cut|stopped while|stopped with a dead collector",
            r".* at owner\.json\.(?!before-replace)",
            # A death before an operation is one after what came before it; the model has each of them.
            r".* killed at (counters\.json|(checkpoint|spool)\.json\.(before|after)-(write|sync))",
            r"relay killed at segment\.(after-create|before-write|after-sync|before-delete)",
            r"relay killed at folder\.before-sync",
            r".* killed at (file\.(before-write|after-sync)|ack\.after-)",
            # Which error it is makes no difference to what is done, but in what is said.
            r".*(write|create) fails with EIO|.*(sync|delete|replace) fails with ENOSPC",
            r".* write takes (1|5000) bytes",
            r".* at its start at state\.json\.(?!before-replace)",
            "file (renamed, and a new one made|replaced|removed|added to), collector killed",
            "file (renamed, and a new one made|replaced|added to) while nobody",
            r"collector's counters\.json cut|collector's config\.json cut short while",
            r"relay's owner\.json cut short(?! while)|relay's state\.json cut short while",
            r"relay's counters\.json cut",
        )
    )
)
SHORT = [name for name in FAULTS if not LONG.match(name)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(STAGES))
def test_faults_of_a_tremplin(home: Home, tmp_path: Path, first: int) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    # Neighbours in the catalogue are alike: those of one stage are taken from all over it.
    names = random.Random(seed).sample(SHORT[first::STAGES], PLAYED)
    through = Through(home, tmp_path / "hosts")
    through.set_aside.words = some_rotation(seed, always=False)
    play(through, {name: FAULTS[name] for name in names}, seed)


@pytest.mark.timeout(120)
def test_faults_of_a_tremplin_whose_senders_speak_tls(home: Home, tmp_path: Path) -> None:
    names = ("relay killed", "link away", "disk full there", "stopped", "a stranger does everything")
    play(Through(home, tmp_path / "hosts", "--tls"), {name: of_tls()[name] for name in names}, seed=7)
