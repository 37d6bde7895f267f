from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reclog.errors import UsageError
from reclog.stream.account import LOGIN, Account, account, with_login


def secret(folder: Path, mode: int = 0o600, text: str = "me:it is:secret\n") -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("words", "servers"),
    [
        (["nats://a"], ["nats://a:4222"]),
        (["a:1,b", "c"], ["nats://a:1", "nats://b:4222", "nats://c:4222"]),
        (["tls://[::1]:7/"], ["tls://[::1]:7"]),
        (["tls://a,b", "c"], ["tls://a:4222", "tls://b:4222", "tls://c:4222"]),
    ],
)
def test_servers_as_they_are_typed(words: list[str], servers: list[str]) -> None:
    assert account("--to", words, {}).servers == servers


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("", "--to is missing"),
        ("http://a", "http:// is unknown"),
        ("nats://me:secret@a", "--login, or set RECLOG_NATS_LOGIN"),
        ("nats://a:99999", "is no server"),
        ("nats://", "is no server"),
        ("nats://a/b", "is no server"),
        ("nats://a,tls://b", "both nats:// and tls://"),
    ],
)
def test_what_is_no_server_is_said_and_no_secret_with_it(word: str, sentence: str) -> None:
    with pytest.raises(UsageError, match="--to") as told:
        account("--to", [word], {})
    assert sentence in str(told.value)
    assert "secret" not in str(told.value)


def test_files_that_do_not_do(tmp_path: Path) -> None:
    open_to_all = secret(tmp_path, 0o644)
    for files, sentence in [
        ({"creds": open_to_all}, "chmod 600"),
        ({"nkey": tmp_path}, "can't be read"),
        ({"login": tmp_path / "none"}, "can't be read"),
        ({"creds": open_to_all, "login": open_to_all}, "give one of them"),
        ({"cert": open_to_all}, "belong together"),
    ]:
        with pytest.raises(UsageError, match=sentence):
            account("--to", ["a"], files)
    assert account("--to", ["a"], {"ca": open_to_all}).ca == str(open_to_all)


def test_a_login_is_read_from_its_file(tmp_path: Path) -> None:
    assert account("--to", ["a"], {"login": secret(tmp_path)}).said() == ("me", "it is:secret")
    assert Account(["nats://a"], login=str(secret(tmp_path, text="token"))).said() == ("token", "")


def test_a_login_of_the_environment_is_kept_for_restarts(tmp_path: Path) -> None:
    one = with_login(account("--to", ["a"], {}), tmp_path, {LOGIN: "me:secret"})
    assert one.said() == ("me", "secret")
    assert Path(one.login).stat().st_mode & 0o777 == 0o600
    assert "secret" not in str(dataclasses.asdict(one).values())
    assert with_login(account("--to", ["a"], {}), tmp_path, {}).login == ""


@pytest.mark.parametrize(
    ("server", "is_said"),
    [("nats://127.0.0.9", False), ("nats://localhost", False), ("nats://a", True), ("tls://a", False)],
)
def test_what_others_can_read_is_said(server: str, is_said: bool) -> None:
    assert bool(account("--to", [server], {}).notes()) == is_said


def test_it_comes_back_from_a_config_as_it_went(tmp_path: Path) -> None:
    one = account("--to", ["tls://a"], {"login": secret(tmp_path)})
    assert Account.from_json(one.to_json()) == one


@pytest.mark.parametrize(
    ("name", "value"), [("servers", "nats://a"), ("login", 5), ("key", "a\0b"), ("servers", None)]
)
def test_a_config_that_makes_no_sense_names_its_field(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        Account.from_json({"servers": ["nats://a:1"], name: value})
