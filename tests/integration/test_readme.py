"""Every shell and Python snippet of the README does what it says, and its two commands are the real ones."""

from __future__ import annotations

import re
import sys

import pytest
from bench import ROOT, Home, wait_until

README = (ROOT / "README.md").read_text()
FIRST = "sh bootstrap.sh && . .venv/bin/activate && inv local --port 55514 --file file.log"
SECOND = "sh bootstrap.sh tests && .venv/bin/pytest"


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_the_ones_that_are_run() -> None:
    assert [text.strip() for text in snippets("sh")] == [FIRST, SECOND]
    assert SECOND in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_snippet_is_run_by_a_test_here() -> None:
    languages = set(re.findall(r"^```(\w+)$", README, re.MULTILINE))
    assert languages == {"sh", "bash", "python", "yaml", "cpp", "console"}


def test_thirty_seconds_of_use(home: Home) -> None:
    recording = home.local()
    script = (
        snippets("bash")[0].replace("55514", str(recording.port)).replace("file.log", str(recording.file))
    )
    done = home.run("bash", "-euc", script)
    assert done.returncode == 0, done.stderr
    assert "hello from bash\nreclog probe " in recording.file.read_text()
    assert done.stdout.count("hello from bash") >= 2
    assert home.processes() == []


@pytest.mark.parametrize("number", range(1, len(snippets("bash"))))
def test_bash_snippet(home: Home, number: int) -> None:
    recording = home.local()
    script = snippets("bash")[number].replace("55514", str(recording.port))
    done = home.run("bash", "-euc", script)
    assert done.returncode == 0, done.stderr
    if "completion" not in script:
        wait_until(lambda: recording.read().endswith(b"\n"), what=script)
        said = re.findall(r'"([a-z][^"]+)"', script)
        assert said
        assert all(text.encode() in recording.read() for text in said)


@pytest.mark.parametrize("number", range(len(snippets("python"))))
def test_python_snippet(home: Home, number: int) -> None:
    recording = home.local()
    done = home.run(sys.executable, "-c", snippets("python")[number].replace("55514", str(recording.port)))
    assert done.returncode == 0, done.stderr
    wait_until(lambda: recording.read().endswith(b"\n"))
    assert b"hello from" in recording.read()
