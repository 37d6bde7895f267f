"""What a shell offers: the tasks as they are, names that are safe, hosts that ssh knows; and quickly."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import platformdirs
import pytest
from invoke.collection import Collection

from reclog import program
from reclog.completion import known
from reclog.completion.answer import answer, main
from reclog.completion.scripts import ASK, SHELLS, script
from reclog.completion.tables import tasks_in
from reclog.tasks import edge

ROOT = Path(program.__file__).resolve().parents[1]
#: Words that a shell would act on, were they part of a command.
HOSTILE = ("$(touch pwned)", "`touch pwned`", "a;b", "-rf", "a b", "\x1b[2J", ".hidden", "é")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in (*HOSTILE, "kitchen", "local-55514"):
        recording(tmp_path, name, port=55514 if name == "local-55514" else 6000)
    recording(tmp_path, "den", file="past.json")
    recording(tmp_path, "trem", host="remote", port=[])
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def recording(home: Path, name: str, file: str = "state.json", **facts: object) -> None:
    folder = home / "state/reclog/recordings" / name
    folder.mkdir(parents=True)
    (folder / file).write_text(json.dumps(facts))


@pytest.mark.parametrize("source", ["tasks.py", "fabfile.py", "reclog/program.py"])
def test_the_tasks_are_those_that_invoke_has(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tasks_in(ROOT / source, ROOT / "reclog/tasks")
    names: dict[str, object] = {"__file__": str(ROOT / source)}
    if source == "reclog/program.py":
        loaded = [Collection(*program.HERE), Collection(*program.THERE)]
    else:
        exec((ROOT / source).read_text(), names)
        assert isinstance(names["ns"], Collection)
        loaded = [names["ns"]]
    wanted: dict[str, dict[str, bool]] = {}
    for one in (one for collection in loaded for one in edge.contexts_of(collection)):
        flags = {flag: argument.takes_value for flag, argument in one.flags.items()}
        wanted.setdefault(str(one.name), {}).update({**flags, **dict.fromkeys(one.inverse_flags, False)})
    assert there == wanted


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ki", ["kill"]),
        ("kill --di", ["--discard"]),
        ("tail --no-f", ["--no-follow"]),
        ("-H remote tremplin --port-remote-", ["--port-remote-in", "--port-remote-out"]),
        ("--l", ["--list"]),
        ("kill ", ["kitchen", "local-55514", "trem"]),
        ("tail d", ["den"]),
        ("kill --recording k", ["kitchen"]),
        ("kill --recording=k", ["--recording=kitchen"]),
        ("history --forget ", ["den", "kitchen", "local-55514", "trem"]),
        ("local --as d", ["den"]),
        ("kill --port ", ["6000", "55514"]),
        ("view --port ", []),
        ("kill --discard lo", ["local-55514"]),
        ("kill --host ", ["remote"]),
        ("local --file ", [":files"]),
        ("local --listener ", ["auto", "socat", "builtin"]),
        ("local --partial-after ", []),
        ("completion z", ["zsh"]),
        ("nope --x ", None),
    ],
)
def test_what_is_offered(home: Path, words: str, offered: list[str] | None) -> None:
    found = answer("reclog", words.split(" "), home)
    assert found == offered if offered is not None else "kill" in found


def test_hosts_are_those_that_ssh_knows(home: Path) -> None:
    ssh = home / ".ssh"
    (ssh / "config").write_text(
        'Include more/*\nInclude config\nHost=one two "three"\nHost *.wild !not\n  HostName x\nMatch host m\n'
    )
    (ssh / "more").mkdir()
    (ssh / "more/a").write_text("host four;rm\n  user x\nHOST five\nInclude ~/elsewhere\n")
    (home / "elsewhere").write_text("Host six\n")
    (ssh / "known_hosts").write_text(
        "seven,[eight]:22 ssh-rsa x\n|1|a=|b= ssh-rsa x\n@revoked nine x\n# ten\n\n"
    )
    os.mkfifo(ssh / "more/b")  # who reads it would wait
    known_ones = ["remote", "five", "six", "one", "two", "three", "seven", "eight"]
    assert answer("reclog", ["-H", ""], home) == known_ones
    assert answer("reclog", ["-H", "me@t"], home) == ["me@two", "me@three"]
    assert answer("reclog", ["-H", "one,u@t"], home) == ["one,u@two", "one,u@three"]
    (home / "mine").write_text("Host eleven\n")
    assert answer("reclog", ["-S", "~/mine", "-H", "e"], home) == ["eleven", "eight"]


def test_inv_and_fab_are_of_the_clone_that_one_is_in(home: Path) -> None:
    assert answer("inv", [""], home) == [":invoke"]
    assert "dev.bench" in answer("inv", [""], ROOT / "docs")
    assert answer("fab", [""], ROOT) == ["kill", "tremplin"]
    (home / "tasks.py").write_text("raise SystemExit(1)")
    assert answer("invoke", ["x"], home) == [":invoke"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("reclog kill --port=5", ["55514"]),
        ("reclog kill  'kit", []),
        ("/usr/bin/reclog kill kit", ["kitchen"]),
        ("reclog -H me@re", ["remote"]),
        ("reclog kill ", ["kitchen", "local-55514", "trem"]),
    ],
)
def test_bash_replaces_what_is_behind_its_breaks(home: Path, line: str, offered: list[str]) -> None:
    said: list[str] = []
    main(["bash", line.split()[0], line, "\"'@><=;|&(: \t\n"], said.append)
    assert said == offered


@pytest.mark.parametrize(
    "argv", [[], ["bash"], ["zsh", "vi", ""], ["fish", "inv"], ["bash", "reclog", "\0", ""]]
)
def test_what_goes_wrong_is_nothing_to_offer(
    home: Path, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "state/reclog/recordings/kitchen/state.json").write_text("[" * 100_000)
    main(argv)
    assert capsys.readouterr().err == ""


def test_the_state_folder_is_that_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("/x", "", " "):
        monkeypatch.setenv("XDG_STATE_HOME", given)
        assert known.state_folder() == platformdirs.user_state_path("reclog") / "recordings"


def test_it_is_quick(home: Path) -> None:
    argv = [*ASK, "zsh", "reclog", "kill", "--p"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.stdout, done.stderr) == ("--port\n", "")
    # Seconds of CPU: a crowded machine lets it wait.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.2


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_says_nothing_of_whoever_is_gone(shell: str) -> None:
    text = script(shell, ["/no/such dir/python", "-S"])
    assert "'/no/such dir/python' -S" in text
    assert "2>/dev/null" in text
