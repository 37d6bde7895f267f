from __future__ import annotations

from typing import Any

import pytest

from reclog.engine.daemons.config import CollectorConfig, Listening, RecorderConfig, RelayConfig
from reclog.engine.daemons.fields import Config

LISTENING = {
    "port": 55514,
    "bind": "0.0.0.0",
    "listener": "auto",
    "allow": ["192.0.2.0/24"],
    "stamp": False,
    "partial_after": 2,
}
RECORDER = {**LISTENING, "file": "/a.log"}
RELAY = {**LISTENING, "port_remote_out": 55614, "spool_max": 1 << 30, "secret": "5e" * 16}
COLLECTOR = {
    "file": "/a.log",
    "collector": "ann@laptop",
    "port_local": 55514,
    "secret": "5e" * 16,
    "ssh_command": ["ssh", "-N"],
    "start_command": ["ssh", "there"],
}
EACH: list[tuple[type[Config], dict[str, Any]]] = [
    (RecorderConfig, RECORDER),
    (RelayConfig, RELAY),
    (CollectorConfig, COLLECTOR),
]


@pytest.mark.parametrize(("kind", "told"), EACH)
def test_what_is_written_is_read(kind: type[Config], told: dict[str, Any]) -> None:
    config = kind.from_json({**told, "kind": "of no daemon", "from_next_year": [1]})
    assert told.items() <= config.to_json().items()
    assert kind.from_json(config.to_json()) == config


def test_what_an_older_writer_did_not_know_has_its_default() -> None:
    listening = Listening(
        55514, "0.0.0.0", "auto", ["192.0.2.0/24"], False, 2, max_senders=0, max_per_address=0
    )
    assert RecorderConfig.from_json(RECORDER) == RecorderConfig(listening, "/a.log", False, 0)
    assert not RecorderConfig.from_json(RECORDER).listening.udp  # it recorded none


@pytest.mark.parametrize(("kind", "told"), EACH)
def test_what_is_missing_is_named(kind: type[Config], told: dict[str, Any]) -> None:
    for name in told:
        for without in ({**told, name: None}, {key: told[key] for key in told if key != name}):
            with pytest.raises(ValueError, match=f"^it has no {name}$"):
                kind.from_json(without)


ODD: list[Any] = [
    -1,
    1 << 70,
    0.5,
    float("inf"),
    float("nan"),
    "",
    "x",
    "a\0b",
    "\ud800",
    [],
    [1],
    [[]],
    {},
    True,
]
#: Of these, what a field may be.
FITS: dict[str, list[Any]] = {
    "allow": [[]],
    "dial": [[]],
    "dial_in": ["x"],
    "names": [[]],
    "rotate": [[]],
    "keep": [[]],
    "compress": [True],
    "stamp": [True],
    "raw": [True],
    "udp": [True],
    "take_over": [True],
    "relay_listens": [True],
    "stop_at_once": [True],
    "partial_after": [0.5],
    "token": [""],
    "file": ["x"],
    "tls": [True],
    "tls_cert": ["x", ""],
    "tls_key": ["x", ""],
    "tls_clients": ["x", ""],
    "fingerprint": [""],
    "collector": ["x", "a\0b", "\ud800"],
}


@pytest.mark.parametrize(("kind", "told"), EACH)
def test_what_is_wrong_is_named(kind: type[Config], told: dict[str, Any]) -> None:
    for name in kind.from_json(told).to_json():
        for odd in ODD:
            if repr(odd) in map(repr, FITS.get(name, [])):
                assert kind.from_json({**told, name: odd})
            else:
                with pytest.raises(ValueError, match=f"^{name} is .*, not [a-z0-9 ,']+$"):
                    kind.from_json({**told, name: odd})


@pytest.mark.parametrize(("kind", "told"), EACH)
def test_only_what_can_change_does(kind: type[Config], told: dict[str, Any]) -> None:
    config = kind.from_json(told)
    for name in kind.CHANGEABLE & set(config.to_json()):
        new = FITS[name][0] if name in FITS else 1
        assert config.changed({name: new}).to_json() == {**config.to_json(), name: new}
    for name in {*config.to_json(), "unknown"} - kind.CHANGEABLE:
        with pytest.raises(ValueError, match=f"^{name} does not change while it runs$"):
            config.changed({name: told.get(name)})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("port", 65536),
        ("listener", "tcp"),
        ("framing", "netstring"),
        ("bind", "localhost"),
        ("allow", ["10.0.0.0/33"]),
        ("secret", "zz"),
        ("token", f"4:{'0' * 64}"),
    ],
)
def test_what_is_nearly_right_is_named(name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=name):
        RelayConfig.from_json({**RELAY, name: wrong})
