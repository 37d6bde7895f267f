"""Times as a person gives them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import pytest

from reclog.errors import UsageError
from reclog.look.times import time_given

#: 2026-06-15 12:00:00 UTC, which is 14:00 in Berlin.
NOW = datetime.datetime(2026, 6, 15, 12, tzinfo=datetime.timezone.utc).timestamp()


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("word", "utc"),
    [
        ("10m", "2026-06-15T11:50:00"),
        ("2h", "2026-06-15T10:00:00"),
        ("1.5d", "2026-06-14T00:00:00"),
        ("30s", "2026-06-15T11:59:30"),
        ("999999999w", "1970-01-01T00:00:00"),
        ("13:59", "2026-06-15T11:59:00"),
        ("14:01", "2026-06-14T12:01:00"),  # the last one that has been
        ("9:05:30.250", "2026-06-15T07:05:30.250"),
        ("2026-03-29T04:00", "2026-03-29T02:00:00"),
        ("2026-06-15", "2026-06-14T22:00:00"),
        ("2026-06-15 10:00:00+00:00", "2026-06-15T10:00:00"),
        ("2026-06-15T10:00:00.123Z", "2026-06-15T10:00:00.123"),
    ],
)
def test_a_time(word: str, utc: str) -> None:
    wanted = datetime.datetime.fromisoformat(utc).replace(tzinfo=datetime.timezone.utc)
    assert time_given("--since", word, NOW) == pytest.approx(wanted.timestamp(), abs=0.001)


@pytest.mark.parametrize(
    "word", ["", "yesterday", "10", "25:00", "14:60", "2026-13-01", "9" * 5000 + "d", "-5m", "\x1b"]
)
def test_what_is_no_time_is_refused_in_a_sentence(word: str) -> None:
    with pytest.raises(UsageError, match=r"^--since .* is no time: give how long ago.*\.$") as refused:
        time_given("--since", word)
    assert refused.value.code == 2
    assert len(str(refused.value)) < 250
