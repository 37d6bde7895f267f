from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from reclog.engine.daemons.entrance import use_socat
from reclog.engine.errors import SocatUnusable
from reclog.engine.system.address import parse_network


@pytest.fixture
def socat_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    monkeypatch.setattr("reclog.engine.daemons.entrance.LINUX", True)

    def install(there: bool) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if there else None)

    install(True)
    return install


@pytest.mark.parametrize("there", [True, False])
def test_builtin_is_taken_at_its_word(there: bool, socat_is: Callable[[bool], None]) -> None:
    socat_is(there)
    assert use_socat("builtin", False, "0.0.0.0", []) is False


def test_auto_takes_socat_where_it_is_installed(socat_is: Callable[[bool], None]) -> None:
    assert use_socat("auto", False, "0.0.0.0", []) is True
    assert use_socat("auto", False, "::", []) is True
    assert use_socat("auto", False, "0.0.0.0", [parse_network("192.0.2.0/24")]) is True
    socat_is(False)
    assert use_socat("auto", False, "0.0.0.0", []) is False


@pytest.mark.parametrize(
    ("stamp", "bind", "allow"),
    [
        (True, "0.0.0.0", []),
        (False, "0.0.0.0", ["192.0.2.0/24", "198.51.100.0/24"]),
        (False, "::", ["2001:db8::/32"]),
        (False, "::", ["192.0.2.0/24"]),
    ],
)
def test_auto_takes_builtin_for_what_socat_can_not_do(
    stamp: bool, bind: str, allow: list[str], socat_is: Callable[[bool], None]
) -> None:
    assert use_socat("auto", stamp, bind, [parse_network(text) for text in allow]) is False


@pytest.mark.parametrize(
    ("stamp", "bind", "allow"),
    [
        (True, "0.0.0.0", []),
        (False, "0.0.0.0", ["192.0.2.0/24", "198.51.100.0/24"]),
        (False, "::", ["2001:db8::/32"]),
    ],
)
def test_socat_is_refused_for_what_it_can_not_do(
    stamp: bool, bind: str, allow: list[str], socat_is: Callable[[bool], None]
) -> None:
    # Given two range= options socat 1.7.4.4 does listen, and then fails for each sender: "1 option(s) could
    # not be used". Nobody would hear of it.
    with pytest.raises(SocatUnusable, match="socat"):
        use_socat("socat", stamp, bind, [parse_network(text) for text in allow])


def test_socat_wanted_and_there(socat_is: Callable[[bool], None]) -> None:
    assert use_socat("socat", False, "0.0.0.0", []) is True


def test_socat_wanted_and_missing_is_an_error_with_a_remedy(socat_is: Callable[[bool], None]) -> None:
    socat_is(False)
    with pytest.raises(SocatUnusable, match=r"not installed: .*--listener builtin"):
        use_socat("socat", False, "0.0.0.0", [])


def test_socat_is_for_linux_only(socat_is: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reclog.engine.daemons.entrance.LINUX", False)
    assert use_socat("auto", False, "0.0.0.0", []) is False
    with pytest.raises(SocatUnusable, match=r"Linux only: .*--listener builtin"):
        use_socat("socat", False, "0.0.0.0", [])


def test_a_cap_per_address_needs_the_builtin_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reclog.engine.daemons.entrance.LINUX", True)
    monkeypatch.setattr("shutil.which", lambda program: "/usr/bin/socat")
    assert use_socat("auto", False, "0.0.0.0", [])
    assert not use_socat("auto", False, "0.0.0.0", [], per_address=3)
    with pytest.raises(SocatUnusable, match="--listener builtin"):
        use_socat("socat", False, "0.0.0.0", [], per_address=3)
