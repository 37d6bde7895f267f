"""The plots: others in grey, reclog in one colour. Same figures, same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from benchmarks.bars import OURS, Works
from benchmarks.report import by_case
from benchmarks.rows import Row
from benchmarks.works import growth

OURS_COLOUR = "#0b6e99"
GREY = "#b4b8bd"
GREYS = ("#8a8f95", "#b4b8bd", "#5f646a")
INK = "#22272b"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "reclog",  # ids in the file are the same each time
    "svg.fonttype": "none",  # text stays text: small, sharp, to be searched
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
ROW = 0.24
"""Inches that a bar takes."""


def draw(works: Works, out: Path) -> Iterator[Path]:
    """Write the plots of what was measured to `out`; yield their paths."""
    with pyplot.rc_context(STYLE):
        for name, panels in _bar_plots(works).items():
            drawn = [panel for panel in panels if panel.rows]
            if drawn:
                yield _save(_bars(drawn), out / f"{name}.svg")
        ages = {"LAN": works.get("5", []), "tremplin": works.get("5 tremplin", [])}
        if any(ages.values()):
            yield _save(_latency(ages), out / "latency.svg")
        if works.get("7"):
            yield _save(_growth(works["7"]), out / "growth.svg")


class Panel:
    """Bars beside each other: a figure of each system at one case."""

    def __init__(
        self, what: str, case: str, rows: Sequence[Row], name: str, scale: float, least: bool
    ) -> None:
        """With `least`, less is better."""
        self.what = what
        self.case = f"{case} ({'less' if least else 'more'} is better"
        measured = [(row, value / scale) for row in rows if (value := row.median(name)) is not None]
        self.rows = sorted(measured, key=lambda one: -one[1] if least else one[1])


def _bar_plots(works: Works) -> dict[str, list[Panel]]:
    cases = {work: by_case(rows) for work, rows in works.items()}

    def panels(work: str, what: str, name: str, scale: float = 1.0, least: bool = False) -> list[Panel]:
        return [Panel(what, case, rows, name, scale, least) for case, rows in cases.get(work, {}).items()]

    connections = panels("1", "Connections/s", "lines_per_s")
    cost = panels("2", "CPU seconds per million lines", "us_per_line", 1.0, least=True)
    bulk = panels("3", "MB/s", "mb_per_s")
    held = panels("4", "Memory, MiB", "memory", 2**20, least=True)
    return {
        "overview": [*connections[:1], *cost[:1], *bulk[-1:], *held[-1:]],
        "connections": connections,
        "lines": [*panels("2", "Lines/s", "lines_per_s"), *cost],
        "bulk": [*bulk, *panels("3", "CPU seconds per million lines", "us_per_line", 1.0, least=True)],
        "senders": [
            *held,
            *panels("4", "CPU %, a line a second each", "speaking_cpu_percent", 1.0, least=True),
        ],
        "tremplin": panels("6", "MB/s", "mb_per_s"),
    }


def _bars(panels: Sequence[Panel]) -> Figure:
    columns = 2 if len(panels) > 1 else 1
    lines = -(-len(panels) // columns)
    tallest = max(len(panel.rows) for panel in panels)
    figure, axes = pyplot.subplots(
        lines,
        columns,
        figsize=(5.2 * columns, (tallest * ROW + 0.85) * lines),
        squeeze=False,
        layout="constrained",
    )
    for at, panel in zip(axes.flat, panels, strict=False):
        _panel(at, panel)
    for at in list(axes.flat)[len(panels) :]:
        at.remove()
    return figure


def _panel(at: Axes, panel: Panel) -> None:
    names = [row.system for row, _ in panel.rows]
    values = [value for _, value in panel.rows]
    colours = [OURS_COLOUR if name in OURS else GREY for name in names]
    at.barh(names, values, color=colours, height=0.72)
    smallest = min((value for value in values if value > 0), default=1.0)
    case = panel.case
    if max(values) > 30 * smallest:
        case += ", logarithmic"
        at.set_xscale("log")
        at.set_xlim(smallest / 3, max(values) * 12)
    else:
        at.set_xlim(0, max(values) * 1.4 or 1)
    for (row, value), name in zip(panel.rows, names, strict=True):
        words = _number(value) + _flaw(row)
        at.annotate(words, (value, name), (3, 0), textcoords="offset points", va="center", fontsize=8)
    for label in at.get_yticklabels():
        if label.get_text() in OURS:
            label.set_color(OURS_COLOUR)
            label.set_fontweight("bold")
    at.set_title(panel.what, pad=16)
    at.annotate(f"{case})", (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8)
    at.xaxis.set_visible(False)
    at.spines["bottom"].set_visible(False)
    at.tick_params(left=False)


def _flaw(row: Row) -> str:
    """Return what share of the lines it lost or tore meanwhile, if any."""
    lost, torn, sent = row.total("lost"), row.total("torn"), row.total("sent")
    if lost > torn:
        return f"   {lost / sent:.1%} lost"
    return f"   {torn / sent:.1%} torn" if torn else ""


def _latency(ages: dict[str, list[Row]]) -> Figure:
    """Draw a line from p50 over p99 to p99.9 for each system at each rate."""
    panels = [
        (f"{where}, {case}", rows)
        for where, all_rows in ages.items()
        for case, rows in by_case(all_rows).items()
    ]
    columns = 2 if len(panels) > 1 else 1
    lines = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(5.2 * columns, 2.0 * lines), squeeze=False, sharex=True, layout="constrained"
    )
    for at, (title, rows) in zip(axes.flat, panels, strict=False):
        rows = sorted(rows, key=lambda row: -(row.median("p99_ms") or 0.0))
        for row in rows:
            values = [row.median(name) for name in ("p50_ms", "p99_ms", "p999_ms")]
            known = [value for value in values if value is not None]
            colour = OURS_COLOUR if row.system in OURS else GREYS[0]
            at.plot(known, [row.system] * len(known), color=colour, linewidth=1.2, zorder=1)
            for value, marker in zip(known, "o|x", strict=False):
                at.scatter([value], [row.system], color=colour, marker=marker, s=34, zorder=2)
        at.set_xscale("log")
        at.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        at.set_title(title)
        at.margins(y=0.2)
        at.grid(axis="x", color=GREY, alpha=0.4, linewidth=0.6)
        at.tick_params(left=False, labelbottom=True)
        for label in at.get_yticklabels():
            if label.get_text() in OURS:
                label.set_color(OURS_COLOUR)
                label.set_fontweight("bold")
    for at in list(axes.flat)[len(panels) :]:
        at.remove()
    figure.supxlabel("milliseconds from send to being readable:  ● p50   | p99   × p99.9", fontsize=9)
    return figure


def _growth(rows: Sequence[Row]) -> Figure:
    figure, axes = pyplot.subplots(1, 3, figsize=(10.4, 3.0), layout="constrained")
    _curves(axes[0], "CPU µs a line, by senders", rows, growth.SENDERS, {"us_per_line": ""})
    _curves(axes[1], "CPU µs a line, by lines", rows, growth.LINES, {"us_per_line": ""})
    names = {"open": "open, ms", "resume": "resume, ms"}
    _curves(axes[2], "Spool, by its size in MB", rows, growth.SPOOL, names, 1e-3)
    return figure


def _curves(
    at: Axes, title: str, rows: Sequence[Row], kind: str, names: dict[str, str], scale: float = 1.0
) -> None:
    some = [row for row in rows if row.case.startswith(f"{kind}:")]
    systems = dict.fromkeys(row.system for row in some)
    greys = iter(GREYS * 3)
    for system in systems:
        mine = sorted((row for row in some if row.system == system), key=lambda row: row.x or 0.0)
        for number, (name, label) in enumerate(names.items()):
            points = [(row.x, value / scale) for row in mine if (value := row.median(name)) is not None]
            ours = system in OURS or kind == growth.SPOOL
            at.plot(
                [x for x, _ in points if x is not None],
                [y for _, y in points],
                color=OURS_COLOUR if ours else next(greys),
                linestyle="--" if number else "-",
                marker="o",
                markersize=3.5,
                linewidth=1.8 if ours else 1.2,
                label=label or system,
            )
    at.set_xscale("log")
    at.set_yscale("log")
    for axis in (at.xaxis, at.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    at.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    at.minorticks_off()
    at.grid(color=GREY, alpha=0.4, linewidth=0.6)
    at.set_title(title)
    at.legend(fontsize=8, frameon=False, handlelength=3.5)


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g}M" if value % 1e5 == 0 else f"{value / 1e6:.1f}M"
    if value >= 10_000:
        return f"{value / 1e3:.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _save(figure: Figure, path: Path) -> Path:
    # Without the date the same figures make the same file.
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
