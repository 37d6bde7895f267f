"""What a call of `inv subscribe` asks for, and what a name in it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reclog.errors import UsageError
from reclog.recordings.registry import Registry
from reclog.stream.subscribe import Subscription, asked
from reclog.stream.subscriber import SubscriberConfig

SERVERS = ["nats://127.0.0.1:4222"]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "state")


def of(registry: Registry, config: dict[str, Any] | None = None, **flags: Any) -> Subscription:
    return asked({"servers": SERVERS, "file": "/a.log", **flags}, config or {}, registry)


def test_of_the_config_only_what_any_recording_has_counts(registry: Registry) -> None:
    config = {"rotate": "2MiB", "keep": 3, "file": "other.log", "from": ["tcp://other:1"], "port": 9}
    wanted = of(registry, config, no_keep=True)
    assert (wanted.file, wanted.rotate, wanted.keep) == ("/a.log", ["2MiB"], [])
    assert wanted.asked == {"rotate": ["2MiB"], "keep": [], "servers": SERVERS, "file": "/a.log"}


def test_the_daemon_is_told_it(registry: Registry) -> None:
    told = SubscriberConfig.from_json(of(registry, rotate=["2MiB"], keep=["3"], compress=True).told)
    assert (told.rotating.bytes, told.rotating.keeping.pieces, told.rotating.keeping.compress) == (
        2 << 20,
        3,
        True,
    )
    with pytest.raises(ValueError, match="file does not"):
        told.changed({"file": "/b.log", "rotate": []})
    for wrong in ({"rotate": ["x"]}, {"keep": "3"}, {"foreground_of": -1}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
            SubscriberConfig.from_json({**told.to_json(), **wrong})


def test_a_name_stands_for_what_was_asked_for(registry: Registry, tmp_path: Path) -> None:
    creds, seed = tmp_path / "creds", tmp_path / "seed"
    creds.touch(0o600)
    seed.touch(0o600)
    files = "/logs/{recording}.log"
    first = of(registry, as_="lab", subject="reclog.a.*", creds=str(creds), file=files)
    folder = registry.new("subscriber-x", first.told).folder
    again = asked({"as_": "lab"}, {}, registry)
    assert (folder.name, again.file, again.subject, again.account) == (
        "lab",
        files,
        "reclog.a.*",
        first.account,
    )
    assert asked({"as_": "lab", "subject": "reclog.b.*"}, {}, registry).subject == "reclog.b.*"
    other = asked({"as_": "lab", "nkey": str(seed)}, {}, registry).account
    assert (other.creds, other.nkey) == ("", str(seed))
    # One that was in the environment is kept for as long as it runs.
    login = str(registry.folder / "kept" / "login")
    registry.new("x", {**first.told, "creds": "", "login": login, "called": "kept", "files": "/b/{machine}"})
    assert asked({"as_": "kept"}, {}, registry).account.login == ""
    with pytest.raises(UsageError, match="--from is missing"):
        asked({"as_": "other"}, {}, registry)


def test_who_stays_shows_one_file(registry: Registry) -> None:
    assert of(registry, foreground=True).told["foreground_of"]
    with pytest.raises(UsageError, match="--foreground shows one file"):
        of(registry, foreground=True, file="{machine}.log")
