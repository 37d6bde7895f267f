from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from reclog.engine.errors import ListenerUnusable
from reclog.engine.sources import forks
from reclog.engine.sources.choice import LISTENERS, choose
from reclog.engine.sources.source import Asked, lacks
from reclog.engine.system.address import parse_network

ANY = Asked("0.0.0.0", 1)


def asked(bind: str = "0.0.0.0", *allow: str, stamp: bool = False, per_address: int = 0) -> Asked:
    return Asked(bind, 1, [parse_network(word) for word in allow], stamp, per_address)


CAN = [asked(), asked("::"), asked("0.0.0.0", "192.0.2.0/24")]
CAN_NOT = [
    (asked(stamp=True), "--stamp needs the sender's address, which socat does not pass on"),
    (asked("::", "192.0.2.0/24", "2001:db8::/32", stamp=True), "--stamp needs the sender's address"),
    (asked(per_address=3), "--max-per-address needs the sender's address"),
    (Asked("0.0.0.0", 1, tls=True), "--tls is spoken by builtin alone, not by socat"),
    (asked("0.0.0.0", "192.0.2.0/24", "198.51.100.0/24"), "socat checks one --allow only"),
    (asked("::", "2001:db8::/32"), "with socat --allow works for IPv4 only"),
    (asked("0.0.0.0", "2001:db8::/32"), "with socat --allow works for IPv4 only"),
    (asked("::", "192.0.2.0/24"), "with socat --allow works for IPv4 only"),
]


@pytest.fixture
def socat_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    monkeypatch.setattr(forks, "LINUX", True)

    def install(there: bool) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if there else None)

    install(True)
    return install


def names(wanted: str, asked: Asked) -> list[str]:
    return [kind.NAME for kind in choose(wanted, asked)]


@pytest.mark.parametrize("there", [True, False])
def test_one_is_taken_at_its_word(there: bool, socat_is: Callable[[bool], None]) -> None:
    socat_is(there)
    assert names("builtin", ANY) == ["builtin"]
    if there:
        assert names("socat", ANY) == ["socat"]
        assert names("auto", ANY) == ["socat", "builtin"]  # the second, should the first keep less
    else:
        assert names("auto", ANY) == ["builtin"]


@pytest.mark.parametrize("asked", CAN)
def test_auto_takes_socat_for_what_it_can(asked: Asked, socat_is: Callable[[bool], None]) -> None:
    assert names("auto", asked)[0] == "socat"
    assert lacks(LISTENERS["builtin"], asked) == ""


@pytest.mark.parametrize(("asked", "why"), CAN_NOT)
def test_what_socat_can_not_do_is_builtins(asked: Asked, why: str, socat_is: Callable[[bool], None]) -> None:
    assert names("auto", asked) == ["builtin"]
    assert lacks(LISTENERS["builtin"], asked) == ""
    assert lacks(LISTENERS["socat"], asked).startswith(why)
    # Given two range= options socat 1.7.4.4 does listen, and then fails for each sender: "1 option(s) could
    # not be used". Nobody would hear of it.
    with pytest.raises(ListenerUnusable, match=f"^{why}.*: use --listener builtin.$"):
        choose("socat", asked)


def test_socat_wanted_and_missing_is_an_error_with_a_remedy(socat_is: Callable[[bool], None]) -> None:
    socat_is(False)
    with pytest.raises(ListenerUnusable, match=r"not installed: .*--listener builtin"):
        choose("socat", ANY)


def test_socat_is_for_linux_only(socat_is: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "LINUX", False)
    assert names("auto", ANY) == ["builtin"]
    with pytest.raises(ListenerUnusable, match=r"Linux only: .*--listener builtin"):
        choose("socat", ANY)
