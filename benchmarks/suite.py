"""One run of the benchmark: the works that are asked for, their tables, results and plots."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import bars, debs, machine, report
from benchmarks.field import peers
from benchmarks.load import Load
from benchmarks.ours import ours
from benchmarks.peers import raise_open_files
from benchmarks.rows import Row
from benchmarks.systems import System
from benchmarks.trial import Stage
from benchmarks.works import (
    connections,
    datagrams,
    generator,
    growth,
    holding,
    latency,
    lines,
    start,
    stream,
    tls,
    tremplin,
)

WORKS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "start", "generator")
TITLES = {
    "1": connections.TITLE,
    "2": lines.TITLE_LINES,
    "3": lines.TITLE_BULK,
    "4": holding.TITLE,
    "5": latency.TITLE,
    "5 tremplin": tremplin.TITLE_AGES,
    "6": tremplin.TITLE,
    "7": growth.TITLE,
    "8": tls.TITLE,
    "9": datagrams.TITLE,
    "10": stream.TITLE,
    "start": start.TITLE,
    "generator": generator.TITLE,
    "loggen": generator.TITLE_LOGGEN,
}
SHARES = {
    "1": 105,
    "2": 45,
    "3": 75,
    "5": 55,
    "7": 60,
    "8": 40,
    "9": 40,
    "10": 60,
    "start": 12,
    "generator": 10,
    "5 tremplin": 35,
    "6": 70,
}
"""Seconds after which a work repeats nothing, so that all of it ends within `MINUTES`."""

MINUTES = 10.0

QUICK = ("socat", "ncat", "socketserver", "reclog")
"""What the quick form runs: nothing of it is fetched."""


def measure_all(words: argparse.Namespace, folder: Path, out: Path) -> int:
    """Do what the words say; recordings go to `folder`, results to `out`. Raises Missing."""
    wanted = words.work.split(",") if words.work else list(WORKS)
    unknown = [name for name in wanted if name not in WORKS]
    if unknown:
        print(f"There is no work {', '.join(unknown)}: choose from {', '.join(WORKS)}.", file=sys.stderr)
        return 2
    began = time.monotonic()
    raise_open_files()  # before anything is started: all systems begin with the same limit
    cache = debs.CACHE

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    stage = Stage(Load(cache), folder, 1 if words.quick else words.repeat, words.quick, say, words.minutes)
    systems = _systems(words, cache)
    if not systems:
        print(f"There is no system to run with {words.system!r} in its name.", file=sys.stderr)
        return 2
    works = _measure(stage, systems, wanted, cache)
    facts = machine.facts(folder)
    versions = machine.versions(cache)
    verdicts = [] if words.quick else bars.judge(works)
    lost = bars.losses(works)
    out.mkdir(parents=True, exist_ok=True)
    results = {
        "machine": facts,
        "versions": versions,
        "quick": words.quick,
        "seconds": round(time.monotonic() - began, 1),
        "works": {
            name: {"title": TITLES[name], "rows": [row.as_json() for row in rows]}
            for name, rows in works.items()
        },
        "bars": [verdict.as_json() for verdict in verdicts],
        "reclog_lost": lost,
    }
    (out / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    _print(works, verdicts, words.markdown)
    print(", ".join(f"{name} {value}" for name, value in {**facts, **versions}.items()))
    _draw(works, out)
    print(f"{out / 'results.json'}, after {time.monotonic() - began:.0f} s")
    for sentence in lost:
        print(f"PROMISE BROKEN: {sentence}", file=sys.stderr)
    return 1 if lost else 0


def _systems(words: argparse.Namespace, cache: Path) -> list[System]:
    """Return the systems that are asked for and can run here; say why others can't."""
    named = words.system.split(",") if words.system else [""]
    found: list[System] = []
    known: list[System] = [*ours(), *peers(cache)]
    for system in known:
        if not any(name.strip() in system.name for name in named):
            continue
        if words.quick and not system.name.startswith(QUICK):
            continue
        why = system.missing()
        if why:
            print(f"{system.name} is left out: {why}", file=sys.stderr)
        else:
            found.append(system)
    return found


def _measure(stage: Stage, systems: Sequence[System], wanted: Sequence[str], cache: Path) -> bars.Works:
    works: bars.Works = {}
    alone = {
        "1": connections.run,
        "2": lines.one_line_sends,
        "3": lines.bulk,
        "4": holding.run,
        "5": latency.run,
        "7": growth.run,
    }
    for name, work in alone.items():
        if name in wanted:
            _begin(stage, name)
            works[name] = work(stage, systems)
    if "8" in wanted:
        _begin(stage, "8")
        works["8"] = tls.run(stage, cache)
    if "9" in wanted:
        _begin(stage, "9")
        works["9"] = datagrams.run(stage, systems, cache)
    if "10" in wanted:
        _begin(stage, "10")
        works["10"] = stream.run(stage)
    if "start" in wanted:
        _begin(stage, "start")
        works["start"] = start.run(stage)
    if "generator" in wanted and not stage.quick:
        _begin(stage, "generator")
        works["generator"] = _to_best(generator.run(stage), works)
        works["loggen"] = generator.with_loggen(stage, systems, cache)
    if {"5", "6", "start"} & set(wanted) and not stage.quick:
        with _complaining(stage):
            _through(stage, wanted, works)
    return works


def _through(stage: Stage, wanted: Sequence[str], works: bars.Works) -> None:
    if os.geteuid() != 0:
        stage.say("no tremplin: only root can make an account and an sshd for one")
        return
    with tremplin.far(stage) as there:
        if "5" in wanted:
            _begin(stage, "5 tremplin")
            works["5 tremplin"] = tremplin.ages(there)
        if "6" in wanted:
            _begin(stage, "6")
            works["6"] = tremplin.run(there)
        if "start" in wanted:
            _begin(stage, "start")
            works["start"] = [*works["start"], *start.tremplin(there)]


def _begin(stage: Stage, work: str) -> None:
    stage.until = time.monotonic() + SHARES.get(work, math.inf) * stage.minutes / MINUTES


@contextlib.contextmanager
def _complaining(stage: Stage) -> Iterator[None]:
    """Say what the tests' tremplin has against this machine, and go on."""
    try:
        yield
    except (AssertionError, RuntimeError, OSError, pytest.fail.Exception) as error:
        stage.say(f"the tremplin failed: {error}")


def _to_best(rows: list[Row], works: bars.Works) -> list[Row]:
    """Say of each load how much faster it went into the sink than into the best system."""
    measured = [row for work in ("1", "2", "3") for row in works.get(work, [])]
    for row in rows:
        best = max(
            (one.median("lines_per_s") or 0.0 for one in measured if one.case == row.case), default=0.0
        )
        for run in row.runs if best else []:
            run["to_best"] = run["lines_per_s"] / best
    return rows


def _print(works: bars.Works, verdicts: Sequence[bars.Verdict], markdown: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    for name, rows in works.items():
        if markdown:
            print(report.markdown(TITLES[name], name, rows))
        else:
            report.show(console, TITLES[name], name, rows)
    if verdicts and markdown:
        print(report.markdown_bars(verdicts))
    elif verdicts:
        report.show_bars(console, verdicts)


def _draw(works: bars.Works, out: Path) -> None:
    try:
        from benchmarks import plots
    except ImportError:
        print("No plots: matplotlib is not here; `sh bootstrap.sh bench` brings it.", file=sys.stderr)
        return
    for path in plots.draw(works, out):
        print(path)
