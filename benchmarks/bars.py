"""The bars: what reclog's figures must reach, as ratios to others in the same run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.ours import BUILTIN, SOCAT
from benchmarks.rows import FAILED, Row
from benchmarks.through import PLAIN, TUNED
from benchmarks.works import datagrams, lines, start, stream, tls
from benchmarks.works.tremplin import BACKLOG, LIVE, RECLOG

OURS = (BUILTIN, SOCAT, RECLOG, tls.RECLOG)
SOCAT_TUNED = "socat, tuned"
SYSLOG_NG = "syslog-ng"

Works = dict[str, list[Row]]
"""The rows of each work that was done, by the work's name."""


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bar: `value` is None where what it needs was not measured."""

    work: str
    what: str
    bound: float
    #: Whether the value must be at least the bound; else it must be at most that.
    least: bool
    value: Callable[[Works], float | None]
    unit: str = "×"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A bar, and how it went."""

    work: str
    what: str
    bound: str
    value: float
    unit: str
    reached: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as an object of JSON."""
        return dataclasses.asdict(self)


def judge(works: Works) -> list[Verdict]:
    """Return how each bar went that could be measured."""
    found = []
    for bar in BARS:
        value = bar.value(works)
        if value is None:
            continue
        reached = value >= bar.bound if bar.least else value <= bar.bound
        bound = f"{'≥' if bar.least else '≤'} {bar.bound:g} {bar.unit}"
        found.append(Verdict(bar.work, bar.what, bound, value, bar.unit, reached))
    return found


def losses(works: Works) -> list[str]:
    """Return a sentence for each case in which reclog failed, or lost, doubled, tore or mixed up lines."""
    said = []
    for work, rows in works.items():
        for row in rows:
            wrong = {name: row.total(name) for name in ("lost", "doubled", "torn", "disordered")}
            if row.system in OURS and FAILED in row.note:
                said.append(f"{row.system} at work {work}, {row.case}: {row.note}")
            if row.system in OURS and any(wrong.values()):
                counts = ", ".join(f"{count} {name}" for name, count in wrong.items() if count)
                said.append(f"{row.system} at work {work}, {row.case}: {counts}")
    return said


def _of(works: Works, work: str, case: str, system: str, name: str) -> float | None:
    for row in works.get(work, []):
        if row.case == case and row.system == system:
            return row.median(name)
    return None


def _best(values: Iterable[float | None], pick: Callable[[Sequence[float]], float]) -> float | None:
    known = [value for value in values if value is not None]
    return pick(known) if known else None


def _ratio(value: float | None, other: float | None) -> float | None:
    return value / other if value is not None and other else None


def _against(work: str, case: str, name: str, ours: str, *others: str) -> Callable[[Works], float | None]:
    """Return what compares a system of ours with the best of `others`; with the best of all without them."""

    def value(works: Works) -> float | None:
        rivals = others or {row.system for row in works.get(work, []) if row.system not in OURS}
        pick = max if name.endswith("_per_s") else min
        best = _best((_of(works, work, case, rival, name) for rival in rivals), pick)
        return _ratio(_of(works, work, case, ours, name), best)

    return value


def _plain(work: str, case: str, name: str, ours: str, scale: float = 1.0) -> Callable[[Works], float | None]:
    """Return what gives a figure of ours, divided by `scale`."""
    return lambda works: _ratio(_of(works, work, case, ours, name), scale)


def _span(prefix: str, name: str, system: str, least: float = 0.0) -> Callable[[Works], float | None]:
    """Return what gives the ratio of a curve's last point to its first one from `least` on."""

    def value(works: Works) -> float | None:
        rows = [row for row in works.get("7", []) if row.case.startswith(prefix) and row.system == system]
        known = sorted((row.x, row.median(name)) for row in rows if row.x is not None and row.x >= least)
        return _ratio(known[-1][1], known[0][1]) if len(known) > 1 else None

    return value


SOME, ALL = "8,000 connections, 16 at once", "2,000 connections, all at once"
LINES = "8 senders, 100,000 lines each"
BULK = (lines.EIGHT, lines.ONE)
HELD = "5,000 senders"

BARS = [
    *(
        bar
        for case in (SOME, ALL)
        for bar in (
            Bar("1", f"{case}: connections/s, builtin to the best peer", 1.2, True,
                _against("1", case, "lines_per_s", BUILTIN)),
            Bar("1", f"{case}: connections/s, builtin to tuned socat", 8, True,
                _against("1", case, "lines_per_s", BUILTIN, SOCAT_TUNED)),
            Bar("1", f"{case}: connections/s, socat listener to tuned socat", 0.95, True,
                _against("1", case, "lines_per_s", SOCAT, SOCAT_TUNED)),
        )
    ),
    Bar("2", "CPU, builtin to the best peer", 0.5, False, _against("2", LINES, "cpu", BUILTIN)),
    Bar("2", "wall, builtin to the best peer", 1.0, False, _against("2", LINES, "wall", BUILTIN)),
    *(
        bar
        for case in BULK
        for bar in (
            Bar("3", f"{case}: wall, builtin to tuned socat", 1.0, False,
                _against("3", case, "wall", BUILTIN, SOCAT_TUNED)),
            Bar("3", f"{case}: CPU, builtin to tuned socat", 1.0, False,
                _against("3", case, "cpu", BUILTIN, SOCAT_TUNED)),
            Bar("3", f"{case}: MB/s, builtin to syslog-ng", 5, True,
                _against("3", case, "mb_per_s", BUILTIN, SYSLOG_NG)),
        )
    ),
    Bar("4", f"{HELD}: memory, builtin", 64, False, _plain("4", HELD, "memory", BUILTIN, 2**20), "MiB"),
    Bar("4", f"{HELD}: processes, builtin", 1, False, _plain("4", HELD, "processes", BUILTIN), ""),
    Bar("4", f"{HELD}: CPU while silent, builtin", 0.1, False,
        _plain("4", HELD, "silent_cpu_percent", BUILTIN), "%"),
    Bar("5", "p99 at 50,000 lines/s, builtin", 5, False,
        _plain("5", "50,000 lines/s", "p99_ms", BUILTIN), "ms"),
    Bar("5", "p99 at 50,000 lines/s, socat listener", 5, False,
        _plain("5", "50,000 lines/s", "p99_ms", SOCAT), "ms"),
    Bar("5", "p99 at 1,000 lines/s, tremplin", 20, False,
        _plain("5 tremplin", "1,000 lines/s", "p99_ms", RECLOG), "ms"),
    Bar("5", "p99 at 50,000 lines/s, tremplin", 20, False,
        _plain("5 tremplin", "50,000 lines/s", "p99_ms", RECLOG), "ms"),
    Bar("6", f"{BACKLOG}: MB/s, to plain ssh -L between socats", 0.9, True,
        _against("6", BACKLOG, "mb_per_s", RECLOG, PLAIN)),
    Bar("6", f"{BACKLOG}: MB/s, to the same with tuned socats", 0.9, True,
        _against("6", BACKLOG, "mb_per_s", RECLOG, TUNED)),
    *(
        bar
        for case in LIVE
        for bar in (
            Bar("6", f"{case}: MB/s, to plain ssh -L between socats", 0.9, True,
                _against("6", case, "mb_per_s", RECLOG, PLAIN)),
            Bar("6", f"{case}: MB/s, to the same with tuned socats", 0.9, True,
                _against("6", case, "mb_per_s", RECLOG, TUNED)),
        )
    ),
    Bar("7", "CPU a line, 10 million lines to 100,000", 1.5, False,
        _span("lines:", "us_per_line", BUILTIN, 100_000)),
    Bar("7", "CPU a line, 5,000 senders to 1", 1.5, False, _span("senders:", "us_per_line", BUILTIN)),
    Bar("7", "resume, a spool of 20 GB to one of 10 MB", 1.5, False,
        _span("spool:", "resume", "reclog's spool")),
    Bar("8", f"{tls.BULK}: MB/s, to socat OPENSSL-LISTEN", 1.1, True,
        _against("8", tls.BULK, "mb_per_s", tls.RECLOG)),
    Bar("8", f"{tls.SHAKE}: CPU, to stunnel", 0.8, False,
        _against("8", tls.SHAKE, "us_per_shake", tls.RECLOG)),
    Bar("8", f"{tls.BESIDE}: p99", 20, False, _plain("8", tls.BESIDE, "p99_ms", tls.RECLOG), "ms"),
    Bar("9", f"{datagrams.STEADY}: CPU, builtin to the best peer", 1.2, False,
        _against("9", datagrams.STEADY, "cpu", BUILTIN)),
    Bar("9", f"{datagrams.HIGHEST}, builtin to the best peer", 0.8, True,
        _against("9", datagrams.HIGHEST, "lines_per_s", BUILTIN)),
    Bar("start", start.LOCAL, 0.7, False, _plain("start", start.LOCAL, "wall", RECLOG), "s"),
    Bar("start", start.TREMPLIN, 3, False, _plain("start", start.TREMPLIN, "wall", RECLOG), "s"),
    Bar("start", start.STATUS, 0.5, False, _plain("start", start.STATUS, "wall", RECLOG), "s"),
    Bar("10", "MB/s, inv publish to a bare loop", 0.8, True,
        _against("10", stream.IN, "mb_per_s", stream.PUBLISH, stream.BARE)),
    Bar("10", "MB/s, inv subscribe to a bare loop", 0.6, True,
        _against("10", stream.OUT, "mb_per_s", stream.SUBSCRIBE, stream.BARE)),
]  # fmt: skip
