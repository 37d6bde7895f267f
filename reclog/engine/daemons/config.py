"""What each daemon is told to do: its `config.json`, checked once, where it is read.

Rules kept here:

- Whoever starts a daemon writes what `to_json` returns, beside what concerns the commands alone.
- A field that is wrong is named. One that an older writer did not have has its default, one that only a newer
  writer has is nobody's here.
"""

from __future__ import annotations

import dataclasses
import os
from ipaddress import ip_address
from typing import Any, Callable, ClassVar, FrozenSet, Mapping, Sequence, TypeVar

from ..feed.protocol import checked_secret
from ..intake.framing import FRAMINGS
from ..intake.token import Token
from ..outlets import OUTLETS
from ..sources.choice import LISTENERS
from ..sources.dial import named
from ..stores.retention import Keeping
from ..stores.rotation import Rotating
from ..system.address import named_address, parse_network

C = TypeVar("C", bound="Config")


class Config:
    """Fields that come from one JSON object, those of a part beside its own."""

    #: The fields that can change while the daemon runs, by the names that they have in the JSON object.
    CHANGEABLE: ClassVar[FrozenSet[str]] = frozenset()

    @classmethod
    def from_json(cls: type[C], told: Mapping[str, Any]) -> C:
        """Return what `told` says. Raises ValueError, which names the field that is wrong."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            value = told.get(field.name)
            if field.name in _PARTS:
                values[field.name] = _PARTS[field.name].from_json(told)
            elif value is not None:
                is_right, meant = _MEANT.get(field.name) or _MEANT[str(field.type)]
                if not is_right(value):
                    raise ValueError(f"{field.name} is {repr(value)[:50]}, not {meant}")
                values[field.name] = value
            elif field.default is field.default_factory is dataclasses.MISSING:
                raise ValueError(f"it has no {field.name}")
        return cls(**values)

    def changed(self: C, wanted: Mapping[str, Any]) -> C:
        """Return it with what is `wanted`. Raises ValueError for what is wrong, or can't change."""
        for name in wanted:
            if name not in self.CHANGEABLE:
                raise ValueError(f"{name} does not change while it runs")
        return self.from_json({**self.to_json(), **wanted})

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        told: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]
        for part in _PARTS:
            told.update(told.pop(part, {}))
        return told


@dataclasses.dataclass(frozen=True)
class Listening(Config):
    """Who may send, where, and how that becomes lines."""

    CHANGEABLE = frozenset(
        {"allow", "token", "stamp", "partial_after", "max_senders", "max_per_address", "names"}
    )
    #: Changes, too, where the daemon is on the machine of its files.
    CERTIFICATE = frozenset({"tls_cert", "tls_key", "fingerprint"})

    #: 0: any; beside devices that are dialled, none.
    port: int
    bind: str
    listener: str
    allow: Sequence[str]
    stamp: bool
    #: Seconds.
    partial_after: float
    #: 0: what the system's limits allow.
    max_senders: int = 0
    max_per_address: int = 0
    tls: bool = False
    #: Files (PEM), those of a relay in its folder; no clients: nobody is asked for a certificate.
    tls_cert: str = ""
    tls_key: str = ""
    tls_clients: str = ""
    #: The certificate's SHA-256 (hex): another one is read anew.
    fingerprint: str = ""
    framing: str = "auto"
    #: Record datagrams, too.
    udp: bool = False
    #: Devices that we dial; and where the programs among them are started.
    dial: Sequence[str] = dataclasses.field(default_factory=list)
    dial_in: str = "/"
    #: What senders are called: ADDRESS=NAME each.
    names: Sequence[str] = dataclasses.field(default_factory=list)
    #: What is known of the token that a sender has to say first; empty: nothing has to be said.
    token: str = ""

    @property
    def listens(self) -> bool:
        """Tell whether a port is listened on."""
        return bool(self.port or not self.dial)

    @property
    def hears_datagrams(self) -> bool:
        """Tell whether it does: beside what only who is trusted may send, there are none."""
        return bool(self.udp and self.listens and not self.tls and not self.token)


@dataclasses.dataclass(frozen=True)
class SetAside(Config):
    """When the recorded file is cut, and what becomes of its pieces."""

    CHANGEABLE = frozenset({"rotate", "keep", "compress"})

    rotate: Sequence[str] = dataclasses.field(default_factory=list)
    keep: Sequence[str] = dataclasses.field(default_factory=list)
    compress: bool = False

    @property
    def rotating(self) -> Rotating:
        """When it is cut, and what is kept."""
        keeping = Keeping.parse(self.keep)._replace(compress=self.compress)
        return Rotating.parse(self.rotate)._replace(keeping=keeping)


@dataclasses.dataclass(frozen=True)
class RecorderConfig(Config):
    """A recording on this machine."""

    CHANGEABLE = Listening.CHANGEABLE | Listening.CERTIFICATE | SetAside.CHANGEABLE

    listening: Listening
    file: str
    raw: bool = False
    #: The pid of the command that stays in front of it, and ends it when it ends; 0 if none does.
    foreground_of: int = 0
    set_aside: SetAside = dataclasses.field(default_factory=SetAside)


@dataclasses.dataclass(frozen=True)
class RelayConfig(Config):
    """A tremplin's relay."""

    CHANGEABLE = Listening.CHANGEABLE | {"spool_max"}

    listening: Listening
    port_remote_out: int
    #: Bytes.
    spool_max: int
    secret: str


@dataclasses.dataclass(frozen=True)
class CollectorConfig(Config):
    """A tremplin's recording here."""

    #: It keeps what its relay was told, for whoever starts that again, and is not concerned itself.
    CHANGEABLE = RelayConfig.CHANGEABLE | SetAside.CHANGEABLE

    file: str
    #: The name by which the relay knows us.
    collector: str
    port_local: int
    secret: str
    ssh_command: Sequence[str]
    #: Starts the relay again.
    start_command: Sequence[str]
    #: The relay was just seen to listen at its UNIX socket: what does not open there is forbidden.
    relay_listens: bool = False
    #: Have the relay, whosoever it is.
    take_over: bool = False
    #: Only bring what the relay has, and end it.
    stop_at_once: bool = False
    foreground_of: int = 0
    outlet: str = "file"
    set_aside: SetAside = dataclasses.field(default_factory=SetAside)


_PARTS: dict[str, type[Config]] = {"listening": Listening, "set_aside": SetAside}


def _passes(word: str) -> bool:
    """Tell whether the system takes a word. Raises ValueError for half of a surrogate pair."""
    return b"\0" not in os.fsencode(word)


def _word(right: Callable[[str], object]) -> Callable[[Any], bool]:
    """Return whether something is a word for which `right` returns something true, and raises nothing."""

    def test(value: Any) -> bool:
        try:
            return isinstance(value, str) and bool(right(value))
        except ValueError:
            return False

    return test


def _words(right: Callable[[str], object], least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(_word(right), value))


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def is_right(name: str, value: Any) -> bool:
    """Tell whether a field of that name may have a value, as far as its name tells."""
    return name not in _MEANT or _MEANT[name][0](value)


_PORT = (_whole(0, 65535), "a port")
#: What a field must be: by its name, or by its type.
_MEANT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "port": _PORT,
    "outlet": (_word(OUTLETS.__contains__), f"one of {', '.join(OUTLETS)}"),
    "port_local": _PORT,
    "port_remote_out": _PORT,
    "bind": (_word(ip_address), "a numeric address"),
    "listener": (_word(("auto", *LISTENERS).__contains__), f"one of auto, {', '.join(LISTENERS)}"),
    "framing": (_word(FRAMINGS.__contains__), f"one of {', '.join(FRAMINGS)}"),
    "allow": (_words(parse_network, 0), "a list of networks"),
    "dial": (_words(named, 0), "a list of addresses to dial"),
    "dial_in": (_word(lambda word: word and _passes(word)), "a folder"),
    "names": (_words(named_address, 0), "a list of names"),
    "rotate": (_words(lambda word: Rotating.parse([word]), 0), "a list of sizes and 1d"),
    "keep": (_words(lambda word: Keeping.parse([word]), 0), "a list of numbers, sizes and days"),
    "partial_after": (lambda value: type(value) in (int, float) and 0 < value < 1e9, "a number of seconds"),
    "file": (_word(lambda word: word and _passes(word)), "a file's name"),
    "token": (lambda value: value == "" or _word(Token.parse)(value), "what is known of a token"),
    "spool_max": (_whole(1, 1 << 62), "a number of bytes"),
    "secret": (_word(checked_secret), "16 bytes in hex"),
    **dict.fromkeys(("tls_cert", "tls_key", "tls_clients"), (_word(_passes), "a file's name")),
    "fingerprint": (_word(lambda word: not word or len(bytes.fromhex(word)) == 32), "32 bytes in hex"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "int": (_whole(0, 1 << 31), "a number of things"),
    "str": (_word(bool), "a word"),
    "Sequence[str]": (_words(_passes, 1), "a command"),
}
