"""Every shell and Python snippet of README and docs does what it says, and README's two commands are real."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from bench import ROOT, Home, Running, wait_until

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


#: Languages of snippets that tests run; and of those that none can, or that show a dialogue.
RUN, NOT_RUN = {"sh", "bash", "python", "js", "c"}, {"yaml", "ini", "text", "cpp", "console"}


def test_every_snippet_that_can_run_is_run() -> None:
    assert set(re.findall(r"^```(\w+)$", HOW, re.MULTILINE)) == RUN | NOT_RUN


def commands(page: str) -> list[str]:
    """Return the lines of a page's bash, without comments."""
    return [line.partition("  #")[0].rstrip() for line in "".join(snippets("bash", page)).splitlines()]


def test_thirty_seconds_of_use(home: Home) -> None:
    recording = home.local()
    script = "\n".join(commands(README))
    script = script.replace("55514", str(recording.port)).replace("file.log", str(recording.file))
    done = home.run("bash", "-euc", script)
    assert done.returncode == 0, done.stderr
    assert "hello from bash\nreclog probe " in recording.file.read_text()
    assert done.stdout.count("hello from bash") >= 2
    assert home.processes() == []
    # And what the start shows is of that.
    assert len(commands(START)) >= 5
    assert set(commands(START)) <= set(commands(README))


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


def says(home: Home, recording: Running, *command: str) -> None:
    """Have a program say its hello to a recording."""
    done = home.run(*command)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: recording.read().endswith(b"\n"))
    assert b"hello from" in recording.read()


@pytest.mark.parametrize("script", snippets("python"))
def test_python_snippet(home: Home, script: str) -> None:
    recording = home.local()
    says(home, recording, sys.executable, "-c", script.replace("55514", str(recording.port)))


@pytest.mark.parametrize(
    ("program", "script"),
    [
        (str(Path(sys.executable).parent / "micropython"), snippets("python", SENDERS)[-1]),
        ("node", snippets("js", SENDERS)[0]),
    ],
    ids=["MicroPython", "Node"],
)
def test_snippet_of_another_language(home: Home, program: str, script: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    recording = home.local()
    file = home.path / "snippet"
    file.write_text(script.replace("55514", str(recording.port)))
    says(home, recording, program, str(file))
    assert recording.read() in (b"hello from MicroPython\n", b"hello from Node\n")


#: What ESP-IDF has and this machine has not, and a firmware that logs in two pieces.
ESP_IDF = """
typedef int (*vprintf_like_t)(const char *, va_list);
static vprintf_like_t log_vprintf = vprintf;
vprintf_like_t esp_log_set_vprintf(vprintf_like_t new) { log_vprintf = new; return vprintf; }
static void say(const char *format, ...) {
    va_list words;
    va_start(words, format), log_vprintf(format, words), va_end(words);
}
"""
FIRMWARE = """
int main(void) {
    log_by_network();
    say("I (%d) ", 42), say("%s: hello from %s\\n", "app", "ESP-IDF");
    return 0;
}
"""


def test_the_snippet_for_esp_idf(home: Home) -> None:
    recording = home.local()
    text = (
        snippets("c", SENDERS)[0].replace("55514", str(recording.port)).replace("192.168.1.10", "127.0.0.1")
    )
    sockets = "#include <arpa/inet.h>\n#include <sys/socket.h>\n#include <unistd.h>"
    text = text.replace('#include "esp_log.h"', ESP_IDF).replace('#include "lwip/sockets.h"', sockets)
    (home.path / "firmware.c").write_text(text + FIRMWARE)
    built = str(home.path / "firmware")
    done = home.run("cc", "-Wall", "-Wextra", "-Werror", "-o", built, str(home.path / "firmware.c"))
    assert done.returncode == 0, done.stderr
    says(home, recording, built)
    assert recording.read() == b"I (42) app: hello from ESP-IDF\n"


def test_every_link_leads_somewhere() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "README.fr.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
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
