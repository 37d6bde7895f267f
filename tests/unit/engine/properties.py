"""How often a property is tried.

`RECLOG_FUZZ_EXAMPLES=N` has every one tried N times, at random (give pytest `--timeout 0` with many); without
it some fixed examples are tried where a test says how many, so that the suite says the same each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_WANTED = int(os.environ.get("RECLOG_FUZZ_EXAMPLES", "0"))

# No deadline for an example: other tests have the cores, too.
settings.register_profile(
    "tests",
    max_examples=_WANTED or 100,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("tests")


def examples(usual: int) -> settings:
    """Return the settings of a property that is tried `usual` times where nobody asks for another number."""
    return settings(max_examples=_WANTED or usual, derandomize=not _WANTED)
