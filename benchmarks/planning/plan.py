"""What so many devices take, by what a small fleet took: the tables of docs/scale.md (pure).

The fleet (`run.py`) is measured at the rates that the plan's relays have, and with as many lines as go
through; that is kept in `docs/plots/plan.json`, with the machine that it was measured on. What is dear is a
turn of a loop, or a message, with little in it. There are no more of these above the plan's rates, and fewer
where somebody is short of processor time: so a further line costs what it costs among many, and all of them
cost that at least.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parents[2] / "docs" / "plots"
DEVICES = (1_000, 100_000, 1_000_000)
#: A device is connected all the time, and says a line of so many bytes so many times a second.
LINE, LINES_A_SECOND = 100, 0.1
#: Devices of one relay: descriptors are what is used up first, and what is lost with it for a while is this.
A_RELAY = 10_000
#: Relays whose recordings one machine collects, publishes and keeps.
A_COLLECTOR = 10
#: Lines a second of one recording that are measured: those of a relay with 1,000 devices, and with 10,000.
RATES = (100, 1_000)
#: Replicas, and days that a stream keeps.
REPLICAS, DAYS = 3, 7
#: Hours for which a spool has room while nobody collects.
AWAY = 24
DAY = 86_400
#: Bytes of a message, at most.
LARGEST = 256 * 1024
#: What is timed: until half of all lines, or 99 of 100, are in the recorded file, or in a copy.
AGES = ("in the file, p50", "in the file, p99", "in a copy, p50", "in a copy, p99")
#: Parts of the work of which each has all recordings to do; of the others there is one for each recording.
SHARED = ("publisher", "server", "subscriber")


class Measured(NamedTuple):
    """What a fleet took for so many lines in each recording; seconds of a core, and bytes."""

    lines: int
    recordings: int
    seconds: float
    #: By part of the work, of one who does it; memory of the largest.
    cpu: dict[str, float]
    memory: dict[str, int]
    messages: int
    #: Messages on each server; beside all recorded files.
    stored: int
    indexed: int
    #: The machine's load average at its end.
    load: float
    #: AGES in milliseconds.
    ages: Sequence[float] = ()

    @property
    def added(self) -> tuple[float, float]:
        """Bytes that messages' headers, and the index here, have for each line."""
        lines = self.lines * self.recordings
        return self.stored / lines - LINE, self.indexed / lines

    def of_recording(self, part: str) -> float:
        """Return the seconds of one who does that part of the work, for one recording."""
        return self.cpu[part] / (self.recordings if part in SHARED else 1)


class Kept(NamedTuple):
    """All that was measured: at each of RATES, with all that goes through, and beside the plan."""

    calm: list[Measured]
    flood: Measured
    real: Measured
    machine: dict[str, str]

    def share(self, part: str, rate: float) -> float:
        """Return the share of a core that a recording of `rate` lines a second takes of who does the part."""
        low, high = (one.of_recording(part) / one.seconds for one in self.calm)
        if rate <= RATES[1]:
            return low + (high - low) * max(0.0, rate - RATES[0]) / (RATES[1] - RATES[0])
        return high + (rate - RATES[1]) * self.flood.of_recording(part) / self.flood.lines

    @property
    def messages(self) -> float:
        """Messages a second of one recording."""
        return self.calm[1].messages / self.calm[1].seconds / self.calm[1].recordings

    def as_json(self) -> str:
        """Return it as a file has it."""
        found = self._asdict() | {"calm": [one._asdict() for one in self.calm]}
        found |= {"flood": self.flood._asdict(), "real": self.real._asdict()}
        return json.dumps(found, indent=1) + "\n"


def kept() -> Kept:
    """Return what was measured last."""
    found = json.loads((DOCS / "plan.json").read_text("utf-8"))
    calm = [Measured(**one) for one in found["calm"]]
    return Kept(calm, Measured(**found["flood"]), Measured(**found["real"]), found["machine"])


def a_sender(results: Mapping[str, Any]) -> float:
    """Return the bytes that a sender takes of a relay, by the results of `inv dev.bench`."""
    few, many = (
        next(row["median"]["memory"] for row in results["works"]["4"]["rows"] if _is_ours(row, count))
        for count in ("500", "5,000")
    )
    return float(many - few) / 4_500


def _is_ours(row: Mapping[str, Any], senders: str) -> bool:
    return (row["case"], row["system"]) == (f"{senders} senders", "reclog, builtin")


def markdown(found: Kept) -> str:
    """Return both tables."""
    sender = a_sender(json.loads((DOCS / "results.json").read_text("utf-8")))
    return "\n\n".join("\n".join(lines) for lines in (table(found, sender), beside(found)))


def table(found: Kept, sender: float) -> list[str]:
    """Return the lines of the plan; a `sender` takes so many bytes of a relay."""
    columns = [_column(devices, found, sender) for devices in DEVICES]
    heads = [f"{devices:,}" for devices in DEVICES]
    lines = ["| devices | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    return lines + [f"| {name} | " + " | ".join(one[name] for one in columns) + " |" for name in columns[0]]


def _column(devices: int, found: Kept, sender: float) -> dict[str, str]:
    lines = devices * LINES_A_SECOND
    relays = math.ceil(devices / A_RELAY)
    machines = math.ceil(relays / A_COLLECTOR)
    each, mine = devices / relays, relays / machines
    rate, text = lines / relays, lines * LINE
    headers, index = found.calm[RATES.index(int(rate))].added
    stored = lines * (LINE + headers)

    def share(parts: str, recordings: float) -> str:
        return f"{recordings * sum(found.share(part, rate) for part in parts.split()):.0%}".replace("%", " %")

    return {
        "lines a second": f"{lines:,.0f}",
        "text": f"{_bytes(text)}/s, {_bytes(text * DAY)} a day",
        "relays": f"{relays:,}",
        "… each: senders, of a core with its sshd": f"{each:,.0f}, {share('relay sshd', 1)}",
        "… memory": _bytes(found.calm[1].memory["relay"] + each * sender),
        f"… spool for {AWAY} h": _bytes(rate * LINE * AWAY * 3600),
        "machines that collect and publish": f"{machines:,}",
        "… each: of a core, collecting": share("collector ssh", mine),
        "… … publishing": share("publisher", mine),
        "… file and index, a day": _bytes(lines / machines * (LINE + index) * DAY),
        "messages a second": f"{relays * found.messages:,.0f}",
        f"into JetStream, each of {REPLICAS} nodes": f"{_bytes(stored)}/s",
        "… of a core": share("server", relays),
        f"… disk of each for {DAYS} days": _bytes(stored * DAY * DAYS),
        f"a subscriber to {A_COLLECTOR} relays: of a core": share("subscriber", mine),
    }


def beside(found: Kept) -> list[str]:
    """Return the lines of the table of what the plan says of the real run, and what that took."""
    real = found.real
    rate = real.lines / real.seconds
    rows: list[tuple[str, float, float | None, float]] = []
    for part in real.cpu:
        alone, among = found.share(part, rate) / rate, found.flood.of_recording(part) / found.flood.lines
        took = real.of_recording(part) / real.lines
        rows.append((f"{part}: CPU seconds for a million lines", among * 1e6, alone * 1e6, took * 1e6))
    for part in real.memory:
        low, high, had = (one.memory[part] / 2**20 for one in (found.calm[1], found.flood, real))
        rows.append((f"{part}: MiB", low, high, had))
    largest = rate * real.recordings * LINE / LARGEST
    rows.append(
        ("messages a second", largest, found.messages * real.recordings, real.messages / real.seconds)
    )
    for number, what in enumerate(("messages' headers", "index")):
        few, many, took = (one.added[number] for one in (found.flood, found.calm[1], real))
        # What waits to be packed may be less at the end than it was before.
        rows.append((f"{what}: bytes a line", max(0.0, few), many, took))
    for number, what in enumerate(AGES):
        rows.append((f"{what}, ms", found.calm[1].ages[number], None, real.ages[number]))
    return ["| | plan: from | to | measured |", "|---|---:|---:|---:|"] + [
        f"| {what} | {low:.3g} | {'' if high is None else f'{high:.3g}'} | {had:.3g} |"
        for what, low, high, had in rows
    ]


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
