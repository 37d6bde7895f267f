"""Times as a person gives them."""

from __future__ import annotations

import datetime
import re
import time
from typing import Any

from ..errors import UsageError

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|min|h|d|w)")
#: Seconds of each unit.
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OF_DAY = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?")


def time_given(option: str, word: Any, now: float | None = None) -> float:
    """Return the time that `word` means, in seconds of the epoch. Raises UsageError.

    `10m` is so long ago, `14:30` the last one that has been here, and anything else ISO 8601: without a zone
    it is local.
    """
    text, now = str(word).strip(), time.time() if now is None else now
    try:
        if found := _AGO.fullmatch(text):
            return max(0.0, now - float(found[1]) * _UNITS[found[2]])
        if _OF_DAY.fullmatch(text):
            return _last(datetime.time.fromisoformat(text.zfill(len(text) + (text.find(":") == 1))), now)
        return max(0.0, datetime.datetime.fromisoformat(re.sub(r"[Zz]\Z", "+00:00", text)).timestamp())
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option} {text[:80]!r} is no time: give how long ago, as 10m or 2h, a time of day, as 14:30, "
            "or ISO 8601, as 2026-05-31T14:30:00Z."
        ) from None


def _last(of_day: datetime.time, now: float) -> float:
    """Return when it was that time of day last, here."""
    today = datetime.datetime.fromtimestamp(now).date()
    for day in (today, today - datetime.timedelta(days=1)):
        when = datetime.datetime.combine(day, of_day).timestamp()
        if when <= now:
            break
    return when
