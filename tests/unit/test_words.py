"""The words of a `fab` call that Fabric itself would answer with a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from reclog.errors import UsageError
from reclog.tasks.fabric_words import check_words


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
    ],
)
def test_bad_words_are_refused_in_a_sentence(words: list[str]) -> None:
    with pytest.raises(UsageError, match=r"give .*\.$") as refused:
        check_words(["fab", *words, "tremplin"])
    assert refused.value.code == 2


@pytest.mark.parametrize("host", ["trem", "u@trem", "u@trem:22", "::1", "[::1]", "u@[::1]:22", "a, b:22,"])
def test_good_words_pass(host: str, tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    check_words(["fab", "-S", str(tmp_path / "config"), "-H", host, "tremplin"])
