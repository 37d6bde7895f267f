"""What is there on a tremplin, as it says itself: a stranger's words, checked before use."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from typing import Any

from reclog.engine.daemons.survey import SIGN
from reclog.engine.records.jsonfile import parse_json

from ..console import visible
from ..errors import HostError
from .login import Way, login
from .package import program_text

#: The oldest Python that the engine runs on.
PYTHON = (3, 8)
#: Bytes that must be free there beyond nothing: the program and the first segment.
ROOM = 32 * 1024 * 1024
#: Its own words, where a Python is too old to read the survey's program.
_OLD = f"""
import sys
if sys.version_info < {PYTHON}:
    print('{SIGN}{{"python": [%d, %d]}}' % sys.version_info[:2])
    sys.exit()
"""


@dataclasses.dataclass(frozen=True)
class Relay:
    """A relay on the tremplin."""

    config: Mapping[str, Any]
    #: Whose it is, and since when; for a person to read.
    owner: str
    since: str
    #: The digest of its program.
    program: str
    #: 0 where it does not run.
    pid: int
    #: Bytes that nobody has acked.
    left: int
    #: It was asked to stop.
    stopping: bool

    @classmethod
    def from_json(cls, value: Any) -> Relay:
        """Return the relay of a survey's answer. Raises ValueError."""
        facts = _typed(value, dict)
        config, owner = _typed(facts.get("config"), dict), _typed(facts.get("owner"), dict)
        return cls(
            config=config,
            owner=visible(str(owner.get("name") or ""))[:200],
            since=visible(str(owner.get("since") or ""))[:40],
            program=_typed(facts.get("program"), str),
            pid=_typed(facts.get("pid") or 0, int),
            left=_typed(facts.get("left"), int),
            stopping=_typed(facts.get("stopping"), bool),
        )

    @property
    def port_out(self) -> int:
        """The port where its tunnel ends; 0 if it ends at its UNIX socket, or is not known."""
        port = self.config.get("port_remote_out")
        return port if type(port) is int and 0 < port < 65536 else 0

    @property
    def secret(self) -> str:
        """What its owner and it prove to each other that they know; empty if it has none."""
        secret = self.config.get("secret")
        return secret if isinstance(secret, str) else ""


@dataclasses.dataclass(frozen=True)
class Survey:
    """A host, as far as a relay is concerned."""

    python: tuple[int, ...]
    home: str
    #: Where relays have their folders.
    base: str
    writable: bool
    #: Bytes.
    free: int
    #: By the port that senders use.
    relays: Mapping[str, Relay]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Survey:
        """Return what a survey answered. Raises ValueError."""
        python = tuple(_typed(number, int) for number in _typed(value.get("python"), list))
        if python < PYTHON:
            return cls(python, "", "", False, 0, {})
        return cls(
            python=python,
            home=_path(value.get("home")),
            base=_path(value.get("base")),
            writable=_typed(value.get("writable"), bool),
            free=_typed(value.get("free"), int),
            relays={
                name: Relay.from_json(relay)
                for name, relay in _typed(value.get("relays"), dict).items()
                if re.fullmatch("[0-9]{1,5}", name)  # a folder of another name is none of ours
            },
        )

    def check(self, host: str) -> None:
        """See that a relay can live there. Raises HostError."""
        if self.python < PYTHON:
            version = ".".join(map(str, self.python[:2]))
            raise HostError(f"{host} has Python {version}: a relay needs 3.8 or newer there.")
        if not self.writable:
            raise HostError(
                f"{self.base} on {host} can't be written: give the account a home of its own there."
            )
        if self.free < ROOM:
            raise HostError(f"{host} has {self.free // 1024} KiB free in {self.home}: make room there.")


def survey(way: Way) -> Survey:
    """Log in with OpenSSH, as the background will, and see what is there. Raises HostError."""
    # The login shell may be any: it only has to start sh with one argument. A csh takes no long word.
    script = "command -v python3 >/dev/null || { echo reclog-no-python; exit 0; }; exec python3 -"
    said = login(way, shlex.join(["sh", "-c", script]), _OLD + program_text("reclog.engine.daemons.survey"))
    host = way.target.host
    if "reclog-no-python" in said:
        raise HostError(f"{host} has no python3: install it there (apt-get install python3).")
    line = next((one for one in said.splitlines() if one.startswith(SIGN)), "")
    if not line:
        raise HostError(
            f"{host} does not run commands as expected: try `{way.by_hand('true')}`, it must print nothing."
        )
    try:
        return Survey.from_json(parse_json(line[len(SIGN) :]))
    except ValueError as error:
        raise HostError(
            f"What {host} says of itself makes no sense: try `{way.by_hand('true')}`, it must print nothing."
        ) from error


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 1 << 63):
        raise ValueError(f"{value!r} is no {kind.__name__}"[:100])
    return value


def _path(value: Any) -> str:
    path: str = _typed(value, str)
    if not path.startswith("/") or not path.isprintable():
        raise ValueError(f"{path!r} is no path"[:100])
    return path
