"""The table that a person reads, of what a campaign has done and found."""

from __future__ import annotations

from campaign import Row
from rich.console import Console
from rich.table import Table

COLUMNS = ("times", "sent", "recorded", "lost", "doubled", "torn", "reordered", "invented", "stuck")


def table(title: str, rows: dict[str, Row]) -> Table:
    """Return the table of one lane; the last line is the sum."""
    shown = Table(title=title, title_justify="left", show_footer=False)
    shown.add_column("fault", no_wrap=True)
    for column in COLUMNS:
        shown.add_column(column, justify="right")
    shown.add_column("longest recovery", justify="right")
    total = Row()
    for name in sorted(rows):
        total.add(rows[name])
        shown.add_row(name, *_cells(rows[name]))
    shown.add_section()
    shown.add_row("all", *_cells(total))
    return shown


def markdown(rows: dict[str, Row]) -> str:
    """Return the same as Markdown, for the documentation."""
    lines = ["| fault | " + " | ".join((*COLUMNS, "longest recovery")) + " |"]
    lines.append("|---" + "|---:" * (len(COLUMNS) + 1) + "|")
    total = Row()
    for name in sorted(rows):
        total.add(rows[name])
        lines.append(f"| {name} | " + " | ".join(_cells(rows[name])) + " |")
    lines.append("| **all** | " + " | ".join(_cells(total)) + " |")
    return "\n".join(lines)


def show(console: Console, title: str, rows: dict[str, Row]) -> None:
    """Print a lane's table."""
    console.print(table(title, rows))


def _cells(row: Row) -> list[str]:
    counts = [f"{getattr(row, column):,}" for column in COLUMNS]
    return [*counts, f"{row.recovery:.1f} s" if row.recovery else "-"]
