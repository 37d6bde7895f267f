"""`status` on a real terminal, with more recordings than a test could start."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator

from bench import BIN, Home, wait_until
from terminal import HOSTILE, terminal

from reclog.engine.system.identity import Identity
from reclog.recordings.registry import Registry

INV = str(BIN / "inv")
STATE = ("recording", "2", "h", "ago")


@contextlib.contextmanager
def recordings(home: Home, count: int) -> Iterator[list[str]]:
    """Have folders of that many recordings, whose daemon is a process that does nothing; give their names."""
    registry, names = Registry(home.state / "reclog"), []
    with subprocess.Popen(["sleep", "1000"]) as daemon:
        try:
            identity = Identity.of(daemon.pid)._asdict()
            for number in range(count):
                host = f"jump{number}.lan"
                facts = {"kind": "tremplin", "host": host, "port": 55514, "identity": identity}
                facts["file"] = str(home.path / f"logs of a long project/{host}/file.log")
                recording = registry.new(f"tremplin-{host}-55514", facts)
                names.append(recording.name)
                counters = {"lines": 10**number, "bytes": 10**9, "last_line_at": time.time() - 9000}
                counters["last_line"] = HOSTILE.decode("utf-8", "backslashreplace")
                (recording.folder / "state.json").write_text(json.dumps(facts))
                (recording.folder / "counters.json").write_text(json.dumps(counters))
            yield names
        finally:
            daemon.kill()
            shutil.rmtree(registry.folder)


def test_twenty_recordings_are_twenty_rows_and_a_head_of_80_columns(home: Home) -> None:
    with recordings(home, 20) as names, terminal(home, INV, "status", size=(80, 40)) as window:
        assert window.ended() == 0
    head, *rows = window.shown.decode().splitlines()
    assert head.split() == ["name", "state", "heard", "lines/s", "lag", "file"]
    assert [row.split()[:5] for row in rows] == [
        [name, "recording", "2", "h", "ago"] for name in sorted(names)
    ]
    assert max(map(len, (head, *rows))) <= 80
    assert all(row.endswith("/file.log") for row in rows)


def test_watch_draws_in_place_follows_the_windows_size_and_ends_with_ctrl_c(home: Home) -> None:
    def last_frame() -> str:
        """Return the newest frame that is whole."""
        return window.look().decode().rpartition("\x1b[J")[0].rpartition("\x1b[H")[2]

    def rows() -> list[str]:
        return [re.sub(r"\x1b\[K", "", row) for row in last_frame().splitlines()]

    with recordings(home, 5), terminal(home, INV, "status", "--watch", size=(80, 40)) as window:
        wait_until(lambda: len(rows()) == 6, what="a first frame")
        assert "last line" not in rows()[0]
        window.resize(400, 4)  # wide enough for all columns, whatever the files' paths
        wait_until(lambda: "last line" in rows()[0] and len(rows()) == 4, what="the window's size")
        assert rows()[3] == "(3 more rows)"
        frames = window.shown.count(b"\x1b[H")
        wait_until(lambda: window.look().count(b"\x1b[H") > frames, what="another second's frame")
        window.type(b"\x03")
        assert window.ended() == 0
    own, _, after = window.shown.decode().partition("\x1b[?25h\x1b[?1049l")
    assert own.startswith("\x1b[?1049h")
    assert len(after.replace("^C", "").splitlines()) == 6
    assert "\x1b" not in after
    assert set(re.findall(r"\x1b\[?[^A-Za-z]*[A-Za-z]", own)) == {
        "\x1b[?1049h",
        "\x1b[?25l",
        "\x1b[H",
        "\x1b[K",
        "\x1b[J",
    }


def test_watch_needs_a_terminal_and_has_an_array_a_second_for_programs(home: Home) -> None:
    done = home.inv("status", "--watch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--watch draws on a terminal: leave it out, or add --json for an array a line.\n"
    with recordings(home, 2) as names, home.start("inv", "status", "--watch", "--json") as process:
        assert process.stdout is not None
        for _ in range(2):
            assert [one["name"] for one in json.loads(process.stdout.readline())] == names
        process.send_signal(2)
        process.communicate(timeout=10)
        assert process.returncode == 0
