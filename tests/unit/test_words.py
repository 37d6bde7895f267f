"""The words of a call: those that Fabric would answer with a traceback, and those that no task knows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import fabric.main
import invoke.main
import pytest
from invoke.collection import Collection
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.tasks import task

from reclog import program, words
from reclog.errors import UsageError
from reclog.tasks import edge, kill, local, names, status, tail
from reclog.tasks.fabric_words import check_words

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "words",
    [
        ["-H", "trem:abc"],
        ["-Htrem:"],
        ["--hosts=a,b:x"],
        ["-H", "u@[::1]:22x"],
        ["-H", "-oProxyCommand=x"],
        ["-H", "trem:99999"],
        ["-S", "/no/such/file", "-H", "trem"],
        ["--ssh-config=/no/such/file"],
        ["-i", "/no/such/key", "-H", "trem"],
        ["--identity=/no/such/key"],
    ],
)
def test_bad_words_are_refused_in_a_sentence(words: list[str]) -> None:
    with pytest.raises(UsageError, match=r"give .*\.$") as refused:
        check_words(["fab", *words, "tremplin"])
    assert refused.value.code == 2


@pytest.mark.parametrize("host", ["trem", "u@trem", "u@trem:22", "::1", "[::1]", "u@[::1]:22", "a, b:22,"])
def test_good_words_pass(host: str, tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    (tmp_path / "key").touch()
    check_words(["fab", "-S", str(tmp_path / "config"), "-i", str(tmp_path / "key"), "-H", host, "tremplin"])


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> int:
    """Run a program in this process; return its exit status."""
    argv = [name, *words]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("reclog.words._names", {"inv": "inv", "fab": "fab"})
    programs: dict[str, Any] = {"inv": invoke.main.program.run, "fab": fabric.main.make_program().run}
    monkeypatch.setattr(fabric.main, "program", programs["fab"].__self__)
    with pytest.raises(SystemExit) as ended:
        programs[name](argv) if name in programs else program.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("name", ["inv", "fab", "reclog"])
@pytest.mark.parametrize("words", ["kill --nope", "kill --discard=x", "record", "nope kill", "--nope"])
def test_words_that_no_task_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert run(monkeypatch, name, *words.split()) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert words == "--nope" or f"See `{name} --list`" in said


@pytest.mark.parametrize("name", ["inv", "fab", "reclog"])
def test_help_and_list_are_no_wrong_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for asked in (["--help"], ["--list"], ["kill", "--help"], ["--help", "kill"]):
        assert run(monkeypatch, name, *asked) == 0
    assert "kill" in capsys.readouterr().out


TASKS = {
    "inv": [
        "local",
        "status",
        "tail",
        "export",
        "history",
        "view",
        "test-connection",
        "kill",
        "agent",
        "boot",
        "publish",
        "subscribe",
        "dev.bench",
        "dev.docs",
        "dev.faults",
        "dev.install",
        "completion",
        "dev.nats",
        "dev.plan",
    ],
    "fab": ["tremplin", "kill"],
}


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in TASKS for task in TASKS[name]])
def test_the_help_of_a_task_fits_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, task: str
) -> None:
    assert run(monkeypatch, name, task, "--help") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if len(line) > 80] == []
    # And each option has one row, but for developers.
    options = said.partition("Options:\n")[2].rstrip().splitlines()
    assert task.startswith("dev.") or {line[:3] for line in options} in ({"  -"}, {"  n"})  # "none"


@pytest.mark.parametrize("name", ["inv", "fab", "reclog"])
def test_each_task_has_one_row_in_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(monkeypatch, name, "--list") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(rows) >= 2
    assert [row for row in rows if row.startswith("   ")] == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("kill kitchen", "kill --recording=kitchen"),
        ("kill --port 7 a --discard b", "kill --port 7 --recording=a --discard --recording=b"),
        ("kill --recording a", "kill --recording a"),
        ("tail --grep status --port=7 a status", "tail --grep status --port=7 --recording=a status"),
        ("tail --lnav a kill b", "tail --lnav --recording=a kill --recording=b"),
        ("status -H kitchen", "status -H kitchen"),
        ("local kitchen", "local kitchen"),
        ("status --nope a=-b", "status --nope --recording=a=-b"),
        ("nope", "nope"),
    ],
)
def test_a_name_that_stands_alone(said: str, meant: str) -> None:
    tasks = edge.contexts_of(Collection(kill.kill, local.local, status.status, tail.tail))
    core = ParserContext(args=[Argument(names=("hosts", "H")), Argument(names=("list",), optional=True)])
    assert names.flagged(said.split(), tasks, core) == meant.split()


@pytest.mark.parametrize("name", ["inv", "reclog"])
@pytest.mark.parametrize("task", ["kill", "status", "tail", "export --out x", "history", "test-connection"])
def test_every_command_takes_a_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, task: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run(monkeypatch, name, *task.split(), "kitchen") == 1
    assert "'kitchen' is no recording" in capsys.readouterr().err


def test_what_is_for_developers_is_in_a_clone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "reclog", "dev.bench", "--quick") == 2
    said = "dev.bench is for developers: `inv dev.bench` runs it in a clone of the repository.\n"
    assert capsys.readouterr().err == said


def test_looking_at_the_words_leaves_the_help_of_each_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    @task(help={"flag": "its help"})
    def body(c: Any, flag: bool = False) -> None:
        """Do it."""

    assert run(monkeypatch, "inv", "--list") == 0
    collection = Collection(body)
    edge._check_words(collection, invoke.main.program, "inv")
    assert collection.to_contexts()[0].flags["--flag"].help == "its help"


def test_the_help_of_the_program_names_the_options_for_a_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "reclog", "--help") == 0
    said = capsys.readouterr().out
    for option in ("-H STRING, --hosts", "-S STRING, --ssh-config", "-i, --identity"):
        assert option in said


@pytest.mark.parametrize("name", ["inv", "reclog"])
def test_what_is_said_has_the_name_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run(monkeypatch, name, "tail") == 1
    assert f"`{name} local`" in capsys.readouterr().err


def test_a_host_is_asked_for_by_the_name_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "reclog", "tremplin") == 2
    assert "reclog -H user@host tremplin" in capsys.readouterr().err


def test_a_command_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reclog.words._names", {"inv": "inv", "fab": "fab"})
    assert words.inv("kill", "--file", "a b") == "inv kill --file 'a b'"
    words.speak_as("reclog")
    assert words.fab("-H", "trem", "kill") == "reclog -H trem kill"
