"""How far a publisher's clock is off is told by what was waited for, and by the quickest of that."""

from __future__ import annotations

from reclog.stream.clocks import A_WHILE, Clock

HOUR = 3_600_000


def test_the_quickest_tells_until_clocks_may_have_been_set() -> None:
    clock = Clock()
    assert clock.facts() == {"clock_ahead_ms": None, "clock_within_ms": None}
    for sent, came, ahead in (
        (1_000_000 + HOUR, 1001.5, HOUR - 1500),
        (1_100_000 + HOUR, 1100.1, HOUR - 100),
        (1_200_000 + HOUR, 1230.0, HOUR - 100),  # it was sent again, or held up
        (1_100_000 - HOUR, 1100.1 + A_WHILE, -HOUR - 600_100),  # the clock was set
        (1_900_000 - HOUR, 1900.2, -HOUR - 200),
        (900_000, 900.0, 0),  # ours was
    ):
        clock.hear(sent, came)
        assert clock.ahead == ahead
