from __future__ import annotations

from typing import List

import pytest

from reclog.engine.stores.retention import DAY, Keeping
from reclog.engine.stores.rotation import Rotating


@pytest.mark.parametrize(
    ("words", "keeping"),
    [
        ([], Keeping()),
        (["10"], Keeping(pieces=10)),
        (["10", "5GiB", "30d", "7d", " 3 ", "2 MB"], Keeping(3, 2_000_000, 7 * DAY)),
        (["1000000000B"], Keeping(bytes=10**9)),
    ],
)
def test_of_several_bounds_the_strictest_wins(words: List[str], keeping: Keeping) -> None:
    assert Keeping.parse(words) == keeping


@pytest.mark.parametrize("word", ["", "0", "0d", "-1", "1.5", "d", "5h", "9" * 30, "1KiB", "²", "1M\u0131B"])
def test_no_bounds(word: str) -> None:
    with pytest.raises(ValueError, match=r"it is no size|nothing would be kept"):
        Keeping.parse([word])


@pytest.mark.parametrize(
    ("words", "rotating"),
    [
        ([], Rotating()),
        (["1d"], Rotating(0, True)),
        (["1MiB", "100MiB"], Rotating(1 << 20)),
        (["2000000", "1d"], Rotating(2_000_000, True)),
    ],
)
def test_when_a_file_is_cut(words: List[str], rotating: Rotating) -> None:
    assert Rotating.parse(words) == rotating


@pytest.mark.parametrize("word", ["", "2d", "1 d", "1D", "0", "1000000", "1023KiB", "daily"])
def test_no_times_to_cut(word: str) -> None:
    with pytest.raises(ValueError, match="it is no size"):
        Rotating.parse([word])
