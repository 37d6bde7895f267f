"""Recordings that have ended: their history, taken up again, exported, forgotten."""

from __future__ import annotations

import json
import re

from bench import Home, wait_until


def test_what_ran_is_told_taken_up_and_forgotten(home: Home) -> None:
    first = home.local("--listener", "builtin")
    first.send(b"said\n")
    wait_until(lambda: first.read() == b"said\n")
    home.inv("kill")
    other = str(home.path / "other.log")
    done = home.inv("local", "--port", str(first.port), "--file", other, "--listener", "builtin")
    assert done.stdout.startswith(f"local-{first.port}-2: "), done.stderr
    told = json.loads(home.inv("history", "--json").stdout)
    assert [(one["name"], one["state"], one["file"]) for one in told] == [
        (f"local-{first.port}-2", "recording", other),
        (f"local-{first.port}", "past", str(first.file)),
    ]
    assert (told[1]["lines"], told[1]["bytes"]) == (1, 5)
    assert told[1]["began"] <= told[1]["ended"] <= told[0]["began"]
    kept = home.inv("history", "--events", told[1]["name"]).stdout
    words = [line.split()[1] for line in kept.splitlines()]
    assert (words[0], words[-1]) == ("started", "stopped")
    assert "connect" in words
    refused = home.inv("history", "--forget", told[0]["name"])
    assert (refused.returncode, refused.stderr) == (
        1,
        f"{told[0]['name']} has not ended: `inv kill` ends it.\n",
    )
    out = home.path / "out"
    done = home.inv("export", f"local-{first.port}", "--out", str(out / "x"))
    assert (done.returncode, "can't be written (No such file" in done.stderr) == (1, True)
    done = home.inv("export", f"local-{first.port}", "--per-sender", "--out", str(out))
    assert done.stdout == f"1 line, 5 B in 1 file: {out}\n", done.stderr
    assert [path.read_bytes() for path in out.iterdir()] == [b"said\n"]
    home.inv("kill")
    done = home.inv(*first.words, "--listener", "builtin")
    assert done.stdout.startswith(f"local-{first.port}: "), done.stderr
    home.inv("kill")
    for one in told:
        assert home.inv("history", "--forget", one["name"]).returncode == 0
    assert home.inv("history").stdout == "Nothing was recorded yet.\n"
    assert list(home.recordings.iterdir()) == []
    assert first.read() == b"said\n"


def test_who_said_what_when_is_known_of_a_file_that_is_recorded_again(home: Home) -> None:
    first = home.local("--listener", "builtin")
    first.send(b"one\n")
    wait_until(lambda: first.read() == b"one\n")
    home.inv("kill")
    again = home.local("--listener", "builtin", file=first.file)  # on another port
    assert not first.folder.exists()
    again.send(b"two\n")
    wait_until(lambda: first.read() == b"one\ntwo\n")
    home.inv("kill")
    (one,) = json.loads(home.inv("history", "--json").stdout)
    assert (one["name"], one["gaps"]) == (f"local-{again.port}", 1)
    out = home.path / "stamped.log"
    done = home.inv("export", "--stamp", "--out", str(out))
    assert done.returncode == 0, done.stderr
    stamp = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    said = rf"{stamp} 127\.0\.0\.1 one\n{stamp} ── \S+ \S+: stopped ──\n{stamp} 127\.0\.0\.1 two\n"
    assert re.fullmatch(said, out.read_text())
