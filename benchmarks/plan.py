"""What so many devices take, by what recording was measured to cost: the table of docs/scale.md.

`python -m benchmarks.plan` prints it. Nothing is measured here: costs are those of `docs/plots/results.json`
(`inv dev.bench`), of the machine that is named there, and those below, which say where they come from.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "plots" / "results.json"
DEVICES = (1_000, 100_000, 1_000_000)
#: A device is connected all the time, and says a line of so many bytes so many times a second.
LINE, LINES_A_SECOND = 100, 0.1
#: Devices of one relay: descriptors are what is used up first, and what is lost with it for a while is this.
A_RELAY = 10_000
#: Relays whose recordings one machine collects, publishes and keeps.
A_COLLECTOR = 10
#: Bytes that an index, and the runs in a message's headers, add to a line of one sender among many.
INDEX, RUNS = 4.2, 5.6
#: Replicas, and days that a stream keeps.
REPLICAS, DAYS = 3, 7
#: Hours for which a spool has room while nobody collects.
AWAY = 24
#: Messages a second of a recording that is published: what has been there for 0.1 s is one, at least.
MESSAGES = 5
DAY = 86_400


class Costs(NamedTuple):
    """What was measured."""

    #: Microseconds of a core: a line on a connection of its own, received; the same on its way by a feed.
    received: float
    brought: float
    #: Bytes of a relay without senders, and of each.
    base: float
    sender: float


def costs(results: dict[str, Any]) -> Costs:
    """Return the costs that results have."""
    rows = {
        (work, row["case"], row["system"]): row["median"]
        for work, found in results["works"].items()
        for row in found["rows"]
    }
    few, many = (rows["4", f"{count} senders", "reclog, builtin"] for count in ("500", "5,000"))
    sender = (many["memory"] - few["memory"]) / 4_500
    brought = rows["6", "8 senders live, one send a line", "reclog"]["us_per_line"]
    return Costs(
        many["speaking_cpu_percent"] / 100 / 5_000 * 1e6, brought, few["memory"] - 500 * sender, sender
    )


def table(cost: Costs) -> list[str]:
    """Return the lines of the table."""
    columns = [_column(devices, cost) for devices in DEVICES]
    heads = [f"{devices:,}" for devices in DEVICES]
    lines = ["| devices | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    return lines + [f"| {name} | " + " | ".join(one[name] for one in columns) + " |" for name in columns[0]]


def _column(devices: int, cost: Costs) -> dict[str, str]:
    lines = devices * LINES_A_SECOND
    relays = math.ceil(devices / A_RELAY)
    machines = math.ceil(relays / A_COLLECTOR)
    each = devices / relays
    text = lines * LINE
    stored = lines * (LINE + RUNS)
    return {
        "lines a second": f"{lines:,.0f}",
        "text": f"{_bytes(text)}/s, {_bytes(text * DAY)} a day",
        "relays": f"{relays:,}",
        "… each: senders, of a core": f"{each:,.0f}, {each * LINES_A_SECOND * cost.received / 1e4:.1f} %",
        "… memory": _bytes(cost.base + each * cost.sender),
        f"… spool for {AWAY} h": _bytes(each * LINES_A_SECOND * LINE * AWAY * 3600),
        "machines that collect and publish": f"{machines:,}",
        "… each: of a core, bringing": f"{lines / machines * cost.brought / 1e4:.2f} %",
        "… file and index, a day": _bytes(lines / machines * (LINE + INDEX) * DAY),
        "messages a second, at least": f"{relays * MESSAGES:,}",
        f"into JetStream, each of {REPLICAS} nodes": f"{_bytes(stored)}/s",
        f"… disk of each for {DAYS} days": _bytes(stored * DAY * DAYS),
    }


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    print("\n".join(table(costs(json.loads(path.read_text("utf-8"))))))


if __name__ == "__main__":
    main()
