"""What a call asks for: flag, config, built-in value; and every word that is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from reclog.errors import UsageError
from reclog.recordings.checks import count, file_path, port_number, seconds
from reclog.recordings.defaults import DEFAULTS
from reclog.recordings.rotation import check_rotation
from reclog.recordings.senders import networks
from reclog.recordings.settings import merged, resolve_local, resolve_tremplin


def test_a_flag_beats_the_config_which_beats_the_built_in_value() -> None:
    assert merged({}, {})["port"] == DEFAULTS["port"]
    assert merged({}, {"port": 1234})["port"] == 1234
    assert merged({"port": "99"}, {"port": 1234})["port"] == "99"


@pytest.mark.parametrize("silent", [None, False, []])
def test_a_flag_that_was_not_given_leaves_the_config_its_say(silent: Any) -> None:
    assert merged({"stamp": silent}, {"stamp": True})["stamp"] is True


def test_an_empty_word_was_given_and_is_not_the_default() -> None:
    with pytest.raises(UsageError):
        resolve_local({"port": ""}, {})


def test_the_defaults_are_a_recording() -> None:
    settings = resolve_local({}, {})
    assert (settings.port, settings.bind, settings.listener) == (55514, "0.0.0.0", "auto")
    assert settings.file == os.path.abspath("file.log")
    assert settings.partial_after == 2.0
    assert (settings.stamp, settings.raw, settings.foreground) == (False, False, False)


def test_the_config_is_checked_as_a_flag_is() -> None:
    with pytest.raises(UsageError, match="--port 'abc'"):
        resolve_local({}, {"port": "abc"})


@pytest.mark.parametrize("word", ["1", "65535", 55514, " 80 "])
def test_ports(word: Any) -> None:
    assert port_number(word) == int(word)


@pytest.mark.parametrize("word", ["0", "-1", "65536", "abc", "", "1.5", "0x50", None, True])
def test_no_ports(word: Any) -> None:
    with pytest.raises(UsageError, match="give a number from 1 to 65535"):
        port_number(word)


def test_a_file_is_absolute_and_knows_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert file_path("~/a.log") == str(tmp_path / "a.log")
    assert file_path("./b/../c.log") == str(tmp_path / "c.log")


@pytest.mark.parametrize("word", ["", "a\0b"])
def test_no_files(word: str) -> None:
    with pytest.raises(UsageError):
        file_path(word)


@pytest.mark.parametrize(("word", "address"), [("::", "::"), ("[::1]", "::1"), ("127.0.0.1", "127.0.0.1")])
def test_addresses(word: str, address: str) -> None:
    assert resolve_local({"bind": word}, {}).bind == address


@pytest.mark.parametrize("word", ["", "localhost", "1.2.3", "1.2.3.4:5", "::g"])
def test_no_addresses(word: str) -> None:
    with pytest.raises(UsageError, match="is no numeric address"):
        resolve_local({"bind": word}, {})


@pytest.mark.parametrize(("word", "wish"), [(True, True), ("yes", True), (None, False), ("false", False)])
def test_a_token_is_wanted_or_not(word: Any, wish: Any) -> None:
    assert resolve_local({}, {"token": word}).token == wish
    assert resolve_local({}, {"token": "correct-horse"}).token == "correct-horse"


@pytest.mark.parametrize(
    "word", ["correct horse", "short", "x" * 129, "\xe9" * 20, "a\tb" * 9, 10**20, ["x" * 20]]
)
def test_no_tokens(word: Any) -> None:
    with pytest.raises(UsageError, match="12 to 128 letters, digits and signs, no spaces") as refused:
        resolve_local({}, {"token": word})
    assert str(word) not in str(refused.value)  # others may look on


def test_networks_come_alone_or_many() -> None:
    assert networks("10.0.0.0/8") == ["10.0.0.0/8"]
    assert networks(("10.0.0.1", "fd00::/8")) == ["10.0.0.1", "fd00::/8"]
    assert networks([]) == []


@pytest.mark.parametrize("word", ["", "10.0.0.0/33", "lan", "10.0.0"])
def test_no_networks(word: str) -> None:
    with pytest.raises(UsageError, match="is no network"):
        networks([word])


@pytest.mark.parametrize("word", ["0", "-1", "nan", "inf", "abc", "", None])
def test_no_times(word: Any) -> None:
    with pytest.raises(UsageError, match="--partial-after"):
        seconds("--partial-after", word)


def test_times() -> None:
    assert seconds("--timeout", "0.25") == 0.25
    assert seconds("--timeout", 3) == 3.0


@pytest.mark.parametrize(
    ("words", "rotate", "keep"),
    [
        ({"rotate": ["100MiB", "1d"], "keep": ["10"]}, ["100MiB", "1d"], ["10"]),
        ({"rotate": "1d, 2MiB,1d", "keep": 30}, ["1d", "2MiB"], ["30"]),
        ({}, [], []),
    ],
)
def test_what_is_cut_and_kept(words: dict[str, Any], rotate: list[str], keep: list[str]) -> None:
    settings = resolve_local({}, words)
    assert (settings.rotate, settings.keep, settings.compress) == (rotate, keep, False)
    assert resolve_local({"no_rotate": True}, words).rotate == []


@pytest.mark.parametrize("words", [{"keep": ["5"]}, {"compress": True}])
def test_only_what_is_cut_has_pieces(words: dict[str, Any]) -> None:
    settings = resolve_local(words, {})
    with pytest.raises(UsageError, match="add that, as --rotate 100MiB"):
        check_rotation(settings)
    check_rotation(dataclasses.replace(settings, rotate=["1d"]))
    check_rotation(dataclasses.replace(settings, said=[]))  # of a recording that ran so


@pytest.mark.parametrize(
    ("rotate", "keep", "size", "said"),
    [
        (["100MiB", "1d"], "200MiB", 100 << 20, ""),
        (["100MiB"], "199MiB", 0, "by --rotate 99MiB or less"),
        (["1d"], "5GiB", 0, "by --rotate 2560MiB or less"),
        (["1MiB"], "1MiB", 0, "by a larger --keep"),
        (["1MiB"], "2MiB", (2 << 20) + 1, "would be removed at the first cut"),
        (["1d"], "5", 100 << 20, ""),
    ],
)
def test_a_recording_holds_no_more_than_it_was_given(
    tmp_path: Path, rotate: list[str], keep: str, size: int, said: str
) -> None:
    file = tmp_path / "file.log"
    file.touch()
    os.truncate(file, size)
    settings = resolve_local({"rotate": rotate, "keep": [keep], "file": str(file)}, {})
    with pytest.raises(UsageError, match=said) if said else contextlib.nullcontext():
        check_rotation(settings)


@pytest.mark.parametrize("word", ["-1", "x", "", "1.5", None])
def test_no_counts(word: Any) -> None:
    with pytest.raises(UsageError, match="--lines"):
        count("--lines", word)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"raw": True, "listener": "builtin"}, "leave --listener builtin out"),
        ({"raw": True, "stamp": True}, "leave --stamp out"),
        ({"listener": "socat", "stamp": True}, "use --listener builtin"),
        ({"listener": "socat", "allow": ["10.0.0.1", "10.0.0.2"]}, "use --listener builtin"),
        ({"listener": "socat", "allow": ["fd00::/8"]}, "IPv4 only"),
        ({"listener": "socat", "allow": ["10.0.0.1"], "bind": "::"}, "IPv4 only"),
        ({"raw": True, "allow": ["10.0.0.1", "10.0.0.2"]}, "leave --raw out"),
        ({"listener": "netcat"}, "give one of auto, socat, builtin"),
        ({"framing": "netstring"}, "give one of auto, lines"),
        ({"raw": True, "framing": "auto"}, "leave --framing out"),
        ({"raw": True, "rotate": ["1d"]}, "leave --raw out"),
        ({"raw": True, "keep": ["5"]}, "leave --raw out"),
        ({"rotate": ["1023KiB"]}, "1 MiB at least"),
        ({"rotate": ["2d"]}, "give it as 100MiB"),
        ({"keep": ["0"]}, "nothing would be kept"),
        ({"keep": ["5 days"]}, "or days as 30d"),
    ],
)
def test_words_that_do_not_go_together(flags: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        resolve_local(flags, {})


@pytest.mark.parametrize("flags", [{"stamp": True}, {"allow": ["10.0.0.1", "10.0.0.2"]}])
def test_auto_goes_with_everything(flags: dict[str, Any]) -> None:
    assert resolve_local(flags, {}).listener == "auto"


def test_what_undoes_a_word() -> None:
    assert merged({"no_stamp": True}, {"stamp": True})["stamp"] is False
    assert resolve_local({"allow": ["10.0.0.0/8", "any"]}, {}).allow == []
    with pytest.raises(UsageError, match="--stamp and --no-stamp are both there"):
        resolve_local({"stamp": True, "no_stamp": True}, {})


@pytest.mark.parametrize(
    ("word", "means"), [("1", True), ("No", False), (True, True), ("", False), (0, False)]
)
def test_yes_and_no_in_the_environment(word: Any, means: bool) -> None:
    assert resolve_local({}, {"stamp": word}).stamp is means


def test_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(UsageError, match="--stamp 'perhaps' is neither yes nor no"):
        resolve_local({}, {"stamp": "perhaps"})


@pytest.mark.parametrize(
    ("flags", "config", "port"),
    [
        ({}, {}, 55514),
        ({"from_": ["exec:true"]}, {}, 0),
        ({"from_": ["exec:true"], "port": "5"}, {}, 5),
        ({"from_": ["exec:true"]}, {"port": 5}, 0),
        ({}, {"from": "exec:true", "port": 5}, 0),
    ],
)
def test_beside_a_device_only_a_port_of_the_command_line_counts(
    flags: dict[str, Any], config: dict[str, Any], port: int
) -> None:
    settings = resolve_local(flags, config)
    assert settings.port == port
    assert settings.dial_in == (os.getcwd() if settings.dial else "/")


def test_names_are_of_addresses_as_they_are_told() -> None:
    said = ["2001:DB8:0::1=a", "[::1%lo]=b", "kitchen=c", "10.0.0.1=d"]
    with pytest.raises(UsageError, match="names nobody: give tcp://HOST:PORT"):
        resolve_local({"name": said}, {})
    said[2] = "exec:env A=1 x=c"
    settings = resolve_local({"name": said}, {"name": ["10.0.0.2=e"]})
    assert settings.names == ["2001:db8::1=a", "::1=b", "exec:env A=1 x=c", "10.0.0.1=d"]
    assert resolve_local({"no_name": True}, {"name": ["10.0.0.2=e"]}).names == []
    assert resolve_local({"name": ["any"]}, {"name": ["10.0.0.2=e"]}).names == []


@pytest.mark.parametrize("name", ["", "a b", "a\n", "\x1b[2J", "x" * 65, "a\u200bb"])
def test_no_names(name: str) -> None:
    with pytest.raises(UsageError, match="a name is printable"):
        resolve_local({"name": [f"10.0.0.1={name}"]}, {})


@pytest.mark.parametrize(
    ("words", "config", "here", "there"),
    [
        ({}, {}, True, False),
        ({"no_udp": True}, {}, False, False),
        ({"udp": True}, {}, True, True),
        ({}, {"udp": False}, False, False),
        ({}, {"udp": "yes"}, True, True),
        ({"udp": True}, {"udp": False}, True, True),
        ({"no_udp": True}, {"udp": True}, False, False),
        ({"token": True}, {}, True, False),  # not while it is asked for
        ({"token": True, "no_udp": True}, {}, False, False),
    ],
)
def test_datagrams_are_recorded_here_and_there_if_asked_for(
    words: dict[str, Any], config: dict[str, Any], here: bool, there: bool
) -> None:
    assert resolve_local(words, config).udp is here
    assert resolve_tremplin(words, config, "host").udp is there


@pytest.mark.parametrize("name", ["raw", "tls", "token"])
def test_datagrams_do_not_go_together_with_datagrams_with(name: str) -> None:
    assert resolve_local({name: True}, {}).udp is (name == "token")
    assert resolve_local({name: True, "no_udp": True}, {}).udp is False
    for words, config in (({name: True, "udp": True}, {}), ({name: True}, {"udp": True})):
        with pytest.raises(UsageError, match=f"--udp and --{name} don't go together"):
            resolve_local(words, config)
