"""Recordings whose files hold anything: a person gets a sentence, and the others are not in the way."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from bench import Home
from fuzz import CONFIG, ME, TREMPLIN, cases, changed, contents, filled, laid, names_me
from hypothesis import given
from hypothesis import strategies as st
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit
from properties import examples

from reclog.errors import HostError, ReclogError
from reclog.local.start import _make_way
from reclog.recordings.registry import Registry
from reclog.recordings.settings import resolve_local
from reclog.tasks.history import history
from reclog.tasks.kill import kill
from reclog.tasks.status import status
from reclog.tasks.tail import tail
from reclog.tremplin import stop as stop_through
from reclog.tremplin.collector import collector_id
from reclog.tremplin.probe import PROBES

STATE = {**CONFIG, "identity": ME._asdict(), "started": "2026-01-01T00:00:00.000Z"}
COUNTERS = {
    "state": "recording",
    "paused_for": "",
    "ended_for": "",
    "lines": 1,
    "bytes": 2,
    "senders": 3,
    "last_line": "x",
    "last_line_at": 1.5,
    "reconnects": 0,
    "connects": 1,
    "refused": 0,
    "listener_full": False,
    "lag_bytes": 0,
    "offset": 0,
}
STOPPED = {"time": "9", "event": "stopped", "lines": 1, "left_bytes": 0, "left_senders": 0, "reason": ""}
STOPPED.update(seconds=0.1, drained=True)


@st.composite
def folders(draw: st.DrawFn) -> dict[str, bytes]:
    """Return the files of one recording's folder, one or two of them odd."""
    config = draw(st.sampled_from([CONFIG, CONFIG, TREMPLIN]))
    state = {**config, "identity": ME._asdict(), "started": STATE["started"]}
    files = {
        "config.json": json.dumps(config).encode(),
        "state.json": json.dumps(state).encode(),
        "counters.json": json.dumps(COUNTERS).encode(),
        "events.log": json.dumps(STOPPED).encode() + b"\n",
        "past.json": json.dumps({**state, "counters": COUNTERS, "ended": STATE["started"]}).encode(),
    }
    odd = {
        "config.json": contents(config),
        "state.json": st.one_of(
            contents(state), changed(ME._asdict()).map(lambda one: b'{"port": 2, "identity": ' + one + b"}")
        ),
        "counters.json": contents(COUNTERS),
        "events.log": st.lists(contents(STOPPED), max_size=3).map(b"\n".join),
        "past.json": contents({**state, "counters": COUNTERS}),
    }
    for name in draw(st.sets(st.sampled_from(sorted(odd)), min_size=1, max_size=2)):
        content = draw(st.none() | odd[name])
        if content is None:
            del files[name]
        else:
            files[name] = content
    return files


def numeric_only(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    """Look no name up: that would ask a server."""
    if isinstance(host, str) and host.replace(".", "").isdigit():
        return _getaddrinfo(host, port, *args, **kwargs)
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


_getaddrinfo = socket.getaddrinfo


class Person:
    """Who runs the commands, in this process; nothing is really ended, and no host is reached."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry = Registry(root / "reclog")
        self.ended: list[int] = []
        self.good = self.registry.new("good", {"port": 1, "file": str(root / "good.log")})
        (root / "good.log").write_text("a good line\n")
        self.said = ""
        self.noted = ""

    def run(self, task: Any, **words: Any) -> int:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), self._alone():
                task(Context(Config(defaults={"run": {"in_stream": False}})), **words)
            return 0
        except Exit as error:
            return int(error.code) if error.message else -1
        finally:
            out.seek(0)
            self.said, self.noted = out.read(), err.getvalue()

    def _end(self, processes: Any, term_within: float) -> list[Any]:
        self.ended += [process.pid for process in processes]
        return []

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        out_of_reach = mock.Mock(side_effect=HostError("out of reach"))
        with (
            mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(self.root)}),
            mock.patch("reclog.look.status.marked", return_value={}),
            mock.patch("reclog.local.stop.marked", side_effect=lambda root: {}),
            mock.patch("reclog.local.stop.end", self._end),
            mock.patch.multiple(stop_through, survey=out_of_reach, login=out_of_reach, PATIENCE=-1.0),
            mock.patch("reclog.tremplin.collector.end", self._end),
            mock.patch.object(stop_through, "launch", return_value=(None, {"ready": False})),
            mock.patch("os.kill", lambda pid, number: self.ended.append(pid)),
            mock.patch("reclog.tremplin.probe.survey", out_of_reach),
            mock.patch("socket.getaddrinfo", numeric_only),
        ):
            yield

    def probe(self) -> None:
        with self._alone():
            for recording in self.registry.here():
                for hop in PROBES[recording.kind](recording, 0.01):
                    assert hop.ok or hop.trouble


def check_folder(lay: dict[str, Any] | Path, verified: bool) -> None:
    """Run each command beside a broken recording; `verified`: its state may name this process for good."""
    with tempfile.TemporaryDirectory() as root:
        person = Person(Path(root))
        broken = person.registry.folder / "broken"
        broken.mkdir()
        assert isinstance(lay, dict)
        for name, words in lay.items():
            if isinstance(words, bytes):
                (broken / name).write_bytes(words)
            else:
                list(laid(broken, {name: words}))

        assert person.run(status) == 0
        assert "good" in person.said
        assert max(map(len, (person.said + person.noted).splitlines())) < 2000
        assert person.run(status, json=True) == 0
        described = json.loads(person.said, parse_constant=pytest.fail)
        assert "good" in [one["name"] for one in described]
        for one in described:
            assert all(type(one[key]) is int for key in ("port", "bytes", "senders", "lag_bytes", "refused"))
            assert all(isinstance(one[key], str) for key in ("name", "kind", "state", "file"))

        assert person.run(history) == 0
        assert "good" in person.said
        assert person.run(history, json=True) == 0
        json.loads(person.said, parse_constant=pytest.fail)
        assert person.run(history, events="good") == 0
        assert person.run(history, events="broken") in (0, 1)
        assert person.said.isprintable() or all(map(str.isprintable, person.said.splitlines()))
        assert person.run(tail, port=1, follow=False) == 0
        assert person.said == "a good line\n"
        assert person.run(tail, port=2, follow=False) in (0, 1)
        words = resolve_local({"port": 7, "file": str(person.root / "other.log")}, {})
        before = sorted(path.name for path in broken.iterdir())
        with contextlib.suppress(ReclogError):
            _make_way(words, person.registry)
        assert sorted(path.name for path in broken.iterdir()) == before
        person.probe()

        code = person.run(kill)
        assert code in (0, 1)
        assert "good was dead" in person.said
        assert not (person.good.folder / "config.json").exists()
        # Nobody is signalled but who is known by all five facts.
        assert set(person.ended) <= ({ME.pid} if verified else set())


@examples(50)
@given(files=folders())
def test_a_broken_recording_keeps_nobody_from_the_others(files: dict[str, bytes]) -> None:
    check_folder(files, names_me(files))


@pytest.mark.parametrize("case", cases("recording"))
def test_kept_recordings(case: dict[str, Any]) -> None:
    check_folder(filled(case), verified=b'"identity": {"host"' in filled(case).get("state.json", b""))


def test_a_link_to_itself_is_no_recording() -> None:
    with tempfile.TemporaryDirectory() as root:
        person = Person(Path(root))
        (person.registry.folder / "loop").symlink_to("loop")
        assert person.run(status) == 0
        assert "good" in person.said
        assert person.run(kill) == 0


@examples(60)
@given(content=contents({"id": "me"}))
def test_the_collectors_name_is_made_anew(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        registry = Registry(Path(root) / "reclog")
        registry.make()
        (registry.root / "collector.json").write_bytes(content)
        name = collector_id(registry)
        assert name
        assert len(name) < 5000
        assert collector_id(registry) == name


def test_broken_recordings_beside_one_that_runs(home: Home) -> None:
    running = home.local("--listener", "builtin")
    running.send(b"one\n")
    for number, param in enumerate(cases("recording")):
        (case,) = param.values
        folder = home.recordings / f"broken-{number}"
        folder.mkdir()
        for name, words in filled(case).items():
            # None names a process: this one is not to be stopped by what follows.
            content = (
                words.replace(json.dumps(ME._asdict()).encode(), b"{}") if isinstance(words, bytes) else words
            )
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                list(laid(folder, {name: content}))
    (home.recordings / "loop").symlink_to("loop")
    port = str(running.port)
    runs = [
        home.inv("status"),
        home.inv("tail", "--port", port, "--no-follow"),
        home.inv("test-connection", "--port", port),
        home.inv("local", "--port", port, "--file", str(home.path / "other.log")),
        home.inv("kill", "--file", str(running.file)),
        home.inv("kill"),
    ]
    for done in runs:
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1)
    codes = [done.returncode for done in runs]
    assert codes[:3] == [0, 0, 0], runs[:3]
    assert codes[3:5] == [1, 0], runs[3:5]
    assert f"local-{port} stopped, 3 lines recorded" in runs[4].stdout
    left = [path.name for path in home.recordings.iterdir() if (path / "config.json").is_file()]
    assert runs[5].returncode == (1 if left else 0)
    shutil.rmtree(home.recordings)
