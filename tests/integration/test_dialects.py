"""Real senders on one port, with no option: each message is in the file as it was said, on lines of its own.

The table in docs/senders.md is what is checked here; the README has some of its rows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import pytest
from bench import Home, Running, wait_until
from real_senders import FORWARDERS, SENDERS
from test_readme import README
from test_readme import SENDERS as PAGE
from tremplin_bench import Tremplin


def rows(page: str) -> list[str]:
    return page.partition("| sender | ")[2].partition("\n\n")[0].splitlines()[2:]


#: By sender: what is in the file, as a pattern; `…` there is what differs each time.
ROWS = {
    cells[0]: cells[-1]
    for cells in ([cell.strip() for cell in row.strip("|").split("|")] for row in rows(PAGE))
}


def pattern(cell: str) -> bytes:
    """Return what text a cell of the table stands for."""
    lines = [line.strip("`").encode() for line in cell.split("<br>")]
    return b"".join(re.escape(line).replace("…".encode(), rb"[^\n]*") + b"\n" for line in lines)


@pytest.fixture
def recording(home: Home, listener: str) -> Running:
    return home.local("--listener", listener)


def sees(recording: Running, name: str, send: Callable[[], object], times: int = 1) -> None:
    """See that what a sender says becomes what the table says, and nothing else."""
    before, cell = recording.read(), ROWS[name]
    for _ in range(times):
        send()
    if cell.startswith("refused: "):
        why = cell.removeprefix("refused: ")
        wait_until(lambda: why in [one["why"] for one in recording.events("refused")], what=name)
        assert recording.read() == before
        assert (recording.status()["no_text"] or "").endswith(why)
    else:
        wait_until(lambda: re.fullmatch(pattern(cell) * times, recording.read()[len(before) :]), what=name)


def test_the_table_is_of_these_senders() -> None:
    assert set(ROWS) == {*SENDERS, *FORWARDERS}
    assert set(rows(README)) < set(rows(PAGE))


def test_real_senders_on_one_port(recording: Running) -> None:
    for name, sender in SENDERS.items():
        sees(recording, name, functools.partial(sender, recording.port))
    refused = [cell for name, cell in ROWS.items() if cell.startswith("refused: ")]
    assert recording.status()["refused"] == len(refused) == len(recording.events("refused"))
    hint = recording.home.inv("status").stderr
    assert hint.startswith(f"local-{recording.port} refused what it does not take: ")
    assert hint.endswith(f" {refused[-1].removeprefix('refused: ')}.\n")


@pytest.mark.parametrize("program", ["rsyslog", "syslog-ng"])
def test_system_loggers_on_one_port(home: Home, recording: Running, program: str) -> None:
    told = {name: told for name, told in FORWARDERS.items() if name.startswith(program)}
    start, _ = next(iter(told.values()))
    forwarder = start(home.path, recording.port)
    try:
        for name, (_, text) in told.items():
            # Twice: they stay connected, and of one message nothing tells what ends it, for two seconds.
            sees(recording, name, functools.partial(forwarder.tell, text), times=2)
    finally:
        forwarder.end()
    assert recording.status()["refused"] == 0


def test_lines_take_everything_as_it_comes(home: Home) -> None:
    recording = home.local("--framing", "lines")
    recording.send(b"\x16\x03\x01\x02\x00\x01\n5 <1>ab\n<14>a\0<14>b\0\n")
    wait_until(lambda: recording.read() == b"\x16\x03\x01\x02\x00\x01\n5 <1>ab\n<14>a\0<14>b\0\n")
    done = home.inv(
        "local", "--port", str(recording.port), "--file", str(recording.file), "--framing", "auto"
    )
    assert done.returncode == 1
    assert "--framing lines" in done.stderr


def test_dialects_through_a_tremplin(trem: Tremplin) -> None:
    recording = trem.open("--stamp")
    recording.send(b"<14>one\n  of two lines\0<14>two\n\0")
    recording.send(b"5 <1>ab8 <1>cd\nef")
    stamp = rb"20[^ ]{22} 127\.0\.0\.1:\d+ "
    said = [b"<14>one", b"  of two lines", b"<14>two", b"<1>ab", b"<1>cd", b"ef"]
    lines = b"".join(stamp + line + b"\n" for line in said)
    wait_until(lambda: re.search(lines + rb"\Z", recording.read()))
    recording.send(b"\x16\x03\x01\x02\x00\x01\x00")
    wait_until(lambda: (recording.status()["no_text"] or "").endswith(" speaks TLS: start with --tls"))
    assert recording.kill().returncode == 0
    assert re.search(lines + rb"\Z", recording.read())
