"""What a host may say at a login, and what is made of it. `ssh` is a script on PATH."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest

from reclog.errors import HostError
from reclog.recordings.target import Target
from reclog.tremplin.login import Way, login
from reclog.tremplin.scripts import start_answer, why_not_sent
from reclog.tremplin.survey import survey

ESCAPE = "\x1b]0;owned\x07"


class Host:
    """A host whose login runs a script of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.way = Way(folder / "ssh_config", Target("trem", config="/my/config"))

    def says(self, script: str) -> None:
        ssh = self.folder / "ssh"
        # It only counts as ssh where it logs in: `ssh -G` asks what the person's configuration says.
        named = f"identityfile {self.folder}/key"
        ssh.write_text(f"#!/bin/sh\ncase \"$*\" in *-G*) echo '{named}'; exit 0;; esac\n{script}\n")
        ssh.chmod(0o700)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Host(tmp_path)


def test_a_program_goes_in_and_what_it_prints_comes_out(host: Host) -> None:
    host.says("exec python3 -")
    assert login(host.way, "ignored", "print(6 * 7)\n" + "#" * 1_000_000) == "42\n"


def test_a_host_that_does_not_read_the_program_is_no_trouble(host: Host) -> None:
    host.says("echo no; exec <&-")
    assert login(host.way, "ignored", "#" * 1_000_000) == "no\n"


@pytest.mark.parametrize("where", ["", ">&2"])
def test_a_flood_is_ended(host: Host, where: str) -> None:
    host.says(f"exec yes 0123456789abcdef {where}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HostError, match="floods"):
        login(host.way)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB


@pytest.mark.parametrize(
    "script", ["while :; do echo x; sleep 0.02; done", "exec >&- 2>&-; exec sleep 60", "exec sleep 60"]
)
def test_a_host_that_does_not_come_to_an_end_is_left(
    host: Host, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr("reclog.tremplin.login.WITHIN", 0.3)
    host.says(script)
    with pytest.raises(HostError, match="does not answer within a minute"):
        login(host.way)


@pytest.mark.parametrize("status", [1, 255])
def test_what_a_host_says_is_shown_and_not_obeyed(host: Host, status: int) -> None:
    host.says(f"printf '{ESCAPE} no\\n' >&2; exit {status}")
    with pytest.raises(HostError) as error:
        login(host.way)
    assert str(error.value).isprintable()
    assert r"\x1b]0;owned\x07 no" in str(error.value)


def test_a_key_with_a_passphrase_is_named(host: Host, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)
    host.says("echo 'me@trem: Permission denied (publickey).' >&2; exit 255")
    with pytest.raises(HostError, match=rf"the key {key} has a passphrase.*`ssh-add {key}`"):
        login(host.way)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", str(key)], check=True)
    with pytest.raises(HostError, match="it refuses the login"):
        login(host.way)


GOOD = {
    "python": "[3, 11, 2]",
    "home": '"/home/me"',
    "base": '"/home/me/relay"',
    "writable": "true",
    "free": "100000000",
    "relays": "{}",
}
RELAY = '{"config": {}, "owner": %s, "program": "", "pid": %s, "left": 0, "stopping": false}'


def answer(**other: str) -> str:
    return "reclog-look {" + ", ".join(f'"{name}": {said}' for name, said in {**GOOD, **other}.items()) + "}"


@pytest.mark.parametrize(
    "said",
    [
        "reclog-look nothing",
        "reclog-look []",
        "reclog-look {}",
        *(
            answer(**{name: said})
            for name in GOOD
            for said in ("null", '"\\u001b"', "-1", "[[]]", "9" * 400, "[" * 100 + "]" * 100)
        ),
        answer(relays='{"1": null}'),
        answer(relays='{"1": %s}' % (RELAY % ("[]", "1"))),
        answer(relays='{"1": %s}' % (RELAY % ("{}", '"1"'))),
        answer(relays='{"1": %s}' % (RELAY % ("{}", "-1"))),
    ],
    ids=lambda said: said[:60],
)
def test_a_survey_of_the_wrong_types_is_a_sentence(host: Host, said: str) -> None:
    host.says(f"cat >/dev/null; cat <<'EOF'\n{said}\nEOF")
    with pytest.raises(HostError, match=r"makes no sense: try `ssh -F /my/config trem true`"):
        survey(host.way).check("trem")


def test_an_owner_can_write_no_escapes(host: Host) -> None:
    owner = '{"name": "me\\u001b[31m", "since": ["\\u001b"]}'
    said = answer(relays='{"1": %s}' % (RELAY % (owner, "1")))
    host.says(f"cat >/dev/null; cat <<'EOF'\n{said}\nEOF")
    (relay,) = survey(host.way).relays.values()
    assert (relay.owner, relay.since) == (r"me\x1b[31m", r"['\x1b']")


def test_an_old_python_is_named(host: Host) -> None:
    host.says("cat >/dev/null; echo 'reclog-look {\"python\": [3, 6]}'")
    with pytest.raises(HostError, match=r"has Python 3\.6: a relay needs 3\.8"):
        survey(host.way).check("trem")


def test_the_real_survey(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    host.says('for last; do :; done; cd /; exec sh -c "$last"')
    seen = survey(host.way)
    seen.check("trem")
    assert (seen.home, seen.base, dict(seen.relays)) == (
        str(tmp_path),
        f"{tmp_path}/.local/state/reclog/relay",
        {},
    )


@pytest.mark.parametrize(
    "said",
    [
        "",
        ESCAPE,
        f'{{"message": "{"x" * 5000}"}}',
        '{"ready": 1, "message": ["\\u001b"]}',
        "[]",
        '{"ready": "yes"}',
    ],
)
def test_a_start_that_answers_nonsense_is_a_sentence(said: str) -> None:
    answered = start_answer(said)
    assert not answered.ready
    assert answered.message.isprintable()
    assert len(answered.message) <= 500


def test_words_of_a_login_shell_are_not_shown_as_they_are() -> None:
    assert why_not_sent(ESCAPE) == r"\x1b]0;owned\x07"
