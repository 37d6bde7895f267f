"""What is said to OpenSSH, and what is made of its answers."""

from __future__ import annotations

import os
import pwd

import pytest

from reclog.errors import UsageError
from reclog.recordings.target import Target, parse_target
from reclog.tremplin.login import why_no_login
from reclog.tremplin.ssh import Host, tunnel_command


@pytest.mark.parametrize(
    ("typed", "host", "user", "port"),
    [
        ("trem", "trem", None, None),
        ("me@trem", "trem", "me", None),
        ("me@trem:2222", "trem", "me", 2222),
        ("trem:2222", "trem", None, 2222),
        ("me@domain@trem", "trem", "me@domain", None),
        ("[::1]:2222", "::1", None, 2222),
        ("me@[fe80::1%eth0]", "fe80::1%eth0", "me", None),
        ("::1", "::1", None, None),
        ("fe80::1:22", "fe80::1:22", None, None),
    ],
)
def test_parse_target(typed: str, host: str, user: str | None, port: int | None) -> None:
    target = parse_target(typed, "/config", ["/key"])
    assert (target.host, target.user, target.port) == (host, user, port)
    assert (target.config, target.identities) == ("/config", ("/key",))


@pytest.mark.parametrize(
    "typed",
    [
        *("", "me@", "-oProxyCommand=touch /tmp/x", "me@-oProxyCommand=x", "-lme@trem", "trem;reboot", "a b"),
        *("trem\n", "$(reboot)", "me you@trem", "me\nhostname evil@trem", "trem:0", "trem:65536"),
    ],
)
def test_what_is_no_host_is_refused(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(typed)
    assert caught.value.code == 2


def test_the_words_for_ssh() -> None:
    target = Target("trem", "me", 2222, "/my config", ("/key 1", "/key2"))
    assert target.words() == [
        "-F", "/my config", "-l", "me", "-p", "2222", "-i", "/key 1", "-i", "/key2",
    ]  # fmt: skip
    assert Target("trem").words() == []


def test_only_what_reaches_the_host_is_kept() -> None:
    options = {
        "hostname": ["203.0.113.7"],
        "user": ["me"],
        "port": ["2222"],
        "identityfile": ["/keys/a b", "~/.ssh/id"],
        "userknownhostsfile": ["/k1 /k2"],
        "hostkeyalias": ["known"],
        "localforward": ["8080 [localhost]:80"],
        "remoteforward": ["8081 [localhost]:80"],
        "dynamicforward": ["1080"],
        "gatewayports": ["yes"],
        "controlmaster": ["auto"],
        "controlpath": ["/tmp/mux"],
        "controlpersist": ["yes"],
        "forkafterauthentication": ["yes"],
        "remotecommand": ["tmux"],
        "requesttty": ["force"],
        "permitlocalcommand": ["yes"],
        "localcommand": ["xterm"],
        "sessiontype": ["none"],
        "batchmode": ["no"],
        "connecttimeout": ["none"],
        "loglevel": ["QUIET"],
        "tunnel": ["yes"],
        "forwardagent": ["yes"],
        "forwardx11": ["yes"],
        "exitonforwardfailure": ["no"],
        "clearallforwardings": ["no"],
    }
    assert Host(Target("trem"), options).config_text() == (
        "Host *\n"
        "  hostkeyalias known\n"
        "  hostname 203.0.113.7\n"
        '  identityfile "/keys/a b"\n'
        "  identityfile ~/.ssh/id\n"
        "  port 2222\n"
        "  user me\n"
        "  userknownhostsfile /k1 /k2\n"
    )


@pytest.mark.parametrize(
    ("target", "jump", "command"),
    [
        (Target("trem"), "hop", "ssh -o BatchMode=yes -o ControlPath=none -W '[%h]:%p' -- hop"),
        (
            Target("trem", config="/my 100%"),
            "me@hop:2200",
            "ssh -o BatchMode=yes -o ControlPath=none -F '/my 100%%' -l me -p 2200 -W '[%h]:%p' -- hop",
        ),
        (
            Target("trem"),
            "first,me@second,ssh://[::1]:2200",
            "ssh -o BatchMode=yes -o ControlPath=none -J first,me@second -p 2200 -W '[%h]:%p' -- ::1",
        ),
    ],
)
def test_jumps(target: Target, jump: str, command: str) -> None:
    text = Host(target, {"hostname": ["x"], "proxyjump": [jump]}).config_text()
    assert text == f"Host *\n  hostname x\n  proxycommand {command}\n"


def test_no_jump() -> None:
    assert "proxy" not in Host(Target("trem"), {"proxyjump": ["none"]}).config_text()
    text = Host(Target("trem"), {"proxycommand": ["nc %h %p"]}).config_text()
    assert text == "Host *\n  proxycommand nc %h %p\n"


def test_the_tunnel() -> None:
    assert tunnel_command("/state/ssh_config", "trem", 7001, "/relay/7/feed") == [
        "ssh",
        "-F", "/state/ssh_config",
        "-o", "BatchMode=yes",
        "-o", "ConnectTimeout=3",
        "-o", "ServerAliveInterval=5",
        "-o", "ServerAliveCountMax=3",
        "-T",
        "-N",
        "-o", "ExitOnForwardFailure=yes",
        "-o", "ForkAfterAuthentication=no",
        "-o", "ControlMaster=no",
        "-o", "ControlPath=none",
        "-L", "127.0.0.1:7001:/relay/7/feed",
        "--",
        "trem",
    ]  # fmt: skip


def test_the_account_is_the_same_by_any_name() -> None:
    host = Host(Target("trem"), {"hostname": ["203.0.113.7"], "user": ["me"], "port": ["2222"]})
    assert host.login == "me@203.0.113.7:2222"


def test_tokens_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"hostname": ["203.0.113.7"], "user": ["me"], "port": ["2222"], "hostkeyalias": ["known"]}
    host = Host(Target("trem"), options)
    monkeypatch.setenv("HOME", "/elsewhere")
    monkeypatch.setenv("KEYS", "/keys")
    account = pwd.getpwuid(os.getuid())
    assert host.path("~/.ssh/id_%r@%h-%p%%") == f"{account.pw_dir}/.ssh/id_me@203.0.113.7-2222%"
    assert host.path("%d/%n.%k.%u.%i") == f"{account.pw_dir}/trem.known.{account.pw_name}.{os.getuid()}"
    assert host.path("${KEYS}/${NOT_SET_AT_ALL}") == "/keys/${NOT_SET_AT_ALL}"


CHANGED = """@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
Offending ED25519 key in /k:1
  remove with:
  ssh-keygen -f "/k" -R "[127.0.0.1]:22"
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (CHANGED, 'its host key has changed: find out why; if that is right, `ssh-keygen -f "/k" -R "[127'),
        ("Host key verification failed.\n", "its host key is unknown: connect once by hand, `ssh -F x trem`"),
        ("me@trem: Permission denied (publickey).\n", "it refuses the login: load a key"),
        (
            "Too many authentication failures\n",
            "it refuses the login: give the one key that it knows with -i",
        ),
        ("ssh: Could not resolve hostname trem: Name or service not known\n", "its name does not resolve"),
        ("connect to host trem port 22: Connection refused\n", "no sshd answers there"),
        ("connect to host trem port 22: Connection timed out\n", "it does not answer: check"),
        ("Connection timed out during banner exchange\n", "it does not answer: check"),
        ("connect to host trem port 22: No route to host\n", "there is no way to it: check address"),
        (
            "connect to host trem port 22: Network is unreachable\n",
            "there is no way to it: check the network",
        ),
        ("first\nkex_exchange_identification: read: reset.\n", "ssh can't log in (kex_exchange_id"),
        ("", "ssh can't log in (it says nothing)."),
    ],
)
def test_why_no_login(said: str, sentence: str) -> None:
    why = why_no_login("trem", said, "ssh -F x trem")
    assert why.startswith(f"trem: {sentence}")
    assert why.endswith(".")
    assert "\n" not in why
