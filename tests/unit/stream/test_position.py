from __future__ import annotations

from pathlib import Path

import pytest

from reclog.stream import position as positions
from reclog.stream.position import Position, Stream

HERE = Position("reclog", "2026-11-26T04:15:00.1Z", 7, 1_700_000_000.123456)


@pytest.mark.parametrize(
    ("stream", "word"),
    [
        (Stream("reclog", HERE.created, 7), ""),
        (Stream("reclog", HERE.created, 900), ""),
        (Stream("other", HERE.created, 900), "another stream"),
        (Stream("reclog", "2026-11-27T00:00:00Z", 900), "made anew"),
        (Stream("reclog", HERE.created, 6), "ends at message 6"),
    ],
)
def test_a_stream_that_lost_what_it_had_is_told(stream: Stream, word: str) -> None:
    assert word in HERE.lacks(stream)
    assert bool(word) == bool(HERE.lacks(stream))


def test_a_message_is_known_again_by_its_time() -> None:
    assert HERE.is_at(HERE.time)
    assert not HERE.is_at(HERE.time + 1)
    assert HERE._replace(time=0.0).is_at(5.0)


def test_it_is_kept(tmp_path: Path) -> None:
    assert positions.read(str(tmp_path)) is None
    positions.save(str(tmp_path), HERE)
    assert positions.read(str(tmp_path)) == HERE


@pytest.mark.parametrize(
    "told", ["", "[]", '{"stream": 1}', '{"stream":1,"created":"","sequence":1,"time":1}']
)
def test_one_that_makes_no_sense_is_none(tmp_path: Path, told: str) -> None:
    (tmp_path / positions.POSITION).write_text(told)
    assert positions.read(str(tmp_path)) is None
