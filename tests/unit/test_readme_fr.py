"""The French README says what the English one does: its commands, its tables, its links, its pictures."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, FRENCH = ((ROOT / name).read_text() for name in ("README.md", "README.fr.md"))


def blocks(text: str) -> list[tuple[str, str]]:
    """Return language and text of each code block, without what a comment says."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(language, re.sub(r" +# .*$", "", body, flags=re.MULTILINE)) for language, body in found]


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def codes(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`\n]+)`", text))


def numbers(text: str) -> list[str]:
    """Return the figures of a text, however their digits are set apart."""
    return re.findall(r"\d+", re.sub(r"(?<=\d)[, \u00a0\u202f](?=\d{3})", "", text))


def tables(text: str) -> list[list[list[str]]]:
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[row.strip("|").split("|") for row in table.splitlines()] for table in found]


def test_the_same_blocks_of_code() -> None:
    assert blocks(FRENCH) == blocks(ENGLISH)
    assert len(blocks(ENGLISH)) >= 4


def test_the_same_words_of_the_command_line_in_the_text() -> None:
    assert codes(prose(FRENCH)) == codes(prose(ENGLISH))


def test_the_same_tables() -> None:
    french, english = tables(FRENCH), tables(ENGLISH)
    assert [[len(row) for row in table] for table in french] == [
        [len(row) for row in table] for table in english
    ]
    for there, here in zip(french, english):
        for one, other in zip(there, here):
            for cell, its in zip(one, other):
                assert (codes(cell), numbers(cell)) == (codes(its), numbers(its))
                # A cell that is all code or figures is the same; a refusal is quoted as it is said.
                assert "refused: " not in its or its.split("refused: ")[1].strip() in cell


def test_the_same_heads_links_and_pictures() -> None:
    def heads(text: str) -> list[str]:
        return re.findall(r"^(#+) ", prose(text), re.MULTILINE)

    def links(text: str) -> list[str]:
        return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("README")]

    assert heads(FRENCH) == heads(ENGLISH)
    assert links(FRENCH) == links(ENGLISH)
    assert "(README.fr.md)" in ENGLISH
    assert "(README.md)" in FRENCH


def test_the_first_page_stays_short() -> None:
    assert len(ENGLISH.splitlines()) <= 150
