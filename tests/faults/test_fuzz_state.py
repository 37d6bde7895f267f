"""State on disk and settings: whatever a file holds, a person gets a sentence and a daemon a sane way on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from bench import Home
from feed_ends import OFFSET_MAX, TEXT, Here, shaken
from fuzz import ShakyDisk, cases, changed, contents, examples, laid, raw
from hypothesis import given
from hypothesis import strategies as st
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit

from reclog.engine import __main__ as engine
from reclog.engine.daemons.collector import Collector
from reclog.engine.daemons.config import RelayConfig
from reclog.engine.daemons.daemon import Daemon
from reclog.engine.daemons.recorder import Recorder
from reclog.engine.daemons.relay import Relay
from reclog.engine.daemons.survey import survey
from reclog.engine.feed import protocol as frames
from reclog.engine.outlets.checkpoint import Checkpoint
from reclog.engine.outlets.landing import Landing
from reclog.engine.records.jsonfile import parse_json
from reclog.engine.stores.mark import RESERVE
from reclog.engine.stores.recovery import Jump
from reclog.engine.stores.spool import Spool, SpoolUnusable
from reclog.engine.system.identity import Identity
from reclog.engine.system.loop import Loop
from reclog.errors import HostError, ReclogError, UsageError
from reclog.local.start import _make_way
from reclog.recordings import settings
from reclog.recordings.registry import Registry
from reclog.recordings.settings import resolve_local, resolve_tremplin
from reclog.tasks.edge import configured
from reclog.tasks.kill import kill
from reclog.tasks.probe import PROBES
from reclog.tasks.status import status
from reclog.tasks.tail import tail
from reclog.tremplin import stop as stop_through
from reclog.tremplin.collector import collector_id
from reclog.tremplin.survey import Survey

# -- a recording's folder, and a person's commands ----------------------------------------------

ME = Identity.of(os.getpid())
CONFIG: dict[str, Any] = {
    "kind": "local",
    "host": None,
    "name": "broken",
    "port": 2,
    "file": "/nowhere/broken.log",
    "bind": "127.0.0.1",
    "listener": "builtin",
    "stamp": False,
    "allow": [],
    "partial_after": 2.0,
    "raw": False,
    "max_senders": 0,
    "max_per_address": 0,
}
TREMPLIN: dict[str, Any] = {
    "kind": "tremplin",
    "host": "there",
    "login": "me@there:22",
    "port": 2,
    "file": "/nowhere/broken.log",
    "port_local": 2,
    "port_remote_out": 3,
    "relay_folder": "/home/me/.local/state/reclog/relay/2",
    "target": {"host": "there", "user": "me", "port": None, "config": None, "identities": []},
    "ssh_command": ["true"],
    "start_command": ["true"],
    "secret": "5e" * 32,
    "collector": "me",
    "hostname": "there",
    "starting": False,
}
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
    }
    odd = {
        "config.json": contents(config),
        "state.json": st.one_of(
            contents(state), changed(ME._asdict()).map(lambda one: b'{"port": 2, "identity": ' + one + b"}")
        ),
        "counters.json": contents(COUNTERS),
        "events.log": st.lists(contents(STOPPED), max_size=3).map(b"\n".join),
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


def names_me(files: dict[str, bytes]) -> bool:
    """Tell whether a folder's state names this process, by all that makes it this one."""
    with contextlib.suppress(Exception):
        state = json.loads(files["state.json"])
        return [str(state["identity"][name]) for name in ME._fields] == [str(value) for value in ME]
    return False


@examples(50)
@given(files=folders())
def test_a_broken_recording_keeps_nobody_from_the_others(files: dict[str, bytes]) -> None:
    check_folder(files, names_me(files))


def filled(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case's files; `ME` in them stands for the identity of this process."""
    files: dict[str, Any] = {}
    for name, words in case["files"].items():
        if isinstance(words, dict) and {"folder", "link", "size"} & set(words):
            files[name] = words
        else:
            files[name] = raw(words).replace(b'"ME"', json.dumps(ME._asdict()).encode())
    return files


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
    assert f"local-{port} stopped, 2 lines recorded" in runs[4].stdout
    left = [path.name for path in home.recordings.iterdir() if (path / "config.json").is_file()]
    assert runs[5].returncode == (1 if left else 0)
    shutil.rmtree(home.recordings)


# -- the daemons' own files ---------------------------------------------------------------------

RELAY = {
    "name": "1",
    "kind": "relay",
    "port": 1,
    "port_remote_out": 2,
    "bind": "127.0.0.1",
    "stamp": False,
    "listener": "builtin",
    "allow": ["10.0.0.0/8"],
    "partial_after": 2.0,
    "spool_max": 1 << 20,
    "secret": "5e" * 32,
}
ROLES: dict[str, tuple[Any, dict[str, Any]]] = {
    "recorder": (Recorder, CONFIG),
    "relay": (Relay, RELAY),
    "collector": (Collector, TREMPLIN),
}


def check_config(role: str, content: bytes) -> None:
    """Be a daemon with that config: it says why it can't in a sentence, or begins its work."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_bytes(content)
        reading, writing = os.pipe()
        kind = ROLES[role][0]
        began: list[Any] = []
        with mock.patch.object(kind, "run", lambda made: began.append(made)):
            daemon = Daemon(folder, writing)
            code = engine.run(role, daemon)
        daemon.loop.close()
        if began:
            os.close(writing)
            os.close(reading)
            return
        with open(reading, "rb") as answer:
            said = json.loads(answer.read())
        assert code == 1
        assert said["ready"] is False
        assert said["message"].endswith(".")
        assert len(said["message"].splitlines()) == 1


@examples(60)
@given(data=st.data(), role=st.sampled_from(sorted(ROLES)))
def test_a_config_without_sense_is_said(data: st.DataObject, role: str) -> None:
    check_config(role, data.draw(contents(ROLES[role][1])))


@pytest.mark.parametrize("case", cases("config"))
def test_kept_configs(case: dict[str, Any]) -> None:
    role = case["role"]
    content = raw(case["content"]) if "content" in case else None
    check_config(
        role, content if content is not None else json.dumps({**ROLES[role][1], **case["with"]}).encode()
    )


@examples(60)
@given(content=contents({"name": "me", "since": "then"}))
def test_an_owner_is_a_name_or_nobody(content: bytes) -> None:
    check_owner(content)


@pytest.mark.parametrize("case", cases("owner"))
def test_kept_owners(case: dict[str, Any]) -> None:
    assert check_owner(raw(case["content"])) == case["name"]


def check_owner(content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(RELAY))
        Path(folder, "owner.json").write_bytes(content)
        daemon = Daemon(folder)
        try:
            owner = Relay(daemon, daemon.told(RelayConfig)).owner
        finally:
            daemon.loop.close()
        assert type(owner.name) is str
        assert type(owner.since) is str
        events = Path(folder, "events.log")
        assert bool(owner.name) != (events.exists() and '"state lost"' in events.read_text())
        return owner.name


LINES = b"".join(b"line %d\n" % number for number in range(100))
#: Where the spool's bytes begin, and where segments begin and end: the first ones are acked and gone.
FIRST, MIDDLE = 1000, 1400
SPOOL = {
    "version": 1,
    "id": "abc",
    "mark": FIRST + len(LINES) + RESERVE,
    "end": FIRST + len(LINES),
    "acked": FIRST + 50,
    "inside": False,
    "clean": True,
    "boot": "this",
}
SEGMENTS = {
    f"{FIRST:020d}.seg": LINES[: MIDDLE - FIRST],
    f"{MIDDLE:020d}.seg": LINES[MIDDLE - FIRST :],
}


def check_spool(folder: Path, boot: str) -> Spool | None:
    """Open a spool: it is refused in a sentence, or all that is there can be read, and more be added."""
    said: list[str] = []
    spool = Spool(str(folder), 1 << 20, lambda event, **facts: said.append(event), ShakyDisk(), boot=boot)
    try:
        spool.open()
    except SpoolUnusable:
        return None
    assert all(type(number) is int for number in (spool.end, spool.acked, spool._mark.offset))
    assert 0 <= spool.acked <= spool.end <= OFFSET_MAX
    assert spool.end >= FIRST + len(LINES)  # no offset is used twice
    begin = spool.end
    spool.add(1, b"and more\n")
    assert spool.flush(), said
    cursor, found = spool.cursor(0), b""
    while cursor.offset < spool.end:
        offset, piece = cursor.offset, cursor.read()
        if isinstance(piece, Jump):
            assert piece.end > offset
            continue
        assert piece
        frames.header(frames.DATA, offset, piece)
        for number, line in enumerate(piece.splitlines(keepends=True)):
            start = offset + piece.find(line) if number == 0 else None
            if start is not None and offset < begin:
                assert LINES[offset - FIRST : offset - FIRST + len(line)] == line
        found += piece
    assert found.endswith(b"and more\n")
    assert found[: -len(b"and more\n")].strip(b"\n") in (
        LINES.strip(b"\n"),
        LINES[MIDDLE - FIRST :].strip(b"\n"),
    )
    spool.close()
    return spool


@examples(80)
@given(content=contents(SPOOL), boot=st.sampled_from(["this", "other"]))
def test_a_spools_state_makes_sense_or_is_refused(content: bytes, boot: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in SEGMENTS.items():
            Path(folder, name).write_bytes(data)
        Path(folder, "spool.json").write_bytes(content)
        check_spool(Path(folder), boot)


NAMES = st.one_of(
    st.sampled_from(
        ["abc.seg", "00.seg", ".seg", "-5.seg", "1_0.seg", " 7.seg", "\u0661.seg", "9" * 30 + ".seg"]
    ),
    st.integers(0, 2**66).map(lambda start: f"{start:020d}.seg"),
    st.integers(FIRST - 60, FIRST + len(LINES) + 60).map(lambda start: f"{start:020d}.seg"),
)
THINGS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([{"folder": True}, {"link": "nowhere"}]),
)


@examples(60)
@given(odd=st.dictionaries(NAMES, THINGS, min_size=1, max_size=2), boot=st.sampled_from(["this", "other"]))
def test_odd_segments_are_refused_or_harmless(odd: dict[str, Any], boot: str) -> None:
    check_segments({name: thing for name, thing in odd.items() if name not in SEGMENTS}, boot)


def check_segments(odd: dict[str, Any], boot: str = "this") -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for name, data in SEGMENTS.items():
            (path / name).write_bytes(data)
        (path / "spool.json").write_text(json.dumps(SPOOL))
        for name, thing in odd.items():
            if isinstance(thing, bytes):
                (path / name).write_bytes(thing)
            else:
                list(laid(path, {name: thing}))
        opened = Spool(folder, 1 << 20, lambda event, **facts: None, ShakyDisk(), boot=boot)
        try:
            opened.open()
        except SpoolUnusable:
            return
        cursor = opened.cursor(0)
        while cursor.offset < opened.end:
            assert cursor.read()
            assert cursor.offset <= OFFSET_MAX
        opened.add(1, b"more\n")
        assert opened.flush()
        assert opened.cursor(opened.end - 5).read() == b"more\n"
        opened.close()


@pytest.mark.parametrize("case", cases("segments"))
def test_kept_segments(case: dict[str, Any]) -> None:
    check_segments(
        {name: thing if isinstance(thing, dict) else raw(thing) for name, thing in case["files"].items()}
    )


@pytest.mark.parametrize("boot", ["this", "other"])
@pytest.mark.parametrize("case", cases("spool"))
def test_kept_spools(case: dict[str, Any], boot: str, tmp_path: Path) -> None:
    for name, data in SEGMENTS.items():
        (tmp_path / name).write_bytes(data)
    content = raw(case["content"]) if "content" in case else json.dumps({**SPOOL, **case["with"]}).encode()
    (tmp_path / "spool.json").write_bytes(content)
    opened = check_spool(tmp_path, boot)
    if case.get("refused"):
        assert opened is None


HELD = 120
CHECKPOINT = {
    "spool": "s",
    "offset": HELD,
    "device": 0,
    "inode": 0,
    "size": HELD,
    "tail": "",
    "inside": False,
}


def check_checkpoint(root: Path, content: dict[str, str] | bytes) -> None:
    """Start a collector with that checkpoint: all that it asked for arrives, whatever that was."""
    file = root / "file.log"
    ours = Here(root, TEXT[:HELD])
    try:
        ours.collector.outlet.close()
        checkpoint = ours.recording.folder / "checkpoint.json"
        if isinstance(content, bytes):
            checkpoint.write_bytes(content)
        landing = Landing(str(file), str(ours.recording.folder), ours.daemon.log.say, ShakyDisk())
        ours.collector.outlet = ours.collector.acks._outlet = landing
        landing.open()
        assert type(landing.offset) is int
        assert 0 <= landing.offset <= OFFSET_MAX
        asked = landing.offset
        known = landing.spool == "s" and asked <= len(TEXT)
        start = asked if known else 0
        answer = {"spool": "s", "offset": start, "end": len(TEXT), "known": known}
        said = b"".join(
            frames.encode(frames.DATA, at, TEXT[at : at + 50]) for at in range(start, len(TEXT), 50)
        )
        ours.dial([shaken(json.dumps(answer).encode()) + said], closes=False)
        assert ours.collector._client is not None, ours.tunnel.trouble
        assert landing.offset == len(TEXT)
        ours.collector.acks.settle()
        written = file.read_bytes()
        assert written.startswith(TEXT[:HELD])
        rest = TEXT[max(start, HELD) :].splitlines()[1:]  # the first may be cut by an offset inside it
        assert written.splitlines()[len(written.splitlines()) - len(rest) :] == rest
        assert landing.settled == len(TEXT)
    finally:
        ours.close()


@examples(60)
@given(data=st.data())
def test_a_checkpoint_makes_sense_or_is_lost(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        valid = true_checkpoint(root)
        check_checkpoint(root, data.draw(contents(valid)))


def true_checkpoint(root: Path) -> dict[str, Any]:
    """Return the checkpoint of a file that holds the first lines; the file stays as it is."""
    path = root / "file.log"
    path.write_bytes(TEXT[:HELD])
    fd = os.open(path, os.O_RDWR)
    try:
        return Checkpoint.of(fd, HELD, "s", HELD, False)._asdict()
    finally:
        os.close(fd)


@pytest.mark.parametrize("case", cases("checkpoint"))
def test_kept_checkpoints(case: dict[str, Any], tmp_path: Path) -> None:
    valid = true_checkpoint(tmp_path)
    check_checkpoint(
        tmp_path,
        raw(case["content"]) if "content" in case else json.dumps({**valid, **case["with"]}).encode(),
    )


# -- what is seen on the tremplin ---------------------------------------------------------------


def seen(home: Path) -> Mapping[str, Any]:
    """Return the relays that `fab` sees on a tremplin with this home."""
    with mock.patch.dict(os.environ, {"HOME": str(home)}):
        return Survey.from_json(parse_json(json.dumps(survey()))).relays


THERE: dict[str, Any] = {
    "config.json": RELAY,
    "state.json": {"identity": ME._asdict()},
    "counters.json": {"acked": 10},
    "owner.json": {"name": "me", "since": "then"},
    "spool/spool.json": {"id": "abc", "acked": 0},
}


def check_look(files: dict[str, bytes], verified: bool) -> None:
    with tempfile.TemporaryDirectory() as home:
        base = Path(home, ".local/state/reclog/relay")
        for name in ("1", "2"):
            for file, value in THERE.items():
                path = base / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(value))
            (base / name / "spool" / f"{0:020d}.seg").write_bytes(b"x" * 100)
        for file, content in files.items():
            (base / "1" / file).write_bytes(content)
        relays = seen(Path(home))
        assert (relays["2"].left, relays["2"].pid) == (90, ME.pid)
        broken = relays["1"]
        assert not broken.pid or (verified and broken.pid == ME.pid)
        # What nobody has acked is never taken for nothing.
        assert broken.left > 0 or plausible(files)


def plausible(files: dict[str, bytes]) -> bool:
    """Tell whether one of the files says, with a number that can be true, that all was acked."""
    for name in ("counters.json", "spool/spool.json"):
        with contextlib.suppress(ValueError, RecursionError, AttributeError):
            acked = json.loads(files.get(name, b"{}")).get("acked")
            if type(acked) is int and acked == 100:
                return True
    return False


@examples(40)
@given(data=st.data())
def test_a_broken_relay_hides_no_other(data: st.DataObject) -> None:
    files = {
        name: data.draw(contents(THERE[name]) if name != "state.json" else _states())
        for name in data.draw(st.sets(st.sampled_from(sorted(THERE)), min_size=1, max_size=2))
    }
    verified = names_me({"state.json": files.get("state.json", json.dumps(THERE["state.json"]).encode())})
    check_look(files, verified)


def _states() -> st.SearchStrategy[bytes]:
    return st.one_of(
        contents(THERE["state.json"]), changed(ME._asdict()).map(lambda one: b'{"identity": ' + one + b"}")
    )


@pytest.mark.parametrize("case", cases("look"))
def test_kept_looks(case: dict[str, Any]) -> None:
    check_look(filled(case), verified="state.json" not in case["files"])


def test_a_file_of_another_name_in_the_spool_hides_no_relay(tmp_path: Path) -> None:
    spool = tmp_path / ".local/state/reclog/relay/1/spool"
    spool.mkdir(parents=True)
    (spool.parent / "config.json").write_text("{}")
    (spool / f"{5:020d}.seg").write_bytes(b"x" * 10)
    for name in ("abc.seg", "-1.seg", "9.seg"):
        (spool / name).write_bytes(b"x")
    assert seen(tmp_path)["1"].left == 10


# -- settings -----------------------------------------------------------------------------------

YAML = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from([10**400, float("inf"), float("nan"), 1e300, 3e6, 1e-300, -1, 0.5]),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(
            ["9" * 5000, "1" + "0" * 400, "9" * 5000 + "GiB", "1\u212a", "1e999", "a\0b", "~x/y", "\ud800"]
        ),
        st.sampled_from(
            ["10.0.0.0/8", "::1%lo", "[::]", "1GiB", "\u0661", "auto", "socat", "builtin", "5 MiB"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@examples(200)
@given(config=st.dictionaries(st.sampled_from(sorted(settings.DEFAULTS)), YAML, max_size=4))
def test_a_value_that_is_none_is_named(config: dict[str, Any]) -> None:
    check_settings(config)


def check_settings(config: dict[str, Any]) -> bool:
    """Resolve all settings from a config; True if it is refused for one of them."""
    refused = False
    for resolve in (resolve_local, lambda flags, config: resolve_tremplin(flags, config, "there")):
        try:
            found = resolve({}, config)
        except UsageError as error:
            refused = len(str(error)) < 1000  # a sentence stays one
            assert refused
            continue
        assert json.loads(json.dumps(vars(found)))
        assert type(found.file) is str
        os.fsencode(found.file)
        assert all(type(network) is str for network in found.allow)
        loop = Loop()
        try:
            loop.timer(lambda: None).at(found.partial_after)
            assert found.partial_after > 0
            socket.socket().settimeout(found.partial_after)
        finally:
            loop.close()
    return refused


@pytest.mark.parametrize("case", cases("settings"))
def test_kept_settings(case: dict[str, Any]) -> None:
    config = {
        name: raw(words).decode("utf-8") if isinstance(words, dict) else words
        for name, words in case["config"].items()
    }
    assert check_settings(config)


@pytest.mark.parametrize("part", [5, "hello", [1, 2], [["port", 5]], True, 1.5], ids=repr)
def test_a_config_whose_part_is_no_mapping_is_said(part: Any) -> None:
    with pytest.raises(UsageError, match="reclog"):
        configured(Context(Config(overrides={"reclog": part})))
