"""The daemons' own files: whatever they hold, a daemon finds a sane way on, or says in a sentence why not."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from feed_ends import OFFSET_MAX, TEXT, Here, shaken
from fuzz import CONFIG, ME, TREMPLIN, ShakyDisk, cases, changed, contents, filled, laid, names_me, raw
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

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
from reclog.engine.stores.segments import Jump
from reclog.engine.stores.spool import Spool, SpoolUnusable
from reclog.tremplin.survey import Survey

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
            code = engine.run(engine.ROLES[role], daemon)
        daemon.loop.close()
        if began:
            os.close(writing)
            os.close(reading)
            return
        with open(reading, "rb") as answer:
            said = json.loads(answer.read())
        assert code in (1, 2)
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
SEGMENTS = {f"{FIRST:020d}.seg": LINES[: MIDDLE - FIRST], f"{MIDDLE:020d}.seg": LINES[MIDDLE - FIRST :]}


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
    spool.batch.add(1, b"and more\n")
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
THINGS = st.one_of(st.binary(max_size=30), st.sampled_from([{"folder": True}, {"link": "nowhere"}]))


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
        opened.batch.add(1, b"more\n")
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
        say = ours.daemon.log.say
        landing = Landing(ours.daemon.loop, str(file), str(ours.recording.folder), say, ShakyDisk())
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
