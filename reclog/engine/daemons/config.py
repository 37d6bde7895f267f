"""What each daemon is told to do: its `config.json`, checked once, where it is read."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address
from typing import Any, ClassVar, Mapping, Sequence

from ..feed.protocol import checked_secret
from ..intake.framing import FRAMINGS
from ..intake.token import Token
from ..outlets import OUTLETS
from ..sources.choice import LISTENERS
from ..sources.dial import named
from ..stores.retention import Keeping
from ..stores.rotation import Rotating
from ..system.address import named_address, parse_network
from .fields import YES_OR_NO, Config, Meant, passes, whole, word, words


@dataclasses.dataclass(frozen=True)
class SetAside(Config):
    """When the recorded file is cut, and what becomes of its pieces."""

    CHANGEABLE = frozenset({"rotate", "keep", "compress"})
    MEANT: ClassVar[Mapping[str, Meant]] = {
        "rotate": (words(lambda one: Rotating.parse([one]), 0), "a list of sizes and 1d"),
        "keep": (words(lambda one: Keeping.parse([one]), 0), "a list of numbers, sizes and days"),
        "bool": YES_OR_NO,
    }

    rotate: Sequence[str] = dataclasses.field(default_factory=list)
    keep: Sequence[str] = dataclasses.field(default_factory=list)
    compress: bool = False

    @property
    def rotating(self) -> Rotating:
        """When it is cut, and what is kept."""
        keeping = Keeping.parse(self.keep)._replace(compress=self.compress)
        return Rotating.parse(self.rotate)._replace(keeping=keeping)


_PORT = (whole(0, 65535), "a port")


class Told(Config):
    """What one of the engine's daemons is told."""

    MEANT: ClassVar[Mapping[str, Meant]] = {
        "port": _PORT,
        "outlet": (word(OUTLETS.__contains__), f"one of {', '.join(OUTLETS)}"),
        "port_local": _PORT,
        "port_remote_out": _PORT,
        "bind": (word(ip_address), "a numeric address"),
        "listener": (word(("auto", *LISTENERS).__contains__), f"one of auto, {', '.join(LISTENERS)}"),
        "framing": (word(FRAMINGS.__contains__), f"one of {', '.join(FRAMINGS)}"),
        "allow": (words(parse_network, 0), "a list of networks"),
        "dial": (words(named, 0), "a list of addresses to dial"),
        "dial_in": (word(lambda name: name and passes(name)), "a folder"),
        "names": (words(named_address, 0), "a list of names"),
        **SetAside.MEANT,
        "partial_after": (
            lambda value: type(value) in (int, float) and 0 < value < 1e9,
            "a number of seconds",
        ),
        "file": (word(lambda name: name and passes(name)), "a file's name"),
        "token": (lambda value: value == "" or word(Token.parse)(value), "what is known of a token"),
        "spool_max": (whole(1, 1 << 62), "a number of bytes"),
        "secret": (word(checked_secret), "16 bytes in hex"),
        **dict.fromkeys(("tls_cert", "tls_key", "tls_clients"), (word(passes), "a file's name")),
        "fingerprint": (word(lambda text: not text or len(bytes.fromhex(text)) == 32), "32 bytes in hex"),
        "int": (whole(0, 1 << 31), "a number of things"),
        "str": (word(bool), "a word"),
        "Sequence[str]": (words(passes, 1), "a command"),
    }


@dataclasses.dataclass(frozen=True)
class Listening(Told):
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
class RecorderConfig(Told):
    """A recording on this machine."""

    CHANGEABLE = Listening.CHANGEABLE | Listening.CERTIFICATE | SetAside.CHANGEABLE
    PARTS: ClassVar[Mapping[str, type[Config]]] = {"listening": Listening, "set_aside": SetAside}

    listening: Listening
    file: str
    raw: bool = False
    #: The pid of the command that stays in front of it, and ends it when it ends; 0 if none does.
    foreground_of: int = 0
    set_aside: SetAside = dataclasses.field(default_factory=SetAside)


@dataclasses.dataclass(frozen=True)
class RelayConfig(Told):
    """A tremplin's relay."""

    CHANGEABLE = Listening.CHANGEABLE | {"spool_max"}
    PARTS: ClassVar[Mapping[str, type[Config]]] = {"listening": Listening}

    listening: Listening
    port_remote_out: int
    #: Bytes.
    spool_max: int
    secret: str


@dataclasses.dataclass(frozen=True)
class CollectorConfig(Told):
    """A tremplin's recording here."""

    #: It keeps what its relay was told, for whoever starts that again, and is not concerned itself.
    CHANGEABLE = RelayConfig.CHANGEABLE | SetAside.CHANGEABLE
    PARTS: ClassVar[Mapping[str, type[Config]]] = {"set_aside": SetAside}

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


def is_right(name: str, value: Any) -> bool:
    """Tell whether a field of that name may have a value, as far as its name tells."""
    return name not in Told.MEANT or Told.MEANT[name][0](value)
