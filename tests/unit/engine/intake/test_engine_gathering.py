from __future__ import annotations

from reclog.engine.intake.gathering import BUSY_WITHIN, THICK, Gathering


def test_it_pays_when_small_turns_come_thick() -> None:
    gathering = Gathering()
    assert not gathering.pays(10.0, 100)
    assert gathering.pays(10.0 + BUSY_WITHIN / 2, THICK - 1)
    assert not gathering.pays(10.0 + BUSY_WITHIN, THICK)
    assert not gathering.pays(20.0, 100)
