"""The tables, for a terminal or as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.bars import OURS, Verdict
from benchmarks.rows import Row

NONE = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: what of a row it shows, and how; "" where a row has none of it."""

    head: str
    show: Callable[[Row], str]


def _median(head: str, name: str, form: str = "{:,.0f}", scale: float = 1.0) -> Column:
    def show(row: Row) -> str:
        value = row.median(name)
        return "" if value is None else form.format(value / scale)

    return Column(head, show)


def _total(name: str) -> Column:
    """Return a column with the sum over all repetitions, and of how many."""

    def show(row: Row) -> str:
        if not row.values(name):
            return ""
        count, sent = row.total(name), row.total("sent")
        return f"{count:,} of {sent:,}" if count else "0"

    return Column(name, show)


LOST = [_total("lost"), _total("torn")]
WALL = _median("wall s", "wall", "{:.3g}")
CPU = _median("CPU s", "cpu", "{:.3g}")
RATE = _median("lines/s", "lines_per_s")
MEGABYTES = _median("MB/s", "mb_per_s")
EACH = _median("CPU µs/line", "us_per_line", "{:.2f}")
MEMORY = [_median("MiB", "memory", "{:,.0f}", 2**20), _median("processes", "processes")]
AGES = [_median(f"{name} ms", f"{key}_ms", "{:.2f}") for name, key in
        (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))]  # fmt: skip

COLUMNS: dict[str, list[Column]] = {
    "1": [_median("connections/s", "lines_per_s"), WALL, CPU, *MEMORY, *LOST],
    "2": [RATE, WALL, CPU, EACH, *MEMORY, *LOST],
    "3": [MEGABYTES, WALL, CPU, EACH, *MEMORY, *LOST],
    "10": [MEGABYTES, WALL, CPU, MEMORY[0]],
    "4": [*MEMORY, _median("CPU % silent", "silent_cpu_percent", "{:.3f}"),
          _median("CPU %, a line/s each", "speaking_cpu_percent", "{:.1f}"), *LOST],
    "5": [*AGES, _median("CPU %", "cpu_percent"), *LOST],
    "5 tremplin": [*AGES, _median("CPU %", "cpu_percent"), *LOST],
    "6": [MEGABYTES, WALL, CPU, EACH, *LOST],
    "7": [EACH, WALL, _median("open ms", "open", "{:.2f}", 1e-3),
          _median("resume ms", "resume", "{:.2f}", 1e-3), *LOST],
    "8": [MEGABYTES, WALL, CPU, EACH, _median("CPU µs/handshake", "us_per_shake", "{:.0f}"), *AGES, *LOST],
    "9": [RATE, CPU, EACH, _median("CPU %", "cpu_percent"), _total("dropped"), *LOST],
    "start": [_median("s", "wall", "{:.2f}"), _median("CPU s", "cpu", "{:.2f}")],
    "generator": [_median("connections/s, lines/s", "lines_per_s"), MEGABYTES, WALL,
                  _median("to the best system", "to_best", "{:.1f}×")],
    "loggen": [CPU, EACH, _total("lost")],
}  # fmt: skip


def body(work: str, rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the cells of a work's table; a column that would be empty is left out."""
    columns = [column for column in COLUMNS[work] if any(column.show(row) for row in rows)]
    noted = any(row.note for row in rows)
    heads = ["", *(column.head for column in columns), "n", *(["note"] if noted else [])]
    cells = []
    for row in rows:
        shown = [column.show(row) or NONE for column in columns]
        cells.append([row.system, *shown, str(len(row.runs)), *([row.note] if noted else [])])
    return heads, cells


def by_case(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each case, in their order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.case, []).append(row)
    return found


def show(console: Console, title: str, work: str, rows: Sequence[Row]) -> None:
    """Print a work's tables, one for each case; a case of one row is a line of one table."""
    for case, some in _sections(rows):
        heads, cells = body(work, some)
        table = Table(title=f"{title}: {case}" if case else title, title_justify="left")
        for number, head in enumerate(heads):
            table.add_column(head, justify="left" if number == 0 or head == "note" else "right")
        for row, words in zip(some, cells, strict=True):
            table.add_row(*words, style="bold" if row.system in OURS else None)
        console.print(table)


def markdown(title: str, work: str, rows: Sequence[Row]) -> str:
    """Return the same as Markdown."""
    parts = [f"### {title}"]
    for case, some in _sections(rows):
        heads, cells = body(work, some)
        parts += [*([case] if case else []), _markdown_table(heads, cells)]
    return "\n\n".join(parts) + "\n"


def show_bars(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print how the bars went."""
    table = Table(title="Bars", title_justify="left")
    for head in BAR_HEADS:
        table.add_column(head)
    for verdict, words in zip(verdicts, _bar_cells(verdicts), strict=True):
        table.add_row(*words, style=None if verdict.reached else "red")
    console.print(table)


def markdown_bars(verdicts: Sequence[Verdict]) -> str:
    """Return the same as Markdown."""
    return f"### Bars\n\n{_markdown_table(BAR_HEADS, _bar_cells(verdicts))}\n"


BAR_HEADS = ["work", "what", "bar", "measured", ""]


def _bar_cells(verdicts: Sequence[Verdict]) -> list[list[str]]:
    return [
        [
            one.work,
            one.what,
            one.bound,
            f"{one.value:.3g} {one.unit}",
            "reached" if one.reached else "NOT reached",
        ]
        for one in verdicts
    ]


def _sections(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    cases = by_case(rows)
    if all(len(some) == 1 for some in cases.values()):
        named = [dataclasses.replace(row, system=f"{row.case}: {row.system}") for row in rows]
        return [("", named)]
    return list(cases.items())


def _markdown_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    rule = ["---" if number == 0 else "---:" for number in range(len(heads))]
    return "\n".join("| " + " | ".join(words) + " |" for words in (heads, rule, *cells))
