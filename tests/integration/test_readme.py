"""Every shell and Python snippet of README and docs does what it says, and README's two commands are real."""

from __future__ import annotations

import re
import sys

import pytest
from bench import ROOT, Home, wait_until

README = (ROOT / "README.md").read_text()
START, SENDERS, OPTIONS = (
    (ROOT / "docs" / f"{page}.md").read_text() for page in ("index", "senders", "options")
)
#: What says how something is done.
HOW = "\n".join([README, START, SENDERS, OPTIONS])
FIRST = "sh bootstrap.sh && . .venv/bin/activate && inv local --port 55514 --file file.log"
SECOND = "sh bootstrap.sh tests && .venv/bin/pytest"


def snippets(language: str, text: str = HOW) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_the_ones_that_are_run() -> None:
    assert [text.strip() for text in snippets("sh", README)] == [FIRST, SECOND]
    assert SECOND in (ROOT / ".ci" / "run").read_text().splitlines()
    assert [FIRST.startswith(text.strip()) for text in snippets("sh", START)] == [True]


def test_every_snippet_is_run_by_a_test_here() -> None:
    languages = set(re.findall(r"^```(\w+)$", HOW, re.MULTILINE))
    assert languages == {"sh", "bash", "python", "yaml", "cpp", "console"}


@pytest.mark.parametrize("page", [README, START], ids=["README", "start"])
def test_thirty_seconds_of_use(home: Home, page: str) -> None:
    recording = home.local()
    script = "\n".join(snippets("bash", page))
    script = script.replace("55514", str(recording.port)).replace("file.log", str(recording.file))
    done = home.run("bash", "-euc", script)
    assert done.returncode == 0, done.stderr
    assert "hello from bash\nreclog probe " in recording.file.read_text()
    assert done.stdout.count("hello from bash") >= 2
    assert home.processes() == []


@pytest.mark.parametrize("script", snippets("bash", SENDERS + OPTIONS))
def test_bash_snippet(home: Home, script: str) -> None:
    recording = home.local()
    done = home.run("bash", "-euc", script.replace("55514", str(recording.port)))
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


def test_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if "://" not in link
    ]
    assert len(links) > 20
    for page, link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
        anchors = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]
        assert not anchor or anchor in anchors, f"{page.name}: {link}"
